//! `RawSink`: partitions on top of any store.
//!
//! Owns the order of an attempt (rows, payload, seal), the checks of rows and metadata, and the
//! checks of what is read. Must not know which backend is below, nor anything of state.

mod copying;
mod digest;
mod landed;
mod leftovers;
mod listing;
mod part;
mod reader;
mod source;
mod writer;

use std::sync::Arc;

use bytes::Bytes;

pub use self::{
    copying::CopyWriter,
    digest::PayloadSummary,
    landed::Landed,
    leftovers::RunLeftover,
    listing::Run,
    reader::{PartitionReader, Rows},
    writer::{PartitionWriter, Sealed},
};
use crate::{
    clock::Surroundings,
    config::{Settings, SinkKind},
    error::{Error, Result},
    key::{PartitionKey, RunId},
    layout,
    metadata::{self, Metadata, Seal},
    row::DEFAULT_MAX_ROW_BYTES,
    store::{Attempt, FsStore, LeftoverPolicy, RunObjects, S3Store, Store, StorePath, WriterToken},
};

/// Where partitions are landed and read, whatever backend is below (specification, section 2).
///
/// Cheap to clone; clones share the store.
#[derive(Debug, Clone)]
pub struct RawSink {
    store: Arc<dyn Store>,
    options: SinkOptions,
    surroundings: Surroundings,
}

/// How a sink treats rows and leftovers.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Longest row in bytes.
    pub max_row_bytes: usize,
    /// What to do about a payload that an earlier attempt left without a seal.
    pub leftover: LeftoverPolicy,
    /// Length of the prefix that the store puts before every key, in bytes.
    pub prefix_bytes: usize,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            max_row_bytes: DEFAULT_MAX_ROW_BYTES,
            leftover: LeftoverPolicy::default(),
            prefix_bytes: 0,
        }
    }
}

impl RawSink {
    /// Makes a sink over a store, with the default options and the system's clock.
    pub fn new(store: impl Store) -> Self {
        Self::with(Arc::new(store), SinkOptions::default(), Surroundings::default())
    }

    /// Makes a sink over a store.
    pub fn with(store: Arc<dyn Store>, options: SinkOptions, surroundings: Surroundings) -> Self {
        Self { store, options, surroundings }
    }

    /// Makes the sink that the settings select (specification, section 5). Touches nothing yet.
    ///
    /// # Errors
    /// `Invalid` for settings that name no usable place.
    pub fn open(settings: &Settings) -> Result<Self> {
        Self::open_in(settings, Surroundings::default())
    }

    /// Makes the sink that the settings select, with a clock, tokens and notices of the caller's.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(settings: &Settings, surroundings: Surroundings) -> Result<Self> {
        let (store, prefix_bytes) = match settings.sink {
            SinkKind::Filesystem => {
                let store = FsStore::new(&settings.root)?.blocking(settings.blocking);
                (Arc::new(store) as Arc<dyn Store>, 0)
            }
            SinkKind::Object => {
                let missing = || Error::invalid("the object sink needs the settings of its bucket");
                let object = settings.object.as_ref().ok_or_else(missing)?;
                (
                    Arc::new(S3Store::new(object, surroundings.clone())?) as Arc<dyn Store>,
                    object.prefix.len(),
                )
            }
        };
        let options = SinkOptions {
            max_row_bytes: settings.max_row_bytes,
            leftover: settings.leftover,
            prefix_bytes,
        };
        Ok(Self::with(store, options, surroundings))
    }

    /// Starts writing a partition. Nothing is visible before [`PartitionWriter::finalize`].
    ///
    /// An unsealed run is started again, whatever an earlier attempt left (G09).
    ///
    /// # Errors
    /// `AlreadySealed` where the run is sealed, before anything is extracted; `Conflict` where
    /// another writer of this run is at work; `Invalid` for names that are too long together.
    pub async fn write_partition(
        &self,
        key: &PartitionKey,
        run: &RunId,
    ) -> Result<PartitionWriter> {
        let path = self.run_path(key, run)?;
        let attempt = Attempt {
            token: WriterToken::new(self.surroundings.tokens.next()),
            leftover: self.options.leftover,
            now: self.surroundings.clock.now(),
        };
        let upload = self.store.start(&path, attempt).await.map_err(|error| error.at(&path))?;
        Ok(PartitionWriter::new(upload, key.clone(), run.clone(), self.options.max_row_bytes))
    }

    /// Opens a sealed run.
    ///
    /// # Errors
    /// `NotFound` where nothing is there, `NotSealed` where only a payload is (G01), `Corrupt`
    /// where the seal is unreadable, its payload missing or of another length, `Unsupported` where
    /// newer software sealed.
    pub async fn open_partition(&self, key: &PartitionKey, run: &RunId) -> Result<PartitionReader> {
        let path = self.run_path(key, run)?;
        let opened = PartitionReader::open(&*self.store, &path, self.options.max_row_bytes).await;
        opened.map_err(|error| error.at(&path))
    }

    /// Returns what `metadata.json` of a sealed run says: the caller's metadata, and the seal block
    /// where this software sealed. Looks at no payload, so that it answers for a damaged run, too.
    ///
    /// # Errors
    /// `NotFound`, `NotSealed`, `Corrupt` and `Unsupported` as [`open_partition`](Self::open_partition).
    pub async fn metadata(
        &self,
        key: &PartitionKey,
        run: &RunId,
    ) -> Result<(Metadata, Option<Seal>)> {
        let path = self.run_path(key, run)?;
        let document = self.document(key, run).await?;
        metadata::parse_sealed(&document).map_err(|error| error.at(&path))
    }

    /// Returns `metadata.json` of a sealed run as it is stored, byte for byte; looks at no payload.
    ///
    /// # Errors
    /// `NotFound` and `NotSealed` as [`open_partition`](Self::open_partition); `Corrupt` for one that
    /// is too long.
    pub async fn document(&self, key: &PartitionKey, run: &RunId) -> Result<Bytes> {
        let path = self.run_path(key, run)?;
        let read = PartitionReader::read_document(&*self.store, &path).await;
        read.map_err(|error| error.at(&path))
    }

    /// Returns the run ids that have a payload or a seal, sealed or not, sorted by bytes.
    ///
    /// # Errors
    /// The store's; a partition that has no run is an empty list.
    pub async fn list_partitions(&self, key: &PartitionKey) -> Result<Vec<RunId>> {
        Ok(self.list_runs(key).await?.into_iter().map(|run| run.run_id).collect())
    }

    /// Returns what is there of a run: lengths and times of payload and seal.
    ///
    /// # Errors
    /// The store's; nothing there is not an error.
    pub async fn look(&self, key: &PartitionKey, run: &RunId) -> Result<RunObjects> {
        let path = self.run_path(key, run)?;
        self.store.look(&path).await.map_err(|error| error.at(&path))
    }

    /// Makes a run durable, whoever wrote it.
    ///
    /// # Errors
    /// The store's.
    pub async fn sync(&self, key: &PartitionKey, run: &RunId) -> Result<()> {
        let path = self.run_path(key, run)?;
        self.store.sync(&path).await.map_err(|error| error.at(&path))
    }

    /// Returns what the sink works with: its clock, tokens and notices.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Returns the longest row that is accepted, in bytes.
    pub fn max_row_bytes(&self) -> usize {
        self.options.max_row_bytes
    }

    fn run_path(&self, key: &PartitionKey, run: &RunId) -> Result<StorePath> {
        layout::run_path(key, run, self.options.prefix_bytes)
    }
}
