//! The state in memory: the transition of the library, atomic unless the options say otherwise.

use async_trait::async_trait;
use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, PartitionKey, Result,
    layout::Place,
    state::{Change, Entry, Filter, PartitionState, Record, Table, transition},
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

    fn record(&self, key: &PartitionKey) -> Option<Record> {
        let world = self.0.world.lock();
        world.records.get(&Place::of_partition(key).to_string()).cloned()
    }
}

impl rawsink::Internal for MemoryState {}

#[async_trait]
impl PartitionState for MemoryState {
    async fn init(&self) -> Result<Table> {
        Ok(Table::Found)
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        self.turn().await?;
        let record = self.record(key);
        self.turn().await?;
        Ok(record)
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

    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let Change::Verdict(verdict) = change else {
            return Err(Error::new(ErrorKind::Unsupported, "the simulation has no operator"));
        };
        self.turn().await?;
        let read = self.record(key);
        let lies = self.0.world.lock().lies(Lie::StateIsNotAtomic);
        if lies {
            self.turn().await?;
        }
        let after = transition(read.as_ref(), verdict, now);
        let partition = Place::of_partition(key).to_string();
        let prefix = format!("{PREFIX}/{}/", Place::of_run(key, &verdict.run_id));
        {
            let mut world = self.0.world.lock();
            let before = world.records.insert(partition.clone(), after.clone());
            let judged = StateChange { before: before.as_ref(), verdict, after: &after };
            world.auditor.judged(&partition, &prefix, &judged);
        }
        self.0.trace(|| format!("records {:?} of {}: {after:?}", verdict.outcome, verdict.run_id));
        // The verdict is recorded also if the caller gets an error.
        let _ = self.turn().await;
        Ok(Some(after))
    }
}
