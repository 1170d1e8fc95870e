//! Plans the actions after which every cell is validated.

use super::{Cell, Coverage, Standing};
use rawsink::{
    partition::{LogicalDate, RunId},
    state::Series,
};

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep<'a> {
    /// The customer's query.
    pub series: &'a Series,
    /// The reporting day.
    pub day: LogicalDate,
    /// The action.
    pub action: Action<'a>,
}

/// The action for a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Extract and land a new run: no existing run can get authority.
    Land,
    /// Extract and land this run again: it was started and never sealed.
    Restart(&'a RunId),
    /// Validate this run: it is sealed and needs a verdict.
    Validate(&'a RunId),
    /// Withdraw this run: it has authority, is lost, and its id is later than now, so that no new run
    /// could get authority. Then [`Land`](Self::Land).
    Withdraw(&'a RunId),
}

impl Coverage {
    /// Returns the actions, by row and day. A run whose id is later than `newest`, the id that a new run
    /// would get now, cannot be superseded.
    ///
    /// A run that state or verdict log name is never written again: its bytes would differ from those
    /// that were validated. A partition that an operator withdrew needs no action.
    pub fn steps<'a>(&'a self, newest: &'a RunId) -> impl Iterator<Item = PlanStep<'a>> {
        self.cells().flat_map(move |(series, cells)| {
            cells.flat_map(move |cell| {
                let day = cell.day;
                actions(&cell, newest).into_iter().map(move |action| PlanStep {
                    series,
                    day,
                    action,
                })
            })
        })
    }
}

fn actions<'a>(cell: &Cell<'a>, newest: &RunId) -> Vec<Action<'a>> {
    let land = vec![Action::Land];
    let validate = cell.due.map(|run| vec![Action::Validate(run)]);
    match cell.standing {
        Standing::Validated => validate.unwrap_or_default(),
        Standing::Withdrawn => Vec::new(),
        Standing::Sealed | Standing::Failed => validate.unwrap_or(land),
        Standing::Lost => match (validate, cell.current) {
            (Some(validate), _) => validate,
            (None, Some(current)) if current >= newest => {
                vec![Action::Withdraw(current), Action::Land]
            }
            (None, _) => land,
        },
        Standing::Unsealed => match cell.unsealed {
            Some(run) if !cell.unsealed_is_named => vec![Action::Restart(run)],
            _ => land,
        },
        Standing::Missing => land,
    }
}
