//! The library without async: the same operations, which block the calling thread.
//!
//! No runtime is needed: the first handle starts one for the process, with one worker thread, which all
//! handles share. Handles may be used from any thread that does not itself run async tasks.
//!
//! A forked child may use the sinks and states of its parent: they are opened again. It cannot use the
//! parent's writers and readers, and dropping them there does not touch the parent's attempts. It should
//! close the [locks that it inherited](inherited_locks).
//!
//! ```
//! use std::io::Read;
//!
//! use rawsink::{Config, Metadata, PartitionKey, RunId, blocking::RawSink};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let root = folder.path().join("raw");
//! let sink = RawSink::open(&Config::directory(root))?;
//! let key = PartitionKey::new("google_ads", "123", "campaign", "2024-06-01")?;
//! let run: RunId = "2024-06-02T00:00:00.000Z".parse()?;
//!
//! let mut writer = sink.write_partition(&key, &run)?;
//! writer.write_chunk(b"{\"campaign\":\"summer\"}\n{\"campaign\":\"winter\"}\n")?;
//! writer.finalize(Metadata::for_run(&key, &run).build()?)?;
//!
//! let mut payload = String::new();
//! sink.open_partition(&key, &run)?.read_to_string(&mut payload)?;
//! assert_eq!(payload.lines().count(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod reader;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod state;
mod waiting;
mod writer;

use std::{future::Future, sync::Arc};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::state::State;
use self::waiting::Waiting;
pub use self::{
    reader::PartitionReader,
    waiting::{Canceller, Check},
    writer::PartitionWriter,
};
pub use crate::store::fs::inherited_locks;
use crate::{
    Config, Error, ErrorKind, Metadata, PartitionKey, Result, RunId, Seal,
    consume::{self, Authority},
    runtime::process::PerProcess,
    sink::{self, Run},
    state::PartitionState,
    store::RunObjects,
    validate::{self, Rules, Validation},
};

/// Writes and reads partitions, see [`rawsink::RawSink`](crate::RawSink).
///
/// Cheap to clone; clones share the store.
#[derive(Debug, Clone)]
pub struct RawSink {
    opened: Arc<PerProcess<crate::RawSink>>,
    /// `None` for a sink that the caller made: a forked child cannot open it again.
    config: Option<Arc<Config>>,
    waiting: Waiting,
}

impl RawSink {
    /// Opens the sink of a configuration. Sends no request yet.
    ///
    /// # Errors
    /// As [`RawSink::open`](crate::RawSink::open).
    pub fn open(config: &Config) -> Result<Self> {
        let mut sink = Self::new(crate::RawSink::open(config)?);
        sink.config = Some(Arc::new(config.clone()));
        Ok(sink)
    }

    /// Opens the sink that environment variables select.
    ///
    /// # Errors
    /// As [`Config::from_env`] and [`open`](Self::open).
    #[cfg(feature = "env")]
    pub fn from_env() -> Result<Self> {
        Self::open(&Config::from_env()?)
    }

    /// Wraps a sink. It cannot be used in a forked child.
    pub fn new(sink: crate::RawSink) -> Self {
        let opened = Arc::new(PerProcess::new(sink));
        Self { opened, config: None, waiting: Waiting::default() }
    }

    /// Sets what the waiting calls of this sink, its writers and readers check.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.waiting.check = Some(check);
        self
    }

    /// Starts writing a partition, see [`RawSink::write_partition`](crate::RawSink::write_partition).
    ///
    /// # Errors
    /// As there.
    pub fn write_partition(&self, key: &PartitionKey, run: &RunId) -> Result<PartitionWriter> {
        let writer = self.block_on(self.sink()?.write_partition(key, run))?;
        Ok(PartitionWriter::new(writer, self.fresh_waiting()))
    }

    /// Opens a sealed run, see [`RawSink::open_partition`](crate::RawSink::open_partition).
    ///
    /// # Errors
    /// As there.
    pub fn open_partition(&self, key: &PartitionKey, run: &RunId) -> Result<PartitionReader> {
        self.reader(self.sink()?.open_partition(key, run))
    }

    /// Opens the run that has authority, see [`consume::open_current`].
    ///
    /// # Errors
    /// As there.
    pub fn open_current(
        &self,
        state: &dyn PartitionState,
        key: &PartitionKey,
    ) -> Result<PartitionReader> {
        self.reader(consume::open_current(self.sink()?, state, key))
    }

    /// Opens a run that has authority, or had it when it was looked up, see [`consume::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open_authority(
        &self,
        key: &PartitionKey,
        authority: &Authority,
    ) -> Result<PartitionReader> {
        self.reader(consume::open(self.sink()?, key, authority))
    }

    /// Validates a run and records the verdict, see [`validate::run`].
    ///
    /// # Errors
    /// As there.
    pub fn validate(
        &self,
        state: &dyn PartitionState,
        key: &PartitionKey,
        run: &RunId,
        rules: Rules,
    ) -> Result<Validation> {
        self.block_on(validate::run(self.sink()?, state, key, run, rules))
    }

    /// Returns the metadata and the seal of a sealed run, see
    /// [`RawSink::metadata`](crate::RawSink::metadata).
    ///
    /// # Errors
    /// As there.
    pub fn metadata(&self, key: &PartitionKey, run: &RunId) -> Result<(Metadata, Option<Seal>)> {
        self.block_on(self.sink()?.metadata(key, run))
    }

    /// Returns the ids of all runs of a partition, sealed or not, sorted.
    ///
    /// # Errors
    /// The store's.
    pub fn list_partitions(&self, key: &PartitionKey) -> Result<Vec<RunId>> {
        self.block_on(self.sink()?.list_partitions(key))
    }

    /// Returns all runs of a partition with their size and whether they are sealed, sorted by id.
    ///
    /// # Errors
    /// The store's.
    pub fn list_runs(&self, key: &PartitionKey) -> Result<Vec<Run>> {
        self.block_on(self.sink()?.list_runs(key))
    }

    /// Returns length, time and tag of a run's payload and seal.
    ///
    /// # Errors
    /// The store's; a missing run is not an error.
    pub fn inspect(&self, key: &PartitionKey, run: &RunId) -> Result<RunObjects> {
        self.block_on(self.sink()?.inspect(key, run))
    }

    /// Blocks on any other operation of the library, such as one of the state.
    ///
    /// # Errors
    /// The operation's, and that of the check.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.waiting.wait(work)?
    }

    /// Returns the sink of this process, for async code.
    ///
    /// # Errors
    /// `Closed` in a forked child for a sink that the caller made; as [`open`](Self::open).
    pub fn sink(&self) -> Result<&crate::RawSink> {
        self.opened.get(|| {
            let inherited = || {
                let message = "this sink was made in a parent process: open another one";
                Error::new(ErrorKind::Closed, message)
            };
            crate::RawSink::open(self.config.as_ref().ok_or_else(inherited)?)
        })
    }

    fn reader(
        &self,
        opened: impl Future<Output = Result<sink::PartitionReader>>,
    ) -> Result<PartitionReader> {
        Ok(PartitionReader::new(self.block_on(opened)?, self.fresh_waiting()))
    }

    /// Returns how a new handle waits: with the check of the sink, and its own canceller.
    fn fresh_waiting(&self) -> Waiting {
        Waiting { check: self.waiting.check.clone(), canceller: Canceller::default() }
    }
}
