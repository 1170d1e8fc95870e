//! The steps that fill the gaps, as lines of shell.

use jiff::Timestamp;
use rawsink::{PartitionKey, RunId, layout::Place};
use rawsink_ops::coverage::{Action, Coverage, PlanStep};
use serde::Serialize;

use super::table::place;
use crate::{context::Context, exit::Failure, shell};

/// A step, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    action: &'static str,
    logical_date: &'a str,
    /// The same day, as programs of the first version expect it.
    since: &'a str,
    until: &'a str,
    command: &'a str,
}

/// Prints each step. All new runs share the run id of `now`.
pub(super) fn print(
    coverage: &Coverage,
    extract: Option<&str>,
    now: Timestamp,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let run = RunId::at(now);
    for PlanStep { series, day, action } in coverage.steps(&run) {
        let place = place(series, Some(day));
        let Some(key) = place.partition() else { continue };
        let extract = Extract { command: extract, run: &run };
        let (name, command) = extract.command(&key, action);
        let path = place.to_string();
        let day = &day.to_string();
        let row = Row {
            path: &path,
            action: name,
            logical_date: day,
            since: day,
            until: day,
            command: &command,
        };
        context.output.data(&row, &command)?;
    }
    Ok(())
}

/// How rows are extracted.
struct Extract<'a> {
    /// The command of a person, with names in braces.
    command: Option<&'a str>,
    /// The run of all new extracts.
    run: &'a RunId,
}

impl Extract<'_> {
    /// Returns a step's name and its command. Commands that a person must complete are comments.
    fn command(&self, key: &PartitionKey, action: Action<'_>) -> (&'static str, String) {
        let path = |run: &RunId| shell::path_argument(&Place::of_run(key, run));
        match action {
            Action::Land => ("land", self.write(key, None)),
            Action::Restart(run) => ("restart", self.write(key, Some(run))),
            Action::Validate(run) => ("validate", format!("rawsink validate {}", path(run))),
            Action::Withdraw(run) => {
                let reason = "--reason 'lost, and its id is in the future'";
                ("withdraw", format!("rawsink state withdraw {} {reason}", path(run)))
            }
        }
    }

    /// Returns the command that writes a run; `None` for a new one.
    fn write(&self, key: &PartitionKey, run: Option<&RunId>) -> String {
        let Some(command) = self.command else {
            let place = run.map_or_else(|| Place::of_partition(key), |run| Place::of_run(key, run));
            return format!("# rawsink write {} -- EXTRACT", shell::path_argument(&place));
        };
        let run_path = shell::path_argument(&Place::of_run(key, run.unwrap_or(self.run)));
        let date = key.logical_date().to_string();
        let mut command = command.to_owned();
        for (name, value) in [
            ("{source}", key.source()),
            ("{customer_id}", key.customer_id()),
            ("{query_name}", key.query_name()),
            ("{logical_date}", &date),
        ] {
            command = command.replace(name, &shell::quoted(value));
        }
        format!("rawsink write {run_path} -- {command}")
    }
}
