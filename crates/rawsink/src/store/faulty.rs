//! A store that injects faults before and after the operations of another store.
//!
//! A fault before an operation prevents it. A fault after an operation loses its answer. A seal
//! whose answer is lost is `Unknown`, regardless of the fault's kind: the contract of
//! [`Upload::seal`] says so.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::{
    Discarded, Leftover, Object, Presence, Reading, Restoration, RunObjects, SealDocument,
    StartOptions, Store, StorePath, Stored, Upload, WriterToken,
};
use crate::error::{Error, ErrorKind, Result};

/// An operation of a store or of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is named after its method; `Chunk` is one chunk of a reading"
)]
pub enum Operation {
    Inspect,
    Start,
    Append,
    Complete,
    Seal,
    Abort,
    Read,
    Chunk,
    Sync,
    Children,
    Walk,
    Leftovers,
    Discard,
    Restore,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 14] = [
        Self::Inspect,
        Self::Start,
        Self::Append,
        Self::Complete,
        Self::Seal,
        Self::Abort,
        Self::Read,
        Self::Chunk,
        Self::Sync,
        Self::Children,
        Self::Walk,
        Self::Leftovers,
        Self::Discard,
        Self::Restore,
    ];
}

/// Whether the fault is injected before or after the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The operation never happens.
    Before,
    /// The operation happens and its answer is lost.
    After,
}

/// The calls of the operation that get the fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Only the n-th call, counted from 1.
    Nth(u64),
    /// Every call.
    Always,
    /// Each call with this probability, from the store's seed.
    Chance(f64),
}

/// A fault to inject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InjectedFault {
    /// The operation.
    pub operation: Operation,
    /// Before or after the operation.
    pub side: Side,
    /// The kind of the returned error.
    pub kind: ErrorKind,
    /// The calls that get the fault.
    pub when: When,
}

/// A store that injects faults into another store.
#[derive(Debug, Clone)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Arc<Plan>,
}

struct Plan {
    faults: Vec<InjectedFault>,
    state: Mutex<PlanState>,
}

#[derive(Debug, Default)]
struct PlanState {
    calls: Vec<Operation>,
    random: u64,
    injected: u64,
}

impl<S: Store> FaultyStore<S> {
    /// Creates a store that injects `faults` into `inner`; `seed` decides [`When::Chance`].
    pub fn new(inner: S, faults: impl IntoIterator<Item = InjectedFault>, seed: u64) -> Self {
        let state = Mutex::new(PlanState { random: seed, ..PlanState::default() });
        Self { inner, plan: Arc::new(Plan { faults: faults.into_iter().collect(), state }) }
    }

    /// Returns the operations called so far, in order.
    pub fn calls(&self) -> Vec<Operation> {
        self.plan.lock().calls.clone()
    }

    /// Returns the number of faults injected so far.
    pub fn injected(&self) -> u64 {
        self.plan.lock().injected
    }
}

impl Plan {
    fn lock(&self) -> std::sync::MutexGuard<'_, PlanState> {
        self.state.lock().expect("no holder of the lock panics")
    }

    /// Records a call and returns the faults before and after it.
    fn call(&self, operation: Operation) -> (Result<()>, Result<()>) {
        let mut state = self.lock();
        state.calls.push(operation);
        let count = state.calls.iter().filter(|called| **called == operation).count() as u64;
        let mut met = |side| {
            let candidates = self
                .faults
                .iter()
                .filter(|fault| fault.operation == operation && fault.side == side);
            let fault = candidates.copied().find(|fault| state.meets(fault.when, count));
            state.injected += u64::from(fault.is_some());
            fault.map_or(Ok(()), |fault| Err(injected(fault)))
        };
        (met(Side::Before), met(Side::After))
    }
}

impl PlanState {
    fn meets(&mut self, when: When, count: u64) -> bool {
        match when {
            When::Always => true,
            When::Nth(nth) => nth == count,
            When::Chance(chance) => self.unit() < chance,
        }
    }

    /// Returns the next number from 0 to 1 (the generator `SplitMix64`).
    fn unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits are left");
        f64::from(high) / f64::from(u32::MAX)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("faults", &self.faults).finish_non_exhaustive()
    }
}

fn injected(fault: InjectedFault) -> Error {
    let InjectedFault { operation, side, kind, .. } = fault;
    let lost_seal = operation == Operation::Seal && side == Side::After;
    let kind = if lost_seal { ErrorKind::Unknown } else { kind };
    Error::new(kind, format!("injected {side:?} {operation:?}"))
}

impl<S: Store> crate::internal::Internal for FaultyStore<S> {}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        let (before, after) = self.plan.call(Operation::Inspect);
        before?;
        let found = self.inner.inspect(run).await;
        after.and(found)
    }

    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>> {
        let (before, after) = self.plan.call(Operation::Start);
        before?;
        let started = self.inner.start(run, options).await;
        let inner = after.and(started)?;
        Ok(Box::new(FaultyUpload { inner, plan: self.plan.clone() }))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        let (before, after) = self.plan.call(Operation::Read);
        before?;
        let opened = self.inner.read(run, object, offset).await;
        let Reading { bytes, tag, chunks, file: _ } = after.and(opened)?;
        let plan = self.plan.clone();
        let chunks = chunks.map(move |chunk| {
            let (before, after) = plan.call(Operation::Chunk);
            before.and(after).and(chunk)
        });
        Ok(Reading { bytes, tag, chunks: chunks.boxed(), file: None })
    }

    async fn sync(&self, runs: &[StorePath]) -> Result<()> {
        let (before, after) = self.plan.call(Operation::Sync);
        before?;
        let synced = self.inner.sync(runs).await;
        after.and(synced)
    }

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        let (before, after) = self.plan.call(Operation::Children);
        match before.and(after) {
            Ok(()) => self.inner.children(dir),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        let (before, after) = self.plan.call(Operation::Walk);
        match before.and(after) {
            Ok(()) => self.inner.walk(dir),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn prefix_bytes(&self) -> usize {
        self.inner.prefix_bytes()
    }

    fn presence(&self) -> Presence {
        self.inner.presence()
    }

    /// A fault hides one leftover. The following ones are returned.
    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        let plan = self.plan.clone();
        let found = self.inner.leftovers(dir).map(move |found| {
            let (before, after) = plan.call(Operation::Leftovers);
            before.and(after).and(found)
        });
        found.boxed()
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        let (before, after) = self.plan.call(Operation::Discard);
        before?;
        let discarded = self.inner.discard(leftover).await;
        after.and(discarded)
    }

    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        let (before, after) = self.plan.call(Operation::Restore);
        before?;
        let restored = self.inner.restore(run, token, restoration).await;
        after.and(restored)
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn Upload>,
    plan: Arc<Plan>,
}

impl crate::internal::Internal for FaultyUpload {}

#[async_trait]
impl Upload for FaultyUpload {
    fn part_bytes(&self) -> usize {
        self.inner.part_bytes()
    }

    async fn append(&mut self, part: Bytes) -> Result<()> {
        let (before, after) = self.plan.call(Operation::Append);
        before?;
        let appended = self.inner.append(part).await;
        after.and(appended)
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        let (before, after) = self.plan.call(Operation::Complete);
        before?;
        let completed = self.inner.complete(last).await;
        after.and(completed)
    }

    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        let (before, after) = self.plan.call(Operation::Seal);
        before?;
        let sealed = self.inner.seal(document).await;
        match (after, sealed) {
            (Err(lost), Ok(token)) => Err(lost.by_writer(&token)),
            (after, sealed) => after.and(sealed),
        }
    }

    async fn abort(self: Box<Self>) {
        // An abort reports nothing, so a fault before it only prevents it.
        let (before, _) = self.plan.call(Operation::Abort);
        if before.is_ok() {
            self.inner.abort().await;
        }
    }
}
