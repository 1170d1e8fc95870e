//! Plans the actions after which every cell is validated.

use super::{Cell, Coverage, Standing};
use rawsink::{
    partition::{LogicalDate, RunId},
    state::{Days, Series},
};

/// One action for a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep<'a> {
    /// The customer's query.
    pub series: &'a Series,
    /// The days.
    pub days: Days,
    /// The action.
    pub action: Action<'a>,
}

/// The action for a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Extract and land a new run: no existing run can get authority. For one day.
    Land,
    /// Extract and land this run again: it was started and never sealed. For one day.
    Restart(&'a RunId),
    /// Validate this run: it is sealed and has no verdict. For one day.
    Validate(&'a RunId),
    /// Set failed records to pending, so that they are validated again. For consecutive days.
    Retry,
}

impl Coverage {
    /// Returns the actions, by row and day.
    pub fn steps(&self) -> impl Iterator<Item = PlanStep<'_>> {
        self.cells().flat_map(|(series, cells)| {
            let mut steps: Vec<PlanStep<'_>> = Vec::new();
            for cell in cells {
                let Some(action) = action(&cell) else { continue };
                match steps.last_mut() {
                    Some(last) if joins(last, action, cell.day) => last.days.until = cell.day,
                    _ => {
                        let days = Days { since: cell.day, until: cell.day };
                        steps.push(PlanStep { series, days, action });
                    }
                }
            }
            steps
        })
    }
}

fn joins(step: &PlanStep<'_>, action: Action<'_>, day: LogicalDate) -> bool {
    let retries = step.action == Action::Retry && action == Action::Retry;
    retries && step.days.until.next_day() == Some(day)
}

fn action<'a>(cell: &Cell<'a>) -> Option<Action<'a>> {
    let lost = cell.drift.lost;
    match (cell.standing, cell.sealed, cell.unsealed) {
        (_, Some(run), _) if cell.drift.unknown => Some(Action::Validate(run)),
        (Standing::Missing, ..) => Some(Action::Land),
        // The run is older than the lost one, or has failed: it cannot get authority.
        (Standing::Sealed, ..) if lost => Some(Action::Land),
        (Standing::Unsealed, ..) if lost && cell.run < cell.current => Some(Action::Land),
        (Standing::Sealed, Some(run), _) => Some(Action::Validate(run)),
        (Standing::Unsealed, _, Some(run)) => Some(Action::Restart(run)),
        (Standing::Failed, ..) => Some(Action::Retry),
        (Standing::Validated | Standing::Sealed | Standing::Unsealed, ..) => None,
    }
}
