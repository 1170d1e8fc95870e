//! Applies a batch of changes to the histories of their partitions, for every database.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Change, History, LogEntry, Record, StateFault};
use crate::{
    error::{Error, ErrorKind, Result},
    partition::PartitionKey,
};

/// What a batch of changes writes.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The result of each change: the record after it; `None` if it changed nothing.
    pub(super) outcomes: Vec<Result<Option<Record>>>,
    /// The last record of each changed partition, and whether the partition had one before.
    pub(super) records: BTreeMap<PartitionKey, (Record, bool)>,
    /// The new entries of the log, in their order.
    pub(super) entries: Vec<(PartitionKey, LogEntry)>,
}

impl Batch {
    /// Applies changes in their order. `histories` holds the history of every partition.
    pub(super) fn apply<'a>(
        mut histories: BTreeMap<PartitionKey, Result<History>>,
        changes: impl IntoIterator<Item = &'a (PartitionKey, Change)>,
        now: Timestamp,
    ) -> Self {
        let mut batch = Self::default();
        for (key, change) in changes {
            let outcome = match histories.get_mut(key) {
                None => Err(Error::new(ErrorKind::Internal, "the history was not read")),
                Some(Err(error)) => Err(Error::new(error.kind(), error.message())),
                Some(Ok(history)) => batch.change(key, history, change, now),
            };
            batch.outcomes.push(outcome);
        }
        batch
    }

    fn change(
        &mut self,
        key: &PartitionKey,
        history: &mut History,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        if change.needs_log() && !history.has_log() {
            return Err(no_log());
        }
        let Some(effect) = change.apply(history, now) else { return Ok(None) };
        let had_record = history.record().is_some();
        history.set_record(effect.record.clone());
        let written =
            self.records.entry(key.clone()).or_insert((effect.record.clone(), had_record));
        written.0 = effect.record.clone();
        for entry in effect.entries {
            history.append(entry.clone());
            if history.has_log() {
                self.entries.push((key.clone(), entry));
            }
        }
        Ok(Some(effect.record))
    }
}

/// The error of a command that only the log can remember.
fn no_log() -> Error {
    let message = "the state database has no table run_verdict, and this role may not create it";
    Error::new(ErrorKind::Unsupported, message).because(StateFault::NoLog)
}
