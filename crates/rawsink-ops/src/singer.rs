//! Takes the messages of a [Singer] tap and keeps the records of each stream until the tap has ended.
//!
//! Owns which lines are messages, what becomes of each, which partition a stream lands in, and when an
//! existing run is that of the stream. Streams interleave, so their records are kept in temporary files:
//! memory holds one buffer for each stream. Must not know processes and signals.
//!
//! [Singer]: https://github.com/singer-io/getting-started/blob/master/docs/SPEC.md

mod message;
mod names;
mod spool;
mod stream;

use std::{io, path::PathBuf};

use indexmap::IndexMap;
use rawsink::{
    RawSink,
    error::{Error, ErrorKind, Result, system_text},
    layout::Place,
    partition::{PartitionKey, RunId, metadata::MAX_METADATA_BYTES},
    sink::PayloadSummary,
};
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;

pub use self::{
    message::RefusedMessage,
    names::{STREAM, StreamNames, UnusableName},
    stream::{Stream, Summary},
};
use self::{
    message::{Message, StreamSchema},
    stream::OpenStream,
};

/// Number of bytes that are read before they are taken.
const CHUNK_BYTES: usize = 512 * 1024;

/// The output of a tap so far.
#[derive(Debug)]
pub struct Extraction {
    names: StreamNames,
    /// The folder of temporary files.
    folder: PathBuf,
    max_row_bytes: usize,
    streams: IndexMap<String, OpenStream>,
    state: Option<Box<RawValue>>,
    /// Number of whole lines.
    lines: u64,
    /// The start of a line whose line feed has not arrived.
    open: Vec<u8>,
    records: u64,
    bytes: u64,
}

/// The whole output of a tap.
#[derive(Debug)]
pub struct Extracted {
    /// The streams that have a SCHEMA, in the order of its first message.
    pub streams: Vec<Stream>,
    /// The last state.
    pub state: Option<Box<RawValue>>,
}

impl Extraction {
    /// Creates an extraction that keeps records in files without a name in `folder`. A record has up to
    /// `max_row_bytes` bytes.
    pub fn new(names: StreamNames, folder: PathBuf, max_row_bytes: usize) -> Self {
        Self {
            names,
            folder,
            max_row_bytes,
            streams: IndexMap::new(),
            state: None,
            lines: 0,
            open: Vec::new(),
            records: 0,
            bytes: 0,
        }
    }

    /// Takes all messages of `source`. Calls `progress` after each chunk with the number of records and of their
    /// bytes.
    ///
    /// The run of a new stream is looked up at once, so that a sink that cannot be read ends a long extraction at its
    /// start.
    ///
    /// # Errors
    /// `Invalid`, with a [`RefusedMessage`], for the first line that is not a message or whose message is refused; with
    /// an [`UnusableName`] for a stream that no partition can be named after. `Unavailable` if `source` cannot be read
    /// or records cannot be kept. The errors of the store.
    pub async fn take_all(
        &mut self,
        source: impl io::Read + Send + 'static,
        sink: &RawSink,
        run: &RunId,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<()> {
        let (mut source, mut buffer) = (source, vec![0; CHUNK_BYTES]);
        loop {
            let reading = spawn_blocking(move || {
                let filled = read(&mut source, &mut buffer);
                (source, buffer, filled)
            });
            let filled;
            (source, buffer, filled) = reading.await.map_err(|cause| unreadable(&cause))?;
            let filled = filled.map_err(|cause| unreadable(&system_text(&cause)))?;
            if filled == 0 {
                return Ok(());
            }
            let known = self.streams.len();
            self.chunk(&buffer[..filled])?;
            for stream in &self.streams[known..] {
                sink.inspect(&stream.1.partition, run).await?;
            }
            progress(self.records, self.bytes);
        }
    }

    /// Takes the lines of a chunk, which may end anywhere.
    ///
    /// # Errors
    /// As [`take_all`](Self::take_all).
    pub fn chunk(&mut self, mut chunk: &[u8]) -> Result<()> {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..end], &chunk[end + 1..]);
            if self.open.is_empty() {
                self.lines += 1;
                self.line(line)?;
            } else {
                self.keep_open(line)?;
                self.lines += 1;
                let whole = std::mem::take(&mut self.open);
                self.line(&whole)?;
                // Its memory is reused.
                self.open = whole;
                self.open.clear();
            }
            chunk = rest;
        }
        self.keep_open(chunk)
    }

    /// Ends the extraction. Nothing was sealed yet.
    ///
    /// # Errors
    /// `Invalid`, with a [`RefusedMessage`], for a last line without its line feed, which may have been cut;
    /// `Unavailable` if records cannot be kept.
    pub fn finish(self) -> Result<Extracted> {
        if !self.open.is_empty() {
            let fault = "has no line feed, so the tap may have died while it printed the line";
            return Err(RefusedMessage { line: self.lines + 1, fault: fault.to_owned() }.into());
        }
        if let Some(stream) = self.names.unknown(|stream| self.streams.contains_key(stream)) {
            let message = format!("the tap has no stream {stream:?}, which has another name");
            return Err(Error::invalid(message));
        }
        let streams = self.streams.into_iter();
        let streams = streams.map(|(name, stream)| stream.finish(name, &self.folder));
        Ok(Extracted { streams: streams.collect::<Result<_>>()?, state: self.state })
    }

    fn keep_open(&mut self, more: &[u8]) -> Result<()> {
        let limit = self.max_row_bytes.saturating_add(MAX_METADATA_BYTES);
        if self.open.len() + more.len() > limit {
            let fault = format!("is longer than {limit} bytes");
            let refused = RefusedMessage { line: self.lines + 1, fault };
            return Err(Error::from(refused).by_setting("max_row_bytes"));
        }
        self.open.extend_from_slice(more);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let message = Message::parse(line).map_err(|fault| self.refused(fault))?;
        match message {
            Message::Schema(schema) => self.schema(&schema),
            Message::Record { stream, record, version, time_extracted } => {
                if record.get().len() > self.max_row_bytes {
                    let limit = self.max_row_bytes;
                    let fault =
                        format!("has a record of stream {stream:?} longer than {limit} bytes");
                    return Err(self.refused(fault).by_setting("max_row_bytes"));
                }
                let Some(known) = self.streams.get_mut(&*stream) else {
                    return Err(self.without_schema("RECORD", &stream));
                };
                let before = known.bytes();
                known.append(record, version, time_extracted, &self.folder)?;
                self.bytes += known.bytes() - before;
                self.records += 1;
                Ok(())
            }
            Message::State(state) => {
                self.state = state.map(ToOwned::to_owned);
                Ok(())
            }
            Message::ActivateVersion { stream, version } => match self.streams.get_mut(&*stream) {
                Some(known) => {
                    known.activate(version);
                    Ok(())
                }
                None => Err(self.without_schema("ACTIVATE_VERSION", &stream)),
            },
        }
    }

    fn schema(&mut self, schema: &StreamSchema<'_>) -> Result<()> {
        if let Some(known) = self.streams.get_mut(&*schema.stream) {
            known.set_schema(schema);
            return Ok(());
        }
        let partition = self.names.partition_of(&schema.stream)?;
        let rival = self.streams.iter().find(|(_, stream)| stream.partition == partition);
        if let Some((rival, _)) = rival {
            let message = format!(
                "streams {rival:?} and {:?} have the same query_name {:?}",
                schema.stream,
                partition.query_name()
            );
            return Err(Error::invalid(message));
        }
        self.streams.insert(schema.stream.to_string(), OpenStream::new(partition, schema));
        Ok(())
    }

    fn without_schema(&self, kind: &str, stream: &str) -> Error {
        self.refused(format!("is a {kind} of stream {stream:?} before its SCHEMA"))
    }

    fn refused(&self, fault: String) -> Error {
        RefusedMessage { line: self.lines, fault }.into()
    }
}

/// Returns whether a run is sealed with this payload. It is made durable then, because its writer may have been
/// interrupted between the seal and its sync.
///
/// # Errors
/// `AlreadySealed` if it is sealed with another payload; the errors of the store.
pub async fn is_sealed_as(
    sink: &RawSink,
    partition: &PartitionKey,
    run: &RunId,
    payload: &PayloadSummary,
) -> Result<bool> {
    if sink.inspect(partition, run).await?.seal.is_none() {
        return Ok(false);
    }
    let sealed = match sink.metadata(partition, run).await? {
        (_, Some(seal)) => PayloadSummary::from(&seal),
        // Other software has sealed it.
        (_, None) => sink.open_partition(partition, run).await?.drain().await?,
    };
    if sealed != *payload {
        let message = format!(
            "the run is sealed with other rows: {} with SHA-256 {:.8}..., and the tap printed {} with {:.8}...",
            sealed.record_count,
            sealed.payload_sha256,
            payload.record_count,
            payload.payload_sha256
        );
        let error = Error::new(ErrorKind::AlreadySealed, message);
        return Err(error.at(Place::of_run(partition, run)));
    }
    sink.sync(partition, run).await?;
    Ok(true)
}

fn read(source: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn unreadable(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot read the messages: {cause}"))
}

#[cfg(test)]
mod tests;
