//! Reads one sealed partition and checks it against its seal.

use std::{fs::File, io, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::io::AsyncBufRead;
use tokio_util::io::StreamReader;

use super::{
    PayloadSummary,
    digest::{PayloadDigest, RowCount, sha256},
    document::{Document, not_served},
    origin::{self, Origin, Suspicion},
};
use crate::{
    error::{Error, ErrorKind, Result},
    partition::{Metadata, Seal, row::RowFault},
    store::{Object, Reading, RunObjects, Store, StorePath},
};

/// Reads the rows of one sealed partition in their order, with bounded memory.
///
/// At the end, length, rows and SHA-256 are compared with the seal: a difference returns `Corrupt`
/// instead of the end (G10). A partition sealed by other software is compared with the
/// `record_count` of its metadata, if that is an integer, and with what was validated if it is read
/// because of its authority (G19).
///
/// Before `Corrupt` is returned, one more check shows that the bytes are those of the stored objects.
/// If they are not, the error is `Unavailable`: the server answered with something else.
#[derive(Debug)]
pub struct PartitionReader {
    store: Arc<dyn Store>,
    path: StorePath,
    document: Document,
    metadata: Metadata,
    seal: Option<Seal>,
    expected: Expected,
    max_row_bytes: usize,
    payload: Reading,
    state: State,
    /// The start of a row whose end has not been read.
    open_row: BytesMut,
    /// The rest of the chunk after a completed row, not returned yet.
    pending: Bytes,
    /// The batch that `next_row` returns row by row.
    batch: Rows,
}

/// What the payload must be, beyond its seal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Expected {
    /// SHA-256 of the payload that was validated, 64 lower-case hex digits.
    pub(crate) payload_sha256: Option<String>,
    /// Number of rows in the state.
    pub(crate) record_count: Option<u64>,
}

impl Expected {
    fn check(&self, found: &PayloadSummary) -> Result<()> {
        if let Some(validated) =
            self.payload_sha256.as_ref().filter(|validated| **validated != found.payload_sha256)
        {
            return Err(Error::corrupt(format!(
                "the payload has SHA-256 {}, the validated one had {validated}",
                found.payload_sha256
            )));
        }
        match self.record_count.filter(|rows| *rows != found.record_count) {
            None => Ok(()),
            Some(rows) => Err(Error::corrupt(format!(
                "the payload has {} rows, the state has record_count {rows}",
                found.record_count
            ))),
        }
    }
}

#[derive(Debug)]
enum State {
    Reading(Box<(PayloadDigest, RowCount)>),
    Checked(PayloadSummary),
    Failed,
}

impl PartitionReader {
    pub(super) async fn open(
        store: &Arc<dyn Store>,
        path: &StorePath,
        max_row_bytes: usize,
    ) -> Result<Self> {
        let document = Document::read(store, path).await?;
        let (metadata, seal) = document.parse(store, path).await?;
        let payload = match store.read(path, Object::Payload, 0).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let stored = document.check(store, path).await?;
                return Err(match stored.payload {
                    Some(_) => not_served(Object::Payload),
                    None => Error::corrupt("the run is sealed, but its payload is missing"),
                });
            }
            payload => payload?,
        };
        let reader = Self {
            store: store.clone(),
            path: path.clone(),
            document,
            metadata,
            seal,
            expected: Expected::default(),
            max_row_bytes,
            payload,
            state: State::Reading(Box::default()),
            open_row: BytesMut::new(),
            pending: Bytes::new(),
            batch: Rows::default(),
        };
        let (found, sealed) = (reader.payload.bytes, reader.seal.as_ref());
        match sealed.map(|seal| seal.payload_bytes).filter(|sealed| *sealed != found) {
            None => Ok(reader),
            Some(sealed) => Err(reader.suspicion().confirmed(length_differs(found, sealed)).await),
        }
    }

    /// Returns the stored bytes of `metadata.json`.
    pub fn document(&self) -> &Bytes {
        &self.document.bytes
    }

    /// Returns the caller's metadata, without the seal block.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the seal block; `None` for a partition sealed by other software.
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Returns the SHA-256 of `metadata.json`, 64 lower-case hex digits.
    pub fn document_sha256(&self) -> String {
        sha256(&self.document.bytes)
    }

    /// Checks by a HEAD of both objects that the bytes read so far are those of the stored objects.
    ///
    /// Nothing that was read proves damage before this check.
    ///
    /// # Errors
    /// `Unavailable` if they are not; the store's.
    pub async fn confirm(&mut self) -> Result<()> {
        // A future that held `&self` could not be sent to another thread.
        let suspicion = self.suspicion();
        suspicion.check().await.map(drop).map_err(|error| error.at(&self.path))
    }

    /// Checks that the bytes read so far are those of these objects, as
    /// [`RawSink::inspect`](super::RawSink::inspect) returned them.
    ///
    /// # Errors
    /// `Unavailable` if they are not.
    pub fn check_origin(&self, stored: &RunObjects) -> Result<()> {
        origin::check(&self.origins(), stored).map_err(|error| error.at(&self.path))
    }

    /// Returns an error, if it is not `Corrupt` or the bytes read so far are the stored ones; otherwise
    /// why they are not.
    pub(crate) async fn confirmed(&mut self, error: Error) -> Error {
        let suspicion = self.suspicion();
        suspicion.confirmed(error).await.at(&self.path)
    }

    fn suspicion(&self) -> Suspicion {
        let (store, run) = (self.store.clone(), self.path.clone());
        Suspicion { store, run, origins: self.origins().to_vec() }
    }

    fn origins(&self) -> [Origin; 2] {
        let Reading { bytes, tag, .. } = self.payload;
        [self.document.origin, Origin { object: Object::Payload, bytes, tag }]
    }

    /// Sets what the payload must be.
    pub(crate) fn expect(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// Returns the length of the stored payload in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.payload.bytes
    }

    /// Returns the open file of the payload, to read it again after the check; `None` if the store is not a
    /// directory. The reader moves its position: read at an offset.
    pub fn payload_file(&self) -> Option<&Arc<File>> {
        self.payload.file.as_ref()
    }

    /// Returns the summary of the payload; `None` until it is read to the end and matches the seal.
    pub fn summary(&self) -> Option<&PayloadSummary> {
        match &self.state {
            State::Checked(summary) => Some(summary),
            State::Reading(_) | State::Failed => None,
        }
    }

    /// Returns the next row without its line feed, or `None` after the last.
    ///
    /// # Errors
    /// `Corrupt` if the payload differs from the seal, at the latest instead of the end; `Invalid`
    /// for a row over the limit; the store's errors. Any error ends the reader.
    pub async fn next_row(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(row) = self.batch.next_row() {
                return Ok(Some(row));
            }
            match self.next_rows().await? {
                Some(rows) => self.batch = rows,
                None => return Ok(None),
            }
        }
    }

    /// Returns the next batch of rows; `None` after the last.
    ///
    /// This is the fastest way to read a large payload. Do not mix it with `next_row` or
    /// `next_chunk`.
    ///
    /// # Errors
    /// As [`next_row`](Self::next_row).
    pub async fn next_rows(&mut self) -> Result<Option<Rows>> {
        loop {
            let chunk = match std::mem::take(&mut self.pending) {
                pending if pending.is_empty() => self.next_chunk().await?,
                pending => Some(pending),
            };
            let Some(mut chunk) = chunk else {
                let last = self.open_row.split().freeze();
                return Ok((!last.is_empty()).then_some(Rows(last)));
            };
            if !self.open_row.is_empty() {
                let head = memchr::memchr(b'\n', &chunk).map_or(chunk.len(), |feed| feed + 1);
                let closes = chunk[head - 1] == b'\n';
                self.keep_open(&chunk.split_to(head))?;
                self.pending = chunk;
                if closes {
                    return Ok(Some(Rows(self.open_row.split().freeze())));
                }
                continue;
            }
            match self.whole_rows(&chunk)? {
                0 => self.keep_open(&chunk)?,
                bytes => {
                    let rows = chunk.split_to(bytes);
                    self.pending = chunk;
                    return Ok(Some(Rows(rows)));
                }
            }
        }
    }

    /// Returns the next stored bytes of the payload; `None` after the last.
    ///
    /// # Errors
    /// As [`next_row`](Self::next_row), except `Invalid`.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let outcome = match std::mem::replace(&mut self.state, State::Failed) {
            State::Reading(sums) => self.read_chunk(sums).await,
            State::Checked(summary) => {
                self.state = State::Checked(summary);
                return Ok(None);
            }
            State::Failed => {
                Err(Error::new(ErrorKind::Closed, "this reader ended after an earlier error"))
            }
        };
        match outcome {
            Err(error) => Err(self.confirmed(error).await),
            chunk => chunk,
        }
    }

    /// Returns the rows as a stream, each without its line feed. The stream ends after an error.
    pub fn into_rows(self) -> BoxStream<'static, Result<Bytes>> {
        let rows = stream::unfold(Some(self), |reader| async move {
            let mut reader = reader?;
            match reader.next_row().await.transpose()? {
                Ok(row) => Some((Ok(row), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        });
        rows.boxed()
    }

    /// Returns the bytes of the payload as a stream of chunks. The stream ends after an error.
    pub fn into_chunks(self) -> BoxStream<'static, Result<Bytes>> {
        let chunks = stream::unfold(Some(self), |reader| async move {
            let mut reader = reader?;
            match reader.next_chunk().await.transpose()? {
                Ok(chunk) => Some((Ok(chunk), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        });
        chunks.boxed()
    }

    /// Returns the bytes of the payload as a reader.
    ///
    /// A payload that differs from its seal ends with an I/O error of kind `InvalidData`, never
    /// with a clean end of file. Every I/O error wraps its [`Error`].
    pub fn into_async_read(self) -> impl AsyncBufRead + Send + Unpin + 'static {
        StreamReader::new(self.into_chunks().map(|chunk| chunk.map_err(io::Error::from)))
    }

    /// Reads to the end, compares with the seal, and returns the payload's summary.
    ///
    /// # Errors
    /// As [`next_row`](Self::next_row), except `Invalid`.
    pub async fn drain(&mut self) -> Result<PayloadSummary> {
        while self.next_chunk().await?.is_some() {}
        self.summary()
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the reader ended without a summary"))
    }

    async fn read_chunk(
        &mut self,
        mut sums: Box<(PayloadDigest, RowCount)>,
    ) -> Result<Option<Bytes>> {
        if let Some(chunk) = self.payload.chunks.next().await.transpose()? {
            sums.0.update(&chunk);
            sums.1.update(&chunk);
            // Bytes beyond the announced length are not returned.
            if sums.0.bytes() > self.payload.bytes {
                return Err(announced_otherwise(sums.0.bytes(), self.payload.bytes));
            }
            self.state = State::Reading(sums);
            return Ok(Some(chunk));
        }
        let (digest, rows) = *sums;
        let summary = digest.finish(rows.rows());
        self.check(&summary)?;
        self.state = State::Checked(summary);
        Ok(None)
    }

    fn check(&self, found: &PayloadSummary) -> Result<()> {
        if found.payload_bytes != self.payload.bytes {
            return Err(announced_otherwise(found.payload_bytes, self.payload.bytes));
        }
        let expected_rows = match &self.seal {
            Some(seal) => Some(seal.record_count),
            None => self.metadata.integer("record_count"),
        };
        if let Some(seal) =
            self.seal.as_ref().filter(|seal| seal.payload_sha256 != found.payload_sha256)
        {
            return Err(Error::corrupt(format!(
                "the payload has SHA-256 {}, the seal has {}",
                found.payload_sha256, seal.payload_sha256
            )));
        }
        if let Some(rows) = expected_rows.filter(|rows| *rows != found.record_count) {
            return Err(Error::corrupt(format!(
                "the payload has {} rows, metadata.json has record_count {rows}",
                found.record_count
            )));
        }
        self.expected.check(found)
    }

    fn keep_open(&mut self, more: &[u8]) -> Result<()> {
        let row_bytes = self.open_row.len() + more.strip_suffix(b"\n").unwrap_or(more).len();
        if row_bytes > self.max_row_bytes {
            return Err(self.row_too_long());
        }
        self.open_row.extend_from_slice(more);
        Ok(())
    }

    /// Returns the length of the rows that end in `chunk`, up to the first that is too long.
    fn whole_rows(&mut self, chunk: &[u8]) -> Result<usize> {
        let Some(last) = memchr::memrchr(b'\n', chunk) else { return Ok(0) };
        if last <= self.max_row_bytes {
            return Ok(last + 1);
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            if end - start > self.max_row_bytes {
                break;
            }
            start = end + 1;
        }
        // The rows before one that is too long are returned first, independent of chunk borders.
        if start == 0 { Err(self.row_too_long()) } else { Ok(start) }
    }

    fn row_too_long(&mut self) -> Error {
        self.state = State::Failed;
        let fault = RowFault::TooLong(self.max_row_bytes);
        Error::invalid(format!("a row {fault}")).by_setting("max_row_bytes").at(&self.path)
    }
}

/// A batch of complete rows of a payload, in order.
#[derive(Debug, Clone, Default)]
pub struct Rows(Bytes);

impl Rows {
    /// Returns the stored bytes of the rows, with their line feeds.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the rows without their line feeds.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.0.strip_suffix(b"\n").unwrap_or(&self.0);
        let mut feeds = memchr::memchr_iter(b'\n', text);
        let (mut start, mut done) = (0, self.0.is_empty());
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let end = feeds.next().unwrap_or_else(|| {
                done = true;
                text.len()
            });
            let row = &text[start..end];
            start = end + 1;
            Some(row)
        })
    }

    /// Removes and returns the first row, without its line feed.
    fn next_row(&mut self) -> Option<Bytes> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', &self.0);
        let row = self.0.split_to(end.unwrap_or(self.0.len()));
        if end.is_some() {
            let _ = self.0.split_to(1);
        }
        Some(row)
    }
}

fn length_differs(found: u64, expected: u64) -> Error {
    Error::corrupt(format!("the payload has {found} bytes, expected {expected}"))
}

/// Returns the error for a stream of another length than announced: these are not the stored bytes.
fn announced_otherwise(found: u64, announced: u64) -> Error {
    let message =
        format!("the server announced a payload of {announced} bytes and sent {found}; try again");
    Error::new(ErrorKind::Unavailable, message)
}
