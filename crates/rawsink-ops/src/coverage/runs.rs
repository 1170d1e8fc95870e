//! What the log says of the runs of one partition, as small as possible.

use std::num::NonZeroU32;

use super::evidence::{Index, Interned};
use rawsink::{
    partition::RunId,
    state::{Event, LogEntry},
};

/// What the log says of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KnownRun {
    /// The log has an entry about this run.
    pub(super) is_named: bool,
    /// The run has a verdict, and neither a requeue nor a restore since.
    pub(super) has_verdict: bool,
    decision: Decision,
}

/// What an operator decided about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Decision {
    /// Nothing, or the run was restored and has a verdict since.
    #[default]
    None,
    Withdrawn,
    Restored,
}

impl KnownRun {
    pub(super) fn is_withdrawn(self) -> bool {
        self.decision == Decision::Withdrawn
    }

    /// Returns whether the run was restored and has no verdict since.
    pub(super) fn is_restored(self) -> bool {
        self.decision == Decision::Restored
    }
}

/// The runs of a partition with a failure, a withdrawal, a restore or a retry.
#[derive(Debug, Default)]
pub(super) struct UnusualRuns {
    runs: Vec<(NonZeroU32, KnownRun)>,
    ends_with_verdict: bool,
}

impl UnusualRuns {
    /// Adds the next entry of the log.
    pub(super) fn add(&mut self, entry: &LogEntry, table: &mut Interned<RunId>) {
        self.ends_with_verdict = matches!(entry.event, Event::Passed | Event::Failed);
        let Some(index) = entry.run_id.as_ref().and_then(|run| table.index(run)) else {
            self.runs.iter_mut().for_each(|(_, known)| known.has_verdict = false);
            return;
        };
        let at = self.runs.iter().position(|(run, _)| *run == index).unwrap_or_else(|| {
            self.runs.push((index, KnownRun::default()));
            self.runs.len() - 1
        });
        let known = &mut self.runs[at].1;
        known.is_named = true;
        match entry.event {
            Event::Passed | Event::Failed => {
                known.has_verdict = true;
                if known.is_restored() {
                    known.decision = Decision::None;
                }
            }
            Event::Withdrawn => known.decision = Decision::Withdrawn,
            Event::Restored => (known.has_verdict, known.decision) = (false, Decision::Restored),
            Event::Requeued => known.has_verdict = false,
        }
    }

    /// Returns what is known of a run.
    pub(super) fn of(&self, run: Index) -> KnownRun {
        let found = self.runs.iter().find(|(index, _)| Some(*index) == run);
        found.map(|(_, known)| *known).unwrap_or_default()
    }

    pub(super) fn has_withdrawn(&self) -> bool {
        self.runs.iter().any(|(_, known)| known.is_withdrawn())
    }

    /// Returns whether the newest entry is a verdict: if the record is pending all the same, other
    /// software set it to pending.
    pub(super) fn ends_with_verdict(&self) -> bool {
        self.ends_with_verdict
    }
}
