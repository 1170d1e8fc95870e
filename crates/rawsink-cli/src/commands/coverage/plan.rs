//! The steps that fill the gaps, as lines of shell.

use rawsink::{RunId, layout::Place, state::Days};
use rawsink_ops::coverage::{Action, Coverage, PlanStep};
use serde::Serialize;

use super::table::place;
use crate::{context::Context, exit::Failure, shell::path_argument};

/// A step, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    action: &'static str,
    since: String,
    until: String,
    command: &'a str,
}

/// Prints each step.
pub(super) fn print(coverage: &Coverage, context: &Context<'_>) -> Result<(), Failure> {
    for step in coverage.steps() {
        let PlanStep { series, days, action } = &step;
        let one_day = (days.since == days.until).then_some(days.since);
        let (place, path) = (place(series, one_day), place(series, one_day).to_string());
        let (name, command) = command(&place, *days, *action);
        let row = Row {
            path: &path,
            action: name,
            since: days.since.to_string(),
            until: days.until.to_string(),
            command: &command,
        };
        context.output.data(&row, &command)?;
    }
    Ok(())
}

/// Returns a step's name and its command. Commands that a person must complete are comments.
fn command(place: &Place, days: Days, action: Action<'_>) -> (&'static str, String) {
    let path = path_argument(place);
    let run_path = |run: &RunId| {
        let key = place.partition();
        key.map_or_else(|| path.clone(), |key| path_argument(&Place::of_run(&key, run)))
    };
    match action {
        Action::Land => ("land", format!("# rawsink write {path} -- EXTRACT")),
        Action::Restart(run) => {
            ("restart", format!("# rawsink write {} -- EXTRACT", run_path(run)))
        }
        Action::Validate(run) => ("validate", format!("rawsink validate {}", run_path(run))),
        Action::Retry if place.partition().is_some() => {
            ("retry", format!("rawsink state retry {path}"))
        }
        Action::Retry => {
            let Days { since, until } = days;
            let range = format!("--since {since} --until {until}");
            ("retry", format!("rawsink state retry {path} {range} --yes"))
        }
    }
}
