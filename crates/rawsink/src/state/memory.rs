//! A state in memory, for tests.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Change, Cursor, Entry, Filter, History, LogEntry, Origin, Page, PartitionState, Record, Table,
    batch::Batch, page,
};
use crate::{
    error::Result,
    partition::{PartitionKey, Selection},
};

/// The state in memory, dropped with its last clone. Clones share the records.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    histories: Arc<Mutex<BTreeMap<PartitionKey, History>>>,
    origin: Origin,
}

impl MemoryState {
    /// Creates an empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a record, as other software does: the log does not change.
    pub fn set_record(&self, key: &PartitionKey, record: Record) {
        let empty = History::new(None, Some(Vec::new()));
        self.histories().entry(key.clone()).or_insert(empty).set_record(record);
    }

    fn histories(&self) -> MutexGuard<'_, BTreeMap<PartitionKey, History>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(key: &PartitionKey, history: &History) -> Option<Entry> {
        Some(Entry { key: key.clone(), record: history.record()?.clone() })
    }
}

impl crate::internal::Internal for MemoryState {}

#[async_trait]
impl PartitionState for MemoryState {
    async fn init(&self) -> Result<Table> {
        Ok(Table::Found)
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        Ok(self.histories().get(key).and_then(History::record).cloned())
    }

    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        super::check_count(keys)?;
        let histories = self.histories();
        let found = keys.iter().filter_map(|key| Self::entry(key, histories.get(key)?));
        Ok(found.map(Ok).collect())
    }

    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let Filter { partitions, status } = filter;
        let entries: Vec<Entry> = self
            .histories()
            .iter()
            .filter_map(|(key, history)| Self::entry(key, history))
            .collect();
        let passing = entries.into_iter().filter(|Entry { key, record }| {
            partitions.contains(key) && status.is_none_or(|status| status == record.status)
        });
        passing.for_each(|entry| take(Ok(entry)));
        Ok(())
    }

    async fn list_page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<Page> {
        let entries = self.list(filter).await?.into_iter().flatten();
        let keyed = entries.map(|entry| (page::key_values(&entry.key), entry));
        let wanted = keyed.filter(|(key, _)| after.is_none_or(|after| *key > after.key));
        let mut page = Page::default();
        wanted.take(limit.get()).for_each(|(key, entry)| page.add(Ok(entry), key));
        Ok(page.end(limit.get()))
    }

    async fn histories(&self, keys: &[PartitionKey]) -> Result<Vec<Result<History>>> {
        super::check_count(keys)?;
        let histories = self.histories();
        let empty = History::new(None, Some(Vec::new()));
        Ok(keys.iter().map(|key| Ok(histories.get(key).unwrap_or(&empty).clone())).collect())
    }

    async fn scan_log(
        &self,
        partitions: &Selection,
        take: &mut (dyn FnMut(Result<(PartitionKey, LogEntry)>) + Send),
    ) -> Result<bool> {
        let histories = self.histories().clone();
        for (key, history) in histories.iter().filter(|(key, _)| partitions.contains(key)) {
            history.entries().iter().for_each(|entry| take(Ok((key.clone(), entry.clone()))));
        }
        Ok(true)
    }

    async fn change_many(
        &self,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Record>>>> {
        super::check_count(changes)?;
        let mut histories = self.histories();
        let empty = History::new(None, Some(Vec::new()));
        let before = changes
            .iter()
            .map(|(key, _)| (key.clone(), Ok(histories.get(key).unwrap_or(&empty).clone())));
        let batch = Batch::apply(before.collect(), changes, now);
        for (key, (record, _)) in batch.records {
            histories.entry(key).or_insert(empty.clone()).set_record(record);
        }
        for (key, entry) in batch.entries {
            histories.entry(key).or_insert(empty.clone()).append(self.origin.sign(entry));
        }
        Ok(batch.outcomes)
    }
}
