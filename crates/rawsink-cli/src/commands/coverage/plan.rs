//! Prints the steps that fill the gaps, as lines of shell.

use jiff::Timestamp;
use rawsink::{RunId, layout::Place};
use rawsink_ops::coverage::{CommandTemplate, Coverage, Extraction};
use serde::Serialize;

use crate::{again, context::Context, exit::Failure};

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
    extract: Option<&CommandTemplate>,
    metadata: &[String],
    now: Timestamp,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let run = RunId::at(now);
    let extraction = extract.map(|command| Extraction { command, run: &run, metadata });
    for step in coverage.steps(&run) {
        let path = Place::of_partition(&step.key()).to_string();
        let command = step.command(extraction);
        let command = again::with_settings(&command);
        let day = &step.day.to_string();
        let row = Row {
            path: &path,
            action: step.action.name(),
            logical_date: day,
            since: day,
            until: day,
            command: &command,
        };
        context.output.data(&row, &command)?;
    }
    Ok(())
}
