//! The properties of every state and transition, with the numbers of `docs/semantics.md`.

use rawsink::{
    RunId,
    state::{Change, History, Record, replay},
};
use stateright::Property;

use super::{Authority, AuthorityState, Step};

/// Authority never moves to an older run, and never ends, by itself.
pub const G13: &str = "G13: authority ends or moves to an older run only by a withdrawal, a failure of that run or other software";
/// No verdict is lost.
pub const G14: &str = "G14: every verdict that was recorded counts as an attempt";
/// Each run is judged once.
pub const JUDGED_ONCE: &str =
    "G14: a batch judges no run twice unless it was requeued or restored in between";
/// A withdrawn run has no authority.
pub const WITHDRAWN: &str = "G19: a withdrawn run has no authority";
/// The log explains the record.
pub const REPLAY: &str =
    "replaying the log reproduces the record, unless other software changed it";
/// Validation converges.
pub const NEWEST: &str = "one undisturbed `validate --all` later, the newest good run that is not withdrawn has authority";

/// What the model remembers to judge the library.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ghost {
    /// The runs with a verdict that still counts.
    judged: Vec<RunId>,
    /// Whether a batch judged one of them again.
    judged_twice: bool,
    /// Whether authority moved as it must not.
    moved: bool,
    /// Number of verdicts that were recorded.
    verdicts: u64,
    /// Whether other software changed the record.
    is_foreign: bool,
}

impl Ghost {
    /// A batch recorded a verdict.
    pub(crate) fn judged(&mut self, run: &RunId) {
        self.judged_twice |= self.judged.contains(run);
        self.judged_again(run);
    }

    /// A person had a run judged, which is always recorded.
    pub(crate) fn judged_again(&mut self, run: &RunId) {
        self.verdicts += 1;
        if !self.judged.contains(run) {
            self.judged.push(run.clone());
            self.judged.sort_unstable();
        }
    }

    pub(crate) fn is_due(&mut self, run: &RunId) {
        self.judged.retain(|judged| judged != run);
    }

    pub(crate) fn all_are_due(&mut self) {
        self.judged.clear();
    }

    pub(crate) fn reset(&mut self) {
        self.all_are_due();
        self.is_foreign = true;
    }

    /// Compares the authority before and after a step.
    pub(crate) fn moves(&mut self, before: &AuthorityState, step: &Step, after: &History) {
        let Some(was) = authority(&before.history) else { return };
        let is_kept = authority(after).is_some_and(|is| is >= was);
        let is_withdrawn = matches!(step, Step::Withdraw(run) if run == was);
        self.moved |= !is_kept && !is_withdrawn && *step != Step::Reset;
    }
}

impl Authority {
    pub(super) fn all_properties() -> Vec<Property<Self>> {
        vec![
            Property::always(G13, |_, state: &AuthorityState| !state.ghost.moved),
            Property::always(G14, |_, state: &AuthorityState| {
                let attempts = state.history.record().map_or(0, |record| record.attempt_count);
                attempts == state.ghost.verdicts
            }),
            Property::always(JUDGED_ONCE, |_, state: &AuthorityState| !state.ghost.judged_twice),
            Property::always(WITHDRAWN, |_, state: &AuthorityState| {
                authority(&state.history).is_none_or(|run| state.history.withdrawal(run).is_none())
            }),
            Property::always(REPLAY, |_, state: &AuthorityState| {
                state.ghost.is_foreign
                    || replay(state.history.entries()).as_ref() == state.history.record()
            }),
            Property::always(NEWEST, Self::converges),
        ]
    }

    /// Validates the due runs until none is left, and compares the authority with the newest good run.
    fn converges(&self, state: &AuthorityState) -> bool {
        let (mut history, sealed) = (state.history.clone(), self.sealed(state));
        for run in history.due(sealed).into_iter().cloned().collect::<Vec<_>>() {
            self.change(&mut history, &Change::VerdictIfDue(self.verdict(&run)));
        }
        let is_good = |run: &&RunId| self.passes(run) && history.withdrawal(run).is_none();
        history.due(sealed).is_empty() && authority(&history) == sealed.iter().rev().find(is_good)
    }
}

fn authority(history: &History) -> Option<&RunId> {
    history.record().and_then(Record::authoritative_run)
}
