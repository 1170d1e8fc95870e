//! `RawSink`: writes and reads partitions in any store.
//!
//! Defines the order of an attempt (rows, payload, seal) and checks rows, metadata and everything
//! that is read. Must not know the backend or the state.

mod copying;
mod digest;
mod document;
mod landed;
mod leftovers;
mod listing;
mod origin;
mod part;
mod reader;
mod restoring;
mod source;
mod unlisted;
mod writer;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use self::document::Document;
pub(crate) use self::reader::Expected;
pub use self::{
    copying::CopyWriter,
    digest::{PayloadSummary, sha256},
    landed::LandedPartition,
    leftovers::RunLeftover,
    listing::Run,
    reader::{PartitionReader, Rows},
    restoring::ReadProgress,
    unlisted::Unlisted,
    writer::{PartitionWriter, Sealed},
};
use crate::{
    error::{Error, Result},
    layout,
    partition::{Metadata, PartitionKey, RunId, Seal, row::DEFAULT_MAX_ROW_BYTES},
    runtime::{Runtime, age},
    store::{LeftoverPolicy, RunObjects, StartOptions, Store, StorePath, WriterToken},
};

/// Writes and reads partitions in any store.
///
/// Cheap to clone; clones share the store.
#[derive(Debug, Clone)]
pub struct RawSink {
    store: Arc<dyn Store>,
    options: SinkOptions,
    runtime: Runtime,
}

/// Limits of rows and the policy for leftovers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkOptions {
    /// Length limit of a row, in bytes without its line feed.
    pub max_row_bytes: usize,
    /// What to do with an unsealed payload of an earlier attempt.
    pub leftover: LeftoverPolicy,
    /// How far the time of a run id may be ahead of this host's clock.
    pub max_run_ahead: Duration,
}

/// Default of [`SinkOptions::max_run_ahead`].
const DEFAULT_MAX_RUN_AHEAD: Duration = Duration::from_hours(1);

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            max_row_bytes: DEFAULT_MAX_ROW_BYTES,
            leftover: LeftoverPolicy::default(),
            max_run_ahead: DEFAULT_MAX_RUN_AHEAD,
        }
    }
}

impl SinkOptions {
    /// Sets the length limit of a row, in bytes without its line feed; 16 MiB unless set.
    #[must_use]
    pub fn max_row_bytes(mut self, bytes: usize) -> Self {
        self.max_row_bytes = bytes;
        self
    }

    /// Sets what to do with an unsealed payload of an earlier attempt; it is replaced unless set.
    #[must_use]
    pub fn leftover(mut self, policy: LeftoverPolicy) -> Self {
        self.leftover = policy;
        self
    }

    /// Sets how far the time of a run id may be ahead of this host's clock; one hour unless set.
    #[must_use]
    pub fn max_run_ahead(mut self, time: Duration) -> Self {
        self.max_run_ahead = time;
        self
    }
}

impl RawSink {
    /// Creates a sink over a store, with the default options and the system's clock.
    pub fn new(store: impl Store) -> Self {
        Self::with(Arc::new(store), SinkOptions::default(), Runtime::default())
    }

    /// Creates a sink over a store.
    pub fn with(store: Arc<dyn Store>, options: SinkOptions, runtime: Runtime) -> Self {
        Self { store, options, runtime }
    }

    /// Starts writing a partition. Nothing is visible before [`PartitionWriter::finalize`].
    ///
    /// Restarts an unsealed run, even with leftovers of earlier attempts (G09).
    ///
    /// # Errors
    /// `AlreadySealed` if the run is sealed, before the caller extracts anything; `Conflict` if
    /// another writer of the run is active; `Invalid` if prefix and key together are too long, or if the
    /// run id is a time [in the future](Self::is_future).
    pub async fn write_partition(
        &self,
        key: &PartitionKey,
        run: &RunId,
    ) -> Result<PartitionWriter> {
        let path = self.run_path(key, run)?;
        self.check_run(run).map_err(|error| error.at(&path))?;
        self.start(key, run, path).await
    }

    /// Starts an attempt, also for a run of the future.
    async fn start(
        &self,
        key: &PartitionKey,
        run: &RunId,
        path: StorePath,
    ) -> Result<PartitionWriter> {
        let options = StartOptions {
            token: WriterToken::new(self.runtime.tokens.next()),
            leftover: self.options.leftover,
            now: self.runtime.clock.now(),
        };
        let upload = self.store.start(&path, options).await.map_err(|error| error.at(&path))?;
        Ok(PartitionWriter::new(upload, key.clone(), run.clone(), self.options.max_row_bytes))
    }

    /// Opens a sealed run.
    ///
    /// # Errors
    /// `NotFound` for a run that does not exist. `NotSealed` for a payload without a seal (G01).
    /// `Corrupt` for an unreadable seal, a missing payload or a payload of the wrong length.
    /// `Unsupported` for a seal of newer software.
    pub async fn open_partition(&self, key: &PartitionKey, run: &RunId) -> Result<PartitionReader> {
        let path = self.run_path(key, run)?;
        let opened = PartitionReader::open(&self.store, &path, self.options.max_row_bytes).await;
        opened.map_err(|error| error.at(&path))
    }

    /// Returns the caller's metadata of a sealed run, and the seal block if this software sealed
    /// it.
    ///
    /// Does not read the payload, so it also works for a damaged run.
    ///
    /// # Errors
    /// `NotFound`, `NotSealed`, `Corrupt` and `Unsupported` as
    /// [`open_partition`](Self::open_partition).
    pub async fn metadata(
        &self,
        key: &PartitionKey,
        run: &RunId,
    ) -> Result<(Metadata, Option<Seal>)> {
        let path = self.run_path(key, run)?;
        let parsed =
            async { Document::read(&self.store, &path).await?.parse(&self.store, &path).await };
        parsed.await.map_err(|error| error.at(&path))
    }

    /// Returns the stored bytes of `metadata.json` of a sealed run. Does not read the payload.
    ///
    /// # Errors
    /// `NotFound` and `NotSealed` as [`open_partition`](Self::open_partition); `Corrupt` for a
    /// document that is too long.
    pub async fn document(&self, key: &PartitionKey, run: &RunId) -> Result<Bytes> {
        let path = self.run_path(key, run)?;
        let read = Document::read(&self.store, &path).await;
        read.map(|document| document.bytes).map_err(|error| error.at(&path))
    }

    /// Returns the bytes of [`document`](Self::document), and checks by a HEAD that they are those of the
    /// stored object. Nothing that was read proves damage before this check.
    ///
    /// # Errors
    /// As [`document`](Self::document); `Unavailable` if they are not.
    pub async fn confirmed_document(&self, key: &PartitionKey, run: &RunId) -> Result<Bytes> {
        let path = self.run_path(key, run)?;
        let read = async {
            let document = Document::read(&self.store, &path).await?;
            document.check(&self.store, &path).await?;
            Ok(document.bytes)
        };
        read.await.map_err(|error: Error| error.at(&path))
    }

    /// Returns the ids of runs that have a payload or a seal, sorted byte by byte.
    ///
    /// A partition without runs is an empty list.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_partitions(&self, key: &PartitionKey) -> Result<Vec<RunId>> {
        Ok(self.list_runs(key).await?.into_iter().map(|run| run.run_id).collect())
    }

    /// Returns length, time and tag of a run's payload and seal. A run that does not exist has neither.
    ///
    /// # Errors
    /// The store's.
    pub async fn inspect(&self, key: &PartitionKey, run: &RunId) -> Result<RunObjects> {
        let path = self.run_path(key, run)?;
        self.store.inspect(&path).await.map_err(|error| error.at(&path))
    }

    /// Makes a run durable, regardless of its writer.
    ///
    /// # Errors
    /// The store's.
    pub async fn sync(&self, key: &PartitionKey, run: &RunId) -> Result<()> {
        let path = self.run_path(key, run)?;
        let synced = self.store.sync(std::slice::from_ref(&path)).await;
        synced.map_err(|error| error.at(&path))
    }

    /// Makes runs durable together, regardless of their writer. This costs less than one call for each.
    ///
    /// # Errors
    /// The store's. Some of the runs may be durable then.
    pub async fn sync_many(&self, runs: &[(PartitionKey, RunId)]) -> Result<()> {
        let paths = runs.iter().map(|(key, run)| self.run_path(key, run));
        let paths = paths.collect::<Result<Vec<_>>>()?;
        self.store.sync(&paths).await
    }

    /// Returns whether a run id is a time that is more than [`SinkOptions::max_run_ahead`] ahead of this
    /// host's clock. If such a run gets authority, no run of today can supersede it.
    pub fn is_future(&self, run: &RunId) -> bool {
        let ahead = run.time().map(|time| age(self.runtime.clock.now(), time));
        ahead.is_some_and(|ahead| ahead > self.options.max_run_ahead)
    }

    /// Checks that a run with this id may be written, as [`write_partition`](Self::write_partition) does.
    ///
    /// # Errors
    /// `Invalid` if the id is a time [in the future](Self::is_future).
    pub fn check_run(&self, run: &RunId) -> Result<()> {
        if self.is_future(run) { Err(self.too_far_ahead(run)) } else { Ok(()) }
    }

    fn too_far_ahead(&self, run: &RunId) -> Error {
        let (now, allowed) =
            (RunId::at(self.runtime.clock.now()), self.options.max_run_ahead.as_secs());
        let message = format!(
            "run id {run} is a time in the future: this host's clock is at {now}, and {allowed} s \
             ahead are allowed; no later run could get authority"
        );
        Error::invalid(message).by_setting("max_run_ahead")
    }

    /// Returns the sink's clock and tokens.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns the length limit of a row, in bytes.
    pub fn max_row_bytes(&self) -> usize {
        self.options.max_row_bytes
    }

    fn run_path(&self, key: &PartitionKey, run: &RunId) -> Result<StorePath> {
        layout::run_path(key, run, self.store.prefix_bytes())
    }
}
