//! What the log says of the runs of one partition, as small as possible.

use std::num::NonZeroU32;

use super::evidence::{Index, Interned, have_lengths};
use rawsink::{
    partition::RunId,
    sink::Run,
    state::{Event, LogEntry, RunSummary, Status},
};

/// The runs of a partition with a failure, a withdrawal, a restore or a retry.
#[derive(Debug, Default)]
pub(super) struct UnusualRuns {
    runs: Vec<UnusualRun>,
    newest: Option<Status>,
    /// Number of entries.
    entries: u32,
}

#[derive(Debug)]
struct UnusualRun {
    index: NonZeroU32,
    summary: RunSummary,
    /// The lengths of `metadata.json` and payload when the run passed.
    lengths: [Option<u64>; 2],
}

impl UnusualRuns {
    /// Adds the next entry of the log.
    pub(super) fn add(&mut self, entry: &LogEntry, table: &mut Interned<RunId>) {
        self.newest = Some(entry.status);
        self.entries = self.entries.saturating_add(1);
        let number = NonZeroU32::MIN.saturating_add(self.entries - 1);
        let Some(index) = entry.run_id.as_ref().and_then(|run| table.index(run)) else {
            self.runs.iter_mut().for_each(|run| run.summary.add(number, entry.event));
            return;
        };
        let at = self.runs.iter().position(|run| run.index == index).unwrap_or_else(|| {
            let (summary, lengths) = (RunSummary::default(), [None; 2]);
            self.runs.push(UnusualRun { index, summary, lengths });
            self.runs.len() - 1
        });
        let run = &mut self.runs[at];
        run.summary.add(number, entry.event);
        if entry.event == Event::Passed {
            run.lengths = [entry.evidence.seal_bytes, entry.evidence.payload_bytes];
        }
    }

    /// Returns what is known of a run.
    pub(super) fn of(&self, run: Index) -> RunSummary {
        self.find(run).map(|found| found.summary).unwrap_or_default()
    }

    /// Returns whether the files of a run have the lengths that it had when it passed.
    pub(super) fn is_intact(&self, index: Index, run: &Run) -> bool {
        let validated = self.find(index).map_or([None; 2], |found| found.lengths);
        have_lengths(validated, [run.seal_bytes, run.payload_bytes])
    }

    fn find(&self, run: Index) -> Option<&UnusualRun> {
        self.runs.iter().find(|unusual| Some(unusual.index) == run)
    }

    pub(super) fn has_withdrawn(&self) -> bool {
        self.runs.iter().any(|run| run.summary.is_withdrawn())
    }

    /// Returns the status of the record after the newest entry.
    pub(super) fn newest(&self) -> Option<Status> {
        self.newest
    }
}
