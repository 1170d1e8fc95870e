//! The library without async: the same operations, which block the calling thread.
//!
//! No runtime is needed: a sink starts its own, with one worker thread, which its writers and readers
//! share. Handles may be used from any thread that does not itself run async tasks.
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

use std::{
    fmt,
    future::Future,
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use serde::Serialize;
use tokio::runtime::{Builder, Handle};

use crate::{
    Config, Error, ErrorKind, Metadata, PartitionKey, Result, RunId, Seal, Sealed, consume,
    partition::row::{HazardCounts, RefusedRow},
    sink::{self, PayloadSummary, Run},
    state::PartitionState,
    store::RunObjects,
    validate::{self, Rules, Validation},
};

/// The runtime that blocking handles share.
#[derive(Clone)]
struct Engine(Arc<Shutdown>);

/// Shuts the runtime down without waiting, so that a handle may be dropped anywhere.
struct Shutdown(Option<tokio::runtime::Runtime>);

impl Drop for Shutdown {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rawsink")
            .enable_all()
            .build()
            .map_err(|cause| {
                let message = format!("cannot start the runtime: {cause}");
                Error::new(ErrorKind::Unavailable, message).because(cause)
            })?;
        Ok(Self(Arc::new(Shutdown(Some(runtime)))))
    }

    fn handle(&self) -> &Handle {
        self.0.0.as_ref().expect("only the drop takes the runtime").handle()
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle().block_on(work)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// Writes and reads partitions, see [`rawsink::RawSink`](crate::RawSink).
///
/// Cheap to clone; clones share the store and the runtime.
#[derive(Debug, Clone)]
pub struct RawSink {
    sink: crate::RawSink,
    engine: Engine,
}

impl RawSink {
    /// Opens the sink of a configuration. Sends no request yet.
    ///
    /// # Errors
    /// As [`RawSink::open`](crate::RawSink::open); `Unavailable` if no thread can be started.
    pub fn open(config: &Config) -> Result<Self> {
        Self::new(crate::RawSink::open(config)?)
    }

    /// Opens the sink that environment variables select.
    ///
    /// # Errors
    /// As [`RawSink::from_env`](crate::RawSink::from_env) and [`open`](Self::open).
    #[cfg(feature = "env")]
    pub fn from_env() -> Result<Self> {
        Self::new(crate::RawSink::from_env()?)
    }

    /// Wraps a sink.
    ///
    /// # Errors
    /// `Unavailable` if no thread can be started.
    pub fn new(sink: crate::RawSink) -> Result<Self> {
        Ok(Self { sink, engine: Engine::start()? })
    }

    /// Starts writing a partition, see [`RawSink::write_partition`](crate::RawSink::write_partition).
    ///
    /// # Errors
    /// As there.
    pub fn write_partition(&self, key: &PartitionKey, run: &RunId) -> Result<PartitionWriter> {
        let writer = self.engine.block_on(self.sink.write_partition(key, run))?;
        Ok(PartitionWriter { writer: Some(writer), engine: self.engine.clone() })
    }

    /// Opens a sealed run, see [`RawSink::open_partition`](crate::RawSink::open_partition).
    ///
    /// # Errors
    /// As there.
    pub fn open_partition(&self, key: &PartitionKey, run: &RunId) -> Result<PartitionReader> {
        self.reader(self.sink.open_partition(key, run))
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
        self.reader(consume::open_current(&self.sink, state, key))
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
        self.engine.block_on(validate::run(&self.sink, state, key, run, rules))
    }

    /// Returns the metadata and the seal of a sealed run, see
    /// [`RawSink::metadata`](crate::RawSink::metadata).
    ///
    /// # Errors
    /// As there.
    pub fn metadata(&self, key: &PartitionKey, run: &RunId) -> Result<(Metadata, Option<Seal>)> {
        self.engine.block_on(self.sink.metadata(key, run))
    }

    /// Returns the ids of all runs of a partition, sealed or not, sorted.
    ///
    /// # Errors
    /// The store's.
    pub fn list_partitions(&self, key: &PartitionKey) -> Result<Vec<RunId>> {
        self.engine.block_on(self.sink.list_partitions(key))
    }

    /// Returns all runs of a partition with their size and whether they are sealed, sorted by id.
    ///
    /// # Errors
    /// The store's.
    pub fn list_runs(&self, key: &PartitionKey) -> Result<Vec<Run>> {
        self.engine.block_on(self.sink.list_runs(key))
    }

    /// Returns length, time and tag of a run's payload and seal.
    ///
    /// # Errors
    /// The store's; a missing run is not an error.
    pub fn inspect(&self, key: &PartitionKey, run: &RunId) -> Result<RunObjects> {
        self.engine.block_on(self.sink.inspect(key, run))
    }

    /// Blocks on any other operation of the library, such as one of the state.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.engine.block_on(work)
    }

    /// Returns the sink itself, for async code.
    pub fn sink(&self) -> &crate::RawSink {
        &self.sink
    }

    fn reader(
        &self,
        opened: impl Future<Output = Result<sink::PartitionReader>>,
    ) -> Result<PartitionReader> {
        let reader = self.engine.block_on(opened)?;
        Ok(PartitionReader { reader, engine: self.engine.clone(), chunk: Bytes::new() })
    }
}

/// Writes the rows of one partition and seals it, see
/// [`rawsink::PartitionWriter`](crate::PartitionWriter).
///
/// Dropping it aborts the attempt.
#[derive(Debug)]
pub struct PartitionWriter {
    writer: Option<sink::PartitionWriter>,
    engine: Engine,
}

impl PartitionWriter {
    fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut sink::PartitionWriter) -> Result<T>,
    ) -> Result<T> {
        let writer = self.writer.as_mut().expect("only finalize, abort and drop take the writer");
        self.engine.block_on(call(writer))
    }

    /// Appends one row, serialised as one line of JSON.
    ///
    /// # Errors
    /// As [`write_payload_row`](crate::PartitionWriter::write_payload_row).
    pub fn write_payload_row<T: Serialize + Sync + ?Sized>(&mut self, row: &T) -> Result<()> {
        self.call(async |writer| writer.write_payload_row(row).await)
    }

    /// Appends one row that is JSON text, without its line feed.
    ///
    /// # Errors
    /// As [`write_payload_line`](crate::PartitionWriter::write_payload_line).
    pub fn write_payload_line(&mut self, line: &[u8]) -> Result<()> {
        self.call(async |writer| writer.write_payload_line(line).await)
    }

    /// Appends the lines of a chunk, which may be cut anywhere.
    ///
    /// # Errors
    /// As [`write_chunk`](crate::PartitionWriter::write_chunk).
    pub fn write_chunk(&mut self, chunk: &[u8]) -> Result<()> {
        self.call(async |writer| writer.write_chunk(chunk).await)
    }

    /// Keeps refused lines, see [`keep_refused`](crate::PartitionWriter::keep_refused).
    pub fn keep_refused(
        &mut self,
        max: u64,
        keep: impl FnMut(&RefusedRow, &[u8]) -> Result<()> + Send + 'static,
    ) {
        if let Some(writer) = &mut self.writer {
            writer.keep_refused(max, keep);
        }
    }

    /// Skips blank lines, which are refused otherwise.
    pub fn skip_blank(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.skip_blank();
        }
    }

    /// Refuses rows that lack a member of this name at the top level.
    pub fn require_member(&mut self, name: &str) {
        if let Some(writer) = &mut self.writer {
            writer.require_member(name);
        }
    }

    /// Returns the number of refused lines so far; `None` unless they are kept.
    pub fn refused_count(&self) -> Option<u64> {
        self.writer.as_ref().and_then(sink::PartitionWriter::refused_count)
    }

    /// Returns the rows so far that common readers cannot read, or read differently.
    pub fn hazards(&self) -> HazardCounts {
        self.writer.as_ref().map(|writer| writer.hazards().clone()).unwrap_or_default()
    }

    /// Returns the number of rows accepted so far.
    pub fn record_count(&self) -> u64 {
        self.writer.as_ref().map_or(0, sink::PartitionWriter::record_count)
    }

    /// Returns the number of payload bytes accepted so far.
    pub fn payload_bytes(&self) -> u64 {
        self.writer.as_ref().map_or(0, sink::PartitionWriter::payload_bytes)
    }

    /// Makes the payload complete and durable, and waits for the grace period. No row can follow.
    ///
    /// # Errors
    /// As [`complete_payload`](crate::PartitionWriter::complete_payload).
    pub fn complete_payload(&mut self, metadata: &Metadata) -> Result<()> {
        self.call(async |writer| writer.complete_payload(metadata).await)
    }

    /// Seals the partition.
    ///
    /// # Errors
    /// As [`finalize`](crate::PartitionWriter::finalize).
    #[expect(clippy::missing_panics_doc, reason = "only methods that consume it take the writer")]
    pub fn finalize(mut self, metadata: Metadata) -> Result<Sealed> {
        let writer = self.writer.take().expect("only finalize, abort and drop take the writer");
        self.engine.block_on(writer.finalize(metadata))
    }

    /// Aborts the attempt; nothing of it stays visible.
    pub fn abort(mut self) {
        self.abort_now();
    }

    fn abort_now(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        if Handle::try_current().is_err() {
            self.engine.block_on(writer.abort());
            return;
        }
        // An async task must not block: the runtime aborts in the background.
        let _inside = self.engine.handle().enter();
        drop(writer);
    }
}

impl Drop for PartitionWriter {
    fn drop(&mut self) {
        self.abort_now();
    }
}

/// Reads a sealed partition, see [`rawsink::PartitionReader`](crate::PartitionReader).
///
/// As [`Read`] it returns the bytes of the payload. A payload that differs from its seal ends in an
/// error of the kind [`InvalidData`](io::ErrorKind::InvalidData), never in a clean end of file.
#[derive(Debug)]
pub struct PartitionReader {
    reader: sink::PartitionReader,
    engine: Engine,
    /// Bytes that `read` has not returned yet.
    chunk: Bytes,
}

impl PartitionReader {
    /// Returns the next row without its line feed; `None` after the last.
    ///
    /// # Errors
    /// As [`next_row`](crate::PartitionReader::next_row).
    pub fn next_row(&mut self) -> Result<Option<Bytes>> {
        self.engine.block_on(self.reader.next_row())
    }

    /// Returns the next bytes of the payload; `None` after the last.
    ///
    /// # Errors
    /// As [`next_chunk`](crate::PartitionReader::next_chunk).
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.engine.block_on(self.reader.next_chunk())
    }

    /// Reads to the end, compares with the seal, and returns the summary.
    ///
    /// # Errors
    /// As [`drain`](crate::PartitionReader::drain).
    pub fn drain(&mut self) -> Result<PayloadSummary> {
        self.engine.block_on(self.reader.drain())
    }

    /// Returns the caller's metadata, without the seal block.
    pub fn metadata(&self) -> &Metadata {
        self.reader.metadata()
    }

    /// Returns the seal block; `None` for a partition that other software sealed.
    pub fn seal(&self) -> Option<&Seal> {
        self.reader.seal()
    }

    /// Returns the payload's length in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.reader.payload_bytes()
    }
}

/// The rows, each without its line feed.
impl Iterator for PartitionReader {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_row() {
            // The error was returned before: a loop over all items has to end.
            Err(error) if error.kind() == ErrorKind::Closed => None,
            row => row.transpose(),
        }
    }
}

impl Read for PartitionReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            match self.next_chunk()? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let bytes = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..bytes]);
        Ok(bytes)
    }
}
