//! Plans the actions after which every cell is validated.

use super::{Cell, Coverage, Standing, place};
use rawsink::{
    partition::{LogicalDate, PartitionKey, RunId},
    state::{Series, Status},
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
    /// Withdraw this run: its id is a time in the future, and it keeps a run that passed from authority.
    Release(&'a RunId),
    /// After [`Land`](Self::Land), withdraw this run: it cannot be read, the record names it, and its id
    /// is later than that of the new run, which would get no verdict.
    Withdraw(&'a RunId),
}

impl PlanStep<'_> {
    /// Returns the logical partition.
    pub fn key(&self) -> PartitionKey {
        key(self.series, self.day)
    }
}

/// Returns the logical partition of a cell.
pub(super) fn key(series: &Series, day: LogicalDate) -> PartitionKey {
    place(series, Some(day)).partition().expect("it has all four levels")
}

impl Coverage {
    /// Returns the actions, by row and day. A run whose id is later than `newest`, the id that a new run
    /// would get now, cannot be superseded.
    ///
    /// A run that state or verdict log name is never written again: its bytes would differ from those
    /// that were validated. A partition that an operator withdrew needs no action, and one that cannot be
    /// listed allows none.
    ///
    /// After two plans every cell is validated. A run that fails its validation costs one plan more, and so
    /// does a second run of the future, to which authority returns.
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

/// Returns the actions for a cell.
pub(super) fn actions<'a>(cell: &Cell<'a>, newest: &RunId) -> Vec<Action<'a>> {
    // The run that the record names, even if it failed: an older run gets no verdict beside it.
    let is_pending = matches!(cell.status, None | Some(Status::Pending));
    let named = cell.current.filter(|_| !is_pending);
    let would_be_due = |run: &RunId| named.is_none_or(|named| run > named);
    let land = || match named {
        Some(named) if !would_be_due(newest) => vec![Action::Land, Action::Withdraw(named)],
        _ => vec![Action::Land],
    };
    match cell.standing {
        // Nothing is known of an unreadable partition: a person has to make it readable.
        Standing::Withdrawn | Standing::Unreadable => Vec::new(),
        Standing::Validated => {
            let released = cell.current.filter(|_| cell.drift.blocked).map(Action::Release);
            cell.due.map(Action::Validate).or(released).into_iter().collect()
        }
        // An older run would not take authority from the lost one.
        Standing::Lost => match cell.due.filter(|due| would_be_due(due)) {
            Some(due) => vec![Action::Validate(due)],
            None => land(),
        },
        Standing::Sealed | Standing::Failed => match cell.due {
            Some(due) => vec![Action::Validate(due)],
            None => land(),
        },
        Standing::Unsealed => match cell.unsealed {
            Some(run) if !cell.unsealed_is_named && would_be_due(run) && run <= newest => {
                vec![Action::Restart(run)]
            }
            _ => land(),
        },
        Standing::Missing => land(),
    }
}
