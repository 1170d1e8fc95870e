//! A state in memory, for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Change, Entry, Filter, PartitionState, Record, Table};
use crate::{error::Result, partition::PartitionKey};

/// The state in memory, dropped with its last clone. Clones share the records.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    records: Arc<Mutex<BTreeMap<PartitionKey, Record>>>,
}

impl MemoryState {
    /// Creates an empty state.
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<PartitionKey, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl crate::internal::Internal for MemoryState {}

#[async_trait]
impl PartitionState for MemoryState {
    async fn init(&self) -> Result<Table> {
        Ok(Table::Found)
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        Ok(self.records().get(key).cloned())
    }

    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        super::check_count(keys)?;
        let records = self.records();
        let found = keys.iter().filter_map(|key| {
            let record = records.get(key)?.clone();
            Some(Ok(Entry { key: key.clone(), record }))
        });
        Ok(found.collect())
    }

    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let Filter { partitions, status } = filter;
        let records = self.records().clone();
        let passing = records.into_iter().filter(|(key, record)| {
            partitions.contains(key) && status.is_none_or(|status| status == record.status)
        });
        passing.for_each(|(key, record)| take(Ok(Entry { key, record })));
        Ok(())
    }

    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let mut records = self.records();
        let next = change.apply(records.get(key), now);
        if let Some(next) = &next {
            records.insert(key.clone(), next.clone());
        }
        Ok(next)
    }
}
