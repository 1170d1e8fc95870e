//! Authority over one partition as a state machine: validators, operators and other software, in every
//! interleaving.
//!
//! The steps are those of `validate --all`, `validate RUN` and the `state` commands. What they write is
//! decided by the library's own pure functions, [`Change::apply`] and [`History::due`]; the model adds
//! only when each actor reads and when it writes. A batch is one atomic step, as in the database. Between
//! the comparison and the batch anything may happen: a withdrawal, another batch, a death.

mod properties;
pub mod report;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use rawsink::{
    RunId,
    state::{Change, History, Outcome, Record, Status, Verdict},
};
use stateright::{Model, Property};

use self::properties::Ghost;
pub use self::properties::{G13, G14, JUDGED_ONCE, NEWEST, REPLAY, WITHDRAWN};

/// What a planted bug changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Planted {
    /// Nothing: the library as it is.
    Nothing,
    /// A batch records its verdicts without checking under the lock that the runs are still due.
    NoCheckUnderLock,
    /// A batch writes the record that it computed from its comparison.
    LostUpdate,
    /// A withdrawal leaves the record as it is.
    RecordKept,
}

impl Planted {
    /// Every planted bug.
    pub const BUGS: [Self; 3] = [Self::NoCheckUnderLock, Self::LostUpdate, Self::RecordKept];

    /// Returns what the bug is, for the report.
    pub fn description(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::NoCheckUnderLock => "a batch does not check under the lock that its runs are due",
            Self::LostUpdate => "a batch writes the record that it computed from its comparison",
            Self::RecordKept => "a withdrawal keeps the record",
        }
    }
}

/// The bounds of an exploration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Whether each run passes; the runs land in this order.
    pub runs: &'static [bool],
    /// Number of calls of `validate --all`, up to two of them at the same time.
    pub batches: u8,
    /// Number of calls of `validate RUN`.
    pub explicit: u8,
    /// Number of withdrawals.
    pub withdrawals: u8,
    /// Number of restores.
    pub restores: u8,
    /// Number of calls of `state retry`.
    pub retries: u8,
    /// Number of times that other software sets the record to pending.
    pub resets: u8,
    /// The planted bug.
    pub planted: Planted,
}

/// What a validator holds between reading and writing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Validator {
    Idle,
    /// It read these runs, and the history before.
    Batch(Vec<RunId>, History),
    /// It read this run, named by a person.
    Explicit(RunId),
}

/// A state of the partition and its actors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuthorityState {
    pub(crate) history: History,
    /// Number of runs that are sealed.
    pub(crate) landed: usize,
    pub(crate) validators: [Validator; 2],
    pub(crate) left: Bounds,
    pub(crate) ghost: Ghost,
}

/// A step of one actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next run is sealed.
    Land,
    /// `validate --all` compares and reads the due runs.
    Compare(usize),
    /// `validate RUN` reads a run.
    Read(usize, RunId),
    /// A validator records its verdicts.
    Record(usize),
    /// A validator dies.
    Die(usize),
    /// An operator withdraws a run.
    Withdraw(RunId),
    /// An operator restores a run.
    Restore(RunId),
    /// An operator sets a failed record to pending.
    Retry,
    /// Other software sets the record to pending.
    Reset,
}

/// The state machine of one exploration.
#[derive(Debug)]
pub struct Authority {
    bounds: Bounds,
    runs: Vec<RunId>,
}

impl Authority {
    /// Creates the state machine.
    pub fn new(bounds: Bounds) -> Self {
        let run = |n: usize| RunId::at(Timestamp::UNIX_EPOCH + Duration::from_secs(n as u64));
        let runs = (1..=bounds.runs.len()).map(run).collect();
        Self { bounds, runs }
    }

    /// Returns whether a run passes.
    pub(crate) fn passes(&self, run: &RunId) -> bool {
        self.runs.iter().position(|known| known == run).is_some_and(|at| self.bounds.runs[at])
    }

    pub(crate) fn sealed(&self, state: &AuthorityState) -> &[RunId] {
        &self.runs[..state.landed]
    }

    fn verdict(&self, run: &RunId) -> Verdict {
        let outcome = if self.passes(run) {
            Outcome::Passed { schema_version: None, record_count: 1 }
        } else {
            Outcome::Failed("bad".into())
        };
        Verdict::new(run.clone(), outcome)
    }

    /// Makes a change in one transaction, and returns whether it changed anything.
    pub(crate) fn change(&self, history: &mut History, change: &Change) -> bool {
        let Some(effect) = change.apply(history, Timestamp::UNIX_EPOCH) else { return false };
        let is_withdrawal = matches!(change, Change::Withdraw { .. });
        if !(is_withdrawal && self.bounds.planted == Planted::RecordKept) {
            history.set_record(effect.record);
        }
        effect.entries.into_iter().for_each(|entry| history.append(entry));
        true
    }

    /// Records verdicts as one batch.
    fn record(&self, next: &mut AuthorityState, due: Vec<RunId>, seen: History) {
        let mut stale = seen;
        for run in due {
            let verdict = self.verdict(&run);
            let change = if self.bounds.planted == Planted::NoCheckUnderLock {
                Change::Verdict(verdict)
            } else {
                Change::VerdictIfDue(verdict)
            };
            let is_recorded = if self.bounds.planted == Planted::LostUpdate {
                let is_recorded = self.change(&mut stale, &change);
                if let Some(record) = stale.record().cloned() {
                    next.history.set_record(record);
                }
                if let (true, Some(entry)) = (is_recorded, stale.entries().last().cloned()) {
                    next.history.append(entry);
                }
                is_recorded
            } else {
                self.change(&mut next.history, &change)
            };
            if is_recorded {
                next.ghost.judged(&run);
            }
        }
    }
}

impl Model for Authority {
    type State = AuthorityState;
    type Action = Step;

    fn init_states(&self) -> Vec<AuthorityState> {
        vec![AuthorityState {
            history: History::new(None, Some(Vec::new())),
            landed: 0,
            validators: [Validator::Idle, Validator::Idle],
            left: self.bounds.clone(),
            ghost: Ghost::default(),
        }]
    }

    fn actions(&self, state: &AuthorityState, steps: &mut Vec<Step>) {
        let left = &state.left;
        if state.landed < self.runs.len() {
            steps.push(Step::Land);
        }
        for (at, validator) in state.validators.iter().enumerate() {
            match validator {
                Validator::Idle => {
                    // The validators are alike: the second one starts only beside the first.
                    if at == 1 && state.validators[0] == Validator::Idle {
                        continue;
                    }
                    if left.batches > 0 {
                        steps.push(Step::Compare(at));
                    }
                    if left.explicit > 0 {
                        let sealed = self.sealed(state).iter();
                        steps.extend(sealed.map(|run| Step::Read(at, run.clone())));
                    }
                }
                Validator::Batch(..) | Validator::Explicit(_) => {
                    steps.extend([Step::Record(at), Step::Die(at)]);
                }
            }
        }
        for run in self.sealed(state) {
            if left.withdrawals > 0 && state.history.withdrawal(run).is_none() {
                steps.push(Step::Withdraw(run.clone()));
            }
            if left.restores > 0 && state.history.withdrawal(run).is_some() {
                steps.push(Step::Restore(run.clone()));
            }
        }
        let status = state.history.record().map(|record| record.status);
        if left.retries > 0 && status == Some(Status::Failed) {
            steps.push(Step::Retry);
        }
        if left.resets > 0 && status.is_some_and(|status| status != Status::Pending) {
            steps.push(Step::Reset);
        }
    }

    fn next_state(&self, last: &AuthorityState, step: Step) -> Option<AuthorityState> {
        let mut next = last.clone();
        match &step {
            Step::Land => next.landed += 1,
            Step::Compare(at) => {
                next.left.batches -= 1;
                let due: Vec<RunId> =
                    last.history.due(self.sealed(last)).into_iter().cloned().collect();
                if due.is_empty() {
                    return None;
                }
                next.validators[*at] = Validator::Batch(due, last.history.clone());
            }
            Step::Read(at, run) => {
                next.left.explicit -= 1;
                if last.history.withdrawal(run).is_some() {
                    return None;
                }
                next.validators[*at] = Validator::Explicit(run.clone());
            }
            Step::Die(at) => next.validators[*at] = Validator::Idle,
            Step::Record(at) => {
                match std::mem::replace(&mut next.validators[*at], Validator::Idle) {
                    Validator::Idle => return None,
                    Validator::Batch(due, seen) => self.record(&mut next, due, seen),
                    Validator::Explicit(run) => {
                        let change = Change::Verdict(self.verdict(&run));
                        if self.change(&mut next.history, &change) {
                            next.ghost.judged_again(&run);
                        }
                    }
                }
            }
            Step::Withdraw(run_id) => {
                next.left.withdrawals -= 1;
                let change = Change::Withdraw { run_id: run_id.clone(), reason: String::new() };
                self.change(&mut next.history, &change);
            }
            Step::Restore(run_id) => {
                next.left.restores -= 1;
                self.change(&mut next.history, &Change::Restore { run_id: run_id.clone() });
                next.ghost.is_due(run_id);
            }
            Step::Retry => {
                next.left.retries -= 1;
                self.change(&mut next.history, &Change::Retry);
                next.ghost.all_are_due();
            }
            Step::Reset => {
                next.left.resets -= 1;
                if let Some(record) = next.history.record().cloned() {
                    next.history.set_record(Record { status: Status::Pending, ..record });
                }
                next.ghost.reset();
            }
        }
        if next.validators[0] == Validator::Idle {
            next.validators.swap(0, 1);
        }
        next.ghost.moves(last, &step, &next.history);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Self::all_properties()
    }
}
