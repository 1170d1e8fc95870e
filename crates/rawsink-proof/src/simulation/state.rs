//! The state in memory: the changes of the library, atomic unless the options say otherwise.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, PartitionKey, Result,
    layout::Place,
    partition::Selection,
    state::{
        Change, Cursor, Entry, Filter, History, LogEntry, Page, PartitionState, Record, Table,
    },
};

use super::{auditor::StateChange, handle::ProcessHandle, options::Lie, plan::PREFIX};

/// The state as one process reaches it.
#[derive(Debug)]
pub(super) struct MemoryState(pub(super) ProcessHandle);

impl MemoryState {
    /// Takes time, and refuses sometimes.
    async fn turn(&self) -> Result<()> {
        let (latency, busy) = {
            let mut world = self.0.world.lock();
            let busy = !world.fair && world.random.happens(50);
            if busy {
                world.encounters.mishap("state busy");
            }
            (world.latency(), busy)
        };
        self.0.wait(latency).await;
        if busy { Err(Error::new(ErrorKind::Unavailable, "the state is busy")) } else { Ok(()) }
    }

    fn read(&self, key: &PartitionKey) -> History {
        let world = self.0.world.lock();
        let known = world.histories.get(&Place::of_partition(key).to_string()).cloned();
        known.unwrap_or_else(|| History::new(None, Some(Vec::new())))
    }

    /// Makes one change.
    async fn make(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let (Change::Verdict(verdict) | Change::VerdictIfDue(verdict)) = change else {
            return Err(Error::new(ErrorKind::Unsupported, "the simulation has no operator"));
        };
        self.turn().await?;
        let mut history = self.read(key);
        let lies = self.0.world.lock().lies(Lie::StateIsNotAtomic);
        if lies {
            self.turn().await?;
        }
        let Some(effect) = change.apply(&history, now) else { return Ok(None) };
        history.set_record(effect.record.clone());
        effect.entries.into_iter().for_each(|entry| history.append(entry));
        let partition = Place::of_partition(key).to_string();
        let prefix = format!("{PREFIX}/{}/", Place::of_run(key, &verdict.run_id));
        {
            let mut world = self.0.world.lock();
            let before = world.histories.insert(partition.clone(), history);
            let before = before.as_ref().and_then(History::record);
            let judged = StateChange { before, verdict, after: &effect.record };
            world.auditor.judged(&partition, &prefix, &judged);
        }
        self.0.trace(|| {
            format!("records {:?} of {}: {:?}", verdict.outcome, verdict.run_id, effect.record)
        });
        // The verdict is recorded also if the caller gets an error.
        let _ = self.turn().await;
        Ok(Some(effect.record))
    }
}

impl rawsink::Internal for MemoryState {}

#[async_trait]
impl PartitionState for MemoryState {
    async fn init(&self) -> Result<Table> {
        Ok(Table::Found)
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        Ok(self.histories(std::slice::from_ref(key)).await?.remove(0)?.record().cloned())
    }

    async fn find(&self, _keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        Err(Error::new(ErrorKind::Unsupported, "the simulation finds no lists of keys"))
    }

    async fn scan(
        &self,
        _filter: &Filter,
        _take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "the simulation scans nothing"))
    }

    async fn list_page(
        &self,
        _filter: &Filter,
        _after: Option<&Cursor>,
        _limit: NonZeroUsize,
    ) -> Result<Page> {
        Err(Error::new(ErrorKind::Unsupported, "the simulation lists no pages"))
    }

    async fn histories(&self, keys: &[PartitionKey]) -> Result<Vec<Result<History>>> {
        self.turn().await?;
        let histories = keys.iter().map(|key| Ok(self.read(key))).collect();
        self.turn().await?;
        Ok(histories)
    }

    async fn scan_log(
        &self,
        _partitions: &Selection,
        _take: &mut (dyn FnMut(Result<(PartitionKey, LogEntry)>) + Send),
    ) -> Result<bool> {
        Err(Error::new(ErrorKind::Unsupported, "the simulation scans nothing"))
    }

    async fn change_many(
        &self,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let mut outcomes = Vec::new();
        for (key, change) in changes {
            outcomes.push(self.make(key, change, now).await);
        }
        Ok(outcomes)
    }
}
