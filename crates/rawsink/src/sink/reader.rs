//! Reads one sealed partition and checks it against its seal.

use std::io;

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
};
use crate::{
    error::{Error, ErrorKind, Result},
    partition::{
        metadata::{self, MAX_METADATA_BYTES, Metadata, Seal},
        row::RowFault,
    },
    store::{Object, Reading, Store, StorePath},
};

/// Reads the rows of one sealed partition in their order, with bounded memory.
///
/// At the end, length, rows and SHA-256 are compared with the seal: a difference returns `Corrupt`
/// instead of the end (G10). A partition sealed by other software is compared with the
/// `record_count` of its metadata, if that is an integer, and with what was validated if it is read
/// because of its authority (G19).
#[derive(Debug)]
pub struct PartitionReader {
    path: StorePath,
    document: Bytes,
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
        store: &dyn Store,
        path: &StorePath,
        max_row_bytes: usize,
    ) -> Result<Self> {
        let document = Self::read_document(store, path).await?;
        let (metadata, seal) = metadata::parse_sealed(&document)?;
        let payload =
            store.read(path, Object::Payload, 0).await.map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    Error::corrupt("the run is sealed, but its payload is missing")
                }
                _ => error,
            })?;
        if let Some(sealed) = seal.as_ref().filter(|seal| seal.payload_bytes != payload.bytes) {
            return Err(length_differs(payload.bytes, sealed.payload_bytes));
        }
        let state = State::Reading(Box::default());
        let (path, open_row, pending, batch) =
            (path.clone(), BytesMut::new(), Bytes::new(), Rows::default());
        Ok(Self {
            path,
            document,
            metadata,
            seal,
            expected: Expected::default(),
            max_row_bytes,
            payload,
            state,
            open_row,
            pending,
            batch,
        })
    }

    /// Reads `metadata.json`, even if the payload is missing.
    pub(super) async fn read_document(store: &dyn Store, path: &StorePath) -> Result<Bytes> {
        match read_seal(store, path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(unsealed(store, path).await?),
            document => document,
        }
    }

    /// Returns the stored bytes of `metadata.json`.
    pub fn document(&self) -> &Bytes {
        &self.document
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
        sha256(&self.document)
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
        outcome.map_err(|error| error.at(&self.path))
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
                return Err(length_differs(sums.0.bytes(), self.payload.bytes));
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
            return Err(length_differs(found.payload_bytes, self.payload.bytes));
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

/// Reads the whole `metadata.json`.
async fn read_seal(store: &dyn Store, path: &StorePath) -> Result<Bytes> {
    let Reading { bytes, mut chunks } = store.read(path, Object::Seal, 0).await?;
    let mut document = BytesMut::new();
    while let Some(chunk) = chunks.next().await.transpose()? {
        document.extend_from_slice(&chunk);
        if document.len() > MAX_METADATA_BYTES {
            let message =
                format!("metadata.json has {bytes} bytes, the limit is {MAX_METADATA_BYTES}");
            return Err(Error::corrupt(message));
        }
    }
    Ok(document.freeze())
}

/// Returns the error of opening a run without a seal.
async fn unsealed(store: &dyn Store, path: &StorePath) -> Result<Error> {
    Ok(match store.inspect(path).await?.payload {
        Some(_) => Error::new(ErrorKind::NotSealed, "the run has a payload but is not sealed"),
        None => Error::new(ErrorKind::NotFound, "the run does not exist"),
    })
}

fn length_differs(found: u64, expected: u64) -> Error {
    Error::corrupt(format!("the payload has {found} bytes, expected {expected}"))
}
