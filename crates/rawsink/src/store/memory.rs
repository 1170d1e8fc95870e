//! The reference store: exact, in memory, without waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;

use super::{
    Discarded, Leftover, LeftoverPolicy, Object, ObjectInfo, Presence, Reading, RunObjects,
    SealDocument, StartOptions, Store, StorePath, Stored, Upload, WriterToken,
};
use crate::error::Result;

const CHUNK_BYTES: usize = 64 * 1024;

/// A store in memory. Clones share the content.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    runs: Arc<Mutex<BTreeMap<StorePath, Run>>>,
    part_bytes: Option<usize>,
}

#[derive(Debug, Default)]
struct Run {
    payload: Option<(Bytes, Timestamp)>,
    seal: Option<(Bytes, Timestamp)>,
    writer_active: bool,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty store with parts of `part_bytes`.
    pub fn with_part_bytes(part_bytes: usize) -> Self {
        Self { part_bytes: Some(part_bytes), ..Self::default() }
    }

    /// Replaces or deletes an object, as software that ignores the rules would.
    pub fn tamper(&self, run: &StorePath, object: Object, content: Option<Bytes>) {
        let mut runs = self.lock();
        let run = runs.entry(run.clone()).or_default();
        let content = content.map(|bytes| (bytes, Timestamp::UNIX_EPOCH));
        match object {
            Object::Payload => run.payload = content,
            Object::Seal => run.seal = content,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StorePath, Run>> {
        self.runs.lock().expect("no holder of the lock panics")
    }
}

impl Run {
    fn objects(&self) -> RunObjects {
        RunObjects { payload: self.payload.as_ref().map(info), seal: self.seal.as_ref().map(info) }
    }

    fn content(&self, object: Object) -> Option<&Bytes> {
        let content = match object {
            Object::Payload => &self.payload,
            Object::Seal => &self.seal,
        };
        content.as_ref().map(|(bytes, _)| bytes)
    }
}

fn info((bytes, modified): &(Bytes, Timestamp)) -> ObjectInfo {
    ObjectInfo { bytes: bytes.len() as u64, modified: *modified }
}

impl crate::internal::Internal for MemoryStore {}

#[async_trait]
impl Store for MemoryStore {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        Ok(self.lock().get(run).map(Run::objects).unwrap_or_default())
    }

    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>> {
        let mut runs = self.lock();
        let entry = runs.entry(run.clone()).or_default();
        if entry.seal.is_some() {
            return Err(super::already_sealed());
        }
        if entry.writer_active {
            return Err(super::writer_active());
        }
        if let (LeftoverPolicy::Refuse, Some(left)) = (options.leftover, entry.objects().payload) {
            return Err(super::leftover_refused(left, options.now));
        }
        entry.writer_active = true;
        let (store, run) = (self.clone(), run.clone());
        let rows = BytesMut::new();
        Ok(Box::new(MemoryUpload { store, run, options, rows, owns_payload: false }))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        let content = self.lock().get(run).and_then(|run| run.content(object)).cloned();
        let mut rest = content.ok_or_else(|| super::object_missing(object))?;
        let bytes = rest.len() as u64;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX).min(rest.len());
        let _ = rest.split_to(skip);
        let chunks = stream::iter(std::iter::from_fn(move || {
            let chunk = rest.split_to(CHUNK_BYTES.min(rest.len()));
            (!chunk.is_empty()).then_some(Ok(chunk))
        }));
        Ok(Reading { bytes, chunks: chunks.boxed() })
    }

    async fn sync(&self, _runs: &[StorePath]) -> Result<()> {
        Ok(())
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        let stored = self.stored_below(dir);
        let names = stored.iter().filter_map(|stored| stored.dir.below(dir)?.split('/').next());
        let names: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        stream::iter(self.stored_below(dir).into_iter().map(Ok)).boxed()
    }

    fn prefix_bytes(&self) -> usize {
        0
    }

    fn presence(&self) -> Presence {
        Presence::Lock
    }

    /// Streams payloads only: the rows of an attempt are not visible.
    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        super::unsealed::unsealed_payloads(self.walk(dir))
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(&leftover.run) else { return Ok(Discarded::Gone) };
        let found = run.objects();
        Ok(match found.payload {
            _ if run.writer_active => Discarded::InUse,
            _ if found.seal.is_some() => Discarded::Sealed,
            None => Discarded::Gone,
            Some(info) if !leftover.is(info) => Discarded::Changed,
            Some(_) => {
                run.payload = None;
                Discarded::Removed
            }
        })
    }
}

impl MemoryStore {
    fn stored_below(&self, dir: &StorePath) -> Vec<Stored> {
        let runs = self.lock();
        let mut found: Vec<Stored> = Vec::new();
        for (path, run) in runs.iter() {
            let visible = path
                .below(dir)
                .is_some_and(|rest| !rest.split('/').any(|name| name.starts_with('.')));
            let objects = run.objects();
            let both = [(Object::Seal, objects.seal), (Object::Payload, objects.payload)];
            for (object, info) in both.into_iter().filter(|_| visible) {
                found.extend(info.map(|info| Stored { dir: path.clone(), object, info }));
            }
        }
        found.sort_by_cached_key(|stored| stored.dir.join(stored.object.file_name()));
        found
    }
}

#[derive(Debug)]
struct MemoryUpload {
    store: MemoryStore,
    run: StorePath,
    options: StartOptions,
    rows: BytesMut,
    /// Whether this attempt wrote the payload.
    owns_payload: bool,
}

impl crate::internal::Internal for MemoryUpload {}

#[async_trait]
impl Upload for MemoryUpload {
    fn part_bytes(&self) -> usize {
        self.store.part_bytes.unwrap_or(CHUNK_BYTES)
    }

    async fn append(&mut self, part: Bytes) -> Result<()> {
        self.rows.extend_from_slice(&part);
        Ok(())
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        self.append(last).await?;
        let mut runs = self.store.lock();
        let run = runs.entry(self.run.clone()).or_default();
        if run.seal.is_some() {
            return Err(super::already_sealed());
        }
        run.payload = Some((self.rows.split().freeze(), self.options.now));
        self.owns_payload = true;
        Ok(())
    }

    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        let mut runs = self.store.lock();
        let run = runs.entry(self.run.clone()).or_default();
        if run.seal.is_some() {
            return Err(super::already_sealed());
        }
        run.seal = Some((document(&self.options.token), self.options.now));
        Ok(self.options.token.clone())
    }

    async fn abort(self: Box<Self>) {}
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        let mut runs = self.store.lock();
        let Some(run) = runs.get_mut(&self.run) else { return };
        run.writer_active = false;
        if self.owns_payload && run.seal.is_none() {
            run.payload = None;
        }
    }
}
