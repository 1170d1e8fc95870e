//! What the log says of the runs of one partition, as small as possible.

use std::num::NonZeroU32;

use super::evidence::{Index, Interned};
use rawsink::{
    partition::RunId,
    state::{LogEntry, RunSummary, Status},
};

/// The runs of a partition with a failure, a withdrawal, a restore or a retry.
#[derive(Debug, Default)]
pub(super) struct UnusualRuns {
    runs: Vec<(NonZeroU32, RunSummary)>,
    newest: Option<Status>,
    /// Number of entries.
    entries: u32,
}

impl UnusualRuns {
    /// Adds the next entry of the log.
    pub(super) fn add(&mut self, entry: &LogEntry, table: &mut Interned<RunId>) {
        self.newest = Some(entry.status);
        self.entries = self.entries.saturating_add(1);
        let number = NonZeroU32::MIN.saturating_add(self.entries - 1);
        let Some(index) = entry.run_id.as_ref().and_then(|run| table.index(run)) else {
            self.runs.iter_mut().for_each(|(_, summary)| summary.add(number, entry.event));
            return;
        };
        let at = self.runs.iter().position(|(run, _)| *run == index).unwrap_or_else(|| {
            self.runs.push((index, RunSummary::default()));
            self.runs.len() - 1
        });
        self.runs[at].1.add(number, entry.event);
    }

    /// Returns what is known of a run.
    pub(super) fn of(&self, run: Index) -> RunSummary {
        let found = self.runs.iter().find(|(index, _)| Some(*index) == run);
        found.map(|(_, summary)| *summary).unwrap_or_default()
    }

    pub(super) fn has_withdrawn(&self) -> bool {
        self.runs.iter().any(|(_, summary)| summary.is_withdrawn())
    }

    /// Returns the status of the record after the newest entry.
    pub(super) fn newest(&self) -> Option<Status> {
        self.newest
    }
}
