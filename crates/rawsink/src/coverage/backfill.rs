//! What has to be done so that every cell is validated.

use super::{Cell, Coverage, Standing};
use crate::{
    key::{LogicalDate, RunId},
    state::{Days, Series},
};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// The customer's query.
    pub series: &'a Series,
    /// The days.
    pub days: Days,
    /// What to do.
    pub action: Action<'a>,
}

/// What to do about a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Extract and land it: nothing is there, or nothing that could get authority. For one day.
    Land,
    /// Extract and land it again, as this run, which was started and never sealed. For one day.
    Restart(&'a RunId),
    /// Validate this run: it is sealed and has no verdict. For one day.
    Validate(&'a RunId),
    /// Set what failed back to pending, so that it is judged again. For days in a row.
    Retry,
}

impl Coverage {
    /// Returns what has to be done, row by row, day by day.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.cells().flat_map(|(series, cells)| {
            let mut steps: Vec<Step<'_>> = Vec::new();
            for cell in cells {
                let Some(action) = action(&cell) else { continue };
                match steps.last_mut() {
                    Some(last) if joins(last, action, cell.day) => last.days.until = cell.day,
                    _ => {
                        let days = Days { since: cell.day, until: cell.day };
                        steps.push(Step { series, days, action });
                    }
                }
            }
            steps
        })
    }
}

fn joins(step: &Step<'_>, action: Action<'_>, day: LogicalDate) -> bool {
    let retries = step.action == Action::Retry && action == Action::Retry;
    retries && step.days.until.next_day() == Some(day)
}

fn action<'a>(cell: &Cell<'a>) -> Option<Action<'a>> {
    let lost = cell.drift.lost;
    match (cell.standing, cell.sealed, cell.unsealed) {
        (_, Some(run), _) if cell.drift.unknown => Some(Action::Validate(run)),
        (Standing::Missing, ..) => Some(Action::Land),
        // It is older than the run that was lost, or has failed: it would get no authority.
        (Standing::Sealed, ..) if lost => Some(Action::Land),
        (Standing::Unsealed, ..) if lost && cell.run < cell.current => Some(Action::Land),
        (Standing::Sealed, Some(run), _) => Some(Action::Validate(run)),
        (Standing::Unsealed, _, Some(run)) => Some(Action::Restart(run)),
        (Standing::Failed, ..) => Some(Action::Retry),
        (Standing::Validated | Standing::Sealed | Standing::Unsealed, ..) => None,
    }
}
