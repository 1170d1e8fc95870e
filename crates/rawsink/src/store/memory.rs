//! The reference store: exact, in memory, without waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::{
    Discarded, Leftover, LeftoverPolicy, Object, ObjectInfo, ObjectTag, Presence, Reading,
    Restoration, RunObjects, SealDocument, StartOptions, Store, StorePath, Stored, Upload,
    WriterToken,
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
    payload: Option<Content>,
    seal: Option<Content>,
    writer_active: bool,
}

/// The content of an object. Its tag is that of the bytes, as object storage computes it.
#[derive(Debug, Clone)]
struct Content {
    bytes: Bytes,
    info: ObjectInfo,
}

impl Content {
    fn new(bytes: Bytes, modified: Timestamp) -> Self {
        let tag = Some(ObjectTag::of(&bytes));
        Self { info: ObjectInfo { bytes: bytes.len() as u64, modified, tag }, bytes }
    }
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
        let content = content.map(|bytes| Content::new(bytes, Timestamp::UNIX_EPOCH));
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
        let info = |content: &Content| content.info;
        RunObjects { payload: self.payload.as_ref().map(info), seal: self.seal.as_ref().map(info) }
    }

    /// Checks that an object may be restored: the run is sealed, with this seal if one is given.
    fn check_sealed(&self, seal: Option<&Bytes>) -> Result<()> {
        match self.content(Object::Seal) {
            None => Err(super::not_sealed()),
            Some(_) if self.writer_active => Err(super::writer_active()),
            Some(found) if seal.is_some_and(|seal| *seal != found.bytes) => {
                Err(super::seal_differs())
            }
            Some(_) => Ok(()),
        }
    }

    fn content(&self, object: Object) -> Option<&Content> {
        match object {
            Object::Payload => self.payload.as_ref(),
            Object::Seal => self.seal.as_ref(),
        }
    }
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
        let Content { bytes: mut rest, info } =
            content.ok_or_else(|| super::object_missing(object))?;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX).min(rest.len());
        let _ = rest.split_to(skip);
        let chunks = stream::iter(std::iter::from_fn(move || {
            let chunk = rest.split_to(CHUNK_BYTES.min(rest.len()));
            (!chunk.is_empty()).then_some(Ok(chunk))
        }));
        Ok(Reading { bytes: info.bytes, tag: info.tag, chunks: chunks.boxed(), file: None })
    }

    async fn sync(&self, _runs: &[StorePath]) -> Result<()> {
        Ok(())
    }

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        let stored = self.stored_below(dir);
        let names = stored.iter().filter_map(|stored| stored.dir.below(dir)?.split('/').next());
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        stream::iter(names.collect::<BTreeSet<String>>()).map(Ok).boxed()
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

    /// The restored object gets the time of the seal.
    async fn restore(
        &self,
        run: &StorePath,
        _token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        let (object, seal, chunks) = restoration.into_parts();
        let check = |runs: &BTreeMap<StorePath, Run>| {
            runs.get(run).ok_or_else(super::not_sealed)?.check_sealed(seal.as_ref())
        };
        check(&self.lock())?;
        let chunks: Vec<Bytes> = chunks.try_collect().await?;
        let mut runs = self.lock();
        check(&runs)?;
        let run = runs.entry(run.clone()).or_default();
        let time = run.seal.as_ref().map(|seal| seal.info.modified).unwrap_or_default();
        let content = Some(Content::new(Bytes::from(chunks.concat()), time));
        match object {
            Object::Payload => run.payload = content,
            Object::Seal => run.seal = content,
        }
        Ok(())
    }
}

impl MemoryStore {
    fn stored_below(&self, dir: &StorePath) -> Vec<Stored> {
        let runs = self.lock();
        let mut found: Vec<Stored> = Vec::new();
        for (path, run) in runs.iter() {
            let visible =
                path.below(dir).is_some_and(|rest| !rest.split('/').any(super::is_skipped));
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
        run.payload = Some(Content::new(self.rows.split().freeze(), self.options.now));
        self.owns_payload = true;
        Ok(())
    }

    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        let mut runs = self.store.lock();
        let run = runs.entry(self.run.clone()).or_default();
        if run.seal.is_some() {
            return Err(super::already_sealed());
        }
        run.seal = Some(Content::new(document(&self.options.token), self.options.now));
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
