//! Reading one sealed partition, checked against its seal.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{
    PayloadSummary,
    digest::{PayloadDigest, RowCount},
};
use crate::{
    error::{Error, ErrorKind, Result},
    metadata::{self, MAX_METADATA_BYTES, Metadata, Seal},
    row::RowFault,
    store::{Object, Reading, Store, StorePath},
};

/// Reads the rows of one sealed partition in their order, with bounded memory.
///
/// Reading to the end compares length, rows and SHA-256 with the seal: whoever got rows that
/// differ from what was sealed gets `Corrupt` as the last answer (G10). Partitions that other
/// software sealed are compared with `record_count` of their metadata, where it is an integer.
#[derive(Debug)]
pub struct PartitionReader {
    path: StorePath,
    document: Bytes,
    metadata: Metadata,
    seal: Option<Seal>,
    max_row_bytes: usize,
    payload: Reading,
    state: State,
    /// The beginning of a row whose end has not been read.
    open_row: BytesMut,
    /// The chunk behind a row that was completed, not handed out yet.
    pending: Bytes,
    /// Rows of the batch that `next_row` is going through.
    batch: Rows,
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
                    Error::corrupt("the run is sealed and its payload is missing")
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
            max_row_bytes,
            payload,
            state,
            open_row,
            pending,
            batch,
        })
    }

    /// Reads `metadata.json`, whatever became of the payload.
    pub(super) async fn read_document(store: &dyn Store, path: &StorePath) -> Result<Bytes> {
        match read_seal(store, path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(unsealed(store, path).await?),
            document => document,
        }
    }

    /// Returns `metadata.json` as it is stored, byte for byte.
    pub fn document(&self) -> &Bytes {
        &self.document
    }

    /// Returns the caller's metadata, without the seal block.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the seal block; `None` for a partition that other software sealed.
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Returns the payload's length in bytes, as it is stored.
    pub fn payload_bytes(&self) -> u64 {
        self.payload.bytes
    }

    /// Returns what was read; `None` before the end was reached and found right.
    pub fn summary(&self) -> Option<&PayloadSummary> {
        match &self.state {
            State::Checked(summary) => Some(summary),
            State::Reading(_) | State::Failed => None,
        }
    }

    /// Returns the next row without its line feed, or `None` after the last.
    ///
    /// # Errors
    /// `Corrupt` where the payload differs from the seal, at the latest instead of the end;
    /// `Invalid` for a row over the limit; the store's errors. The reader has ended then.
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

    /// Returns the next rows at once, as many as were read together; `None` after the last.
    ///
    /// The fast way through a large payload. Not to be mixed with the other two ways.
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

    /// Returns the next bytes of the payload as they are stored; `None` after the last.
    ///
    /// # Errors
    /// As [`next_row`](Self::next_row), but that no row is too long.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let outcome = match std::mem::replace(&mut self.state, State::Failed) {
            State::Reading(sums) => self.read_chunk(sums).await,
            State::Checked(summary) => {
                self.state = State::Checked(summary);
                return Ok(None);
            }
            State::Failed => {
                Err(Error::new(ErrorKind::Closed, "this reader ended at an earlier error"))
            }
        };
        outcome.map_err(|error| error.at(&self.path))
    }

    /// Reads to the end, compares, and returns what was read.
    ///
    /// # Errors
    /// As [`next_row`](Self::next_row), but that no row is too long.
    pub async fn drain(&mut self) -> Result<PayloadSummary> {
        while self.next_chunk().await?.is_some() {}
        self.summary()
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a reader ended without an outcome"))
    }

    async fn read_chunk(
        &mut self,
        mut sums: Box<(PayloadDigest, RowCount)>,
    ) -> Result<Option<Bytes>> {
        if let Some(chunk) = self.payload.chunks.next().await.transpose()? {
            sums.0.update(&chunk);
            sums.1.update(&chunk);
            // Bytes behind the length that was announced are not handed out.
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
                "the payload's SHA-256 is {}, the seal says {}",
                found.payload_sha256, seal.payload_sha256
            )));
        }
        match expected_rows.filter(|rows| *rows != found.record_count) {
            None => Ok(()),
            Some(rows) => Err(Error::corrupt(format!(
                "the payload's record_count is {}, metadata.json says {rows}",
                found.record_count
            ))),
        }
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
        // The rows before one that is too long are handed out first, wherever chunks are cut.
        if start == 0 { Err(self.row_too_long()) } else { Ok(start) }
    }

    fn row_too_long(&mut self) -> Error {
        self.state = State::Failed;
        let fault = RowFault::TooLong(self.max_row_bytes);
        Error::invalid(format!("a row {fault}")).at(&self.path)
    }
}

/// Some whole rows of a payload, in their order.
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

    /// Takes the first row, without its line feed.
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
                format!("metadata.json has {bytes} bytes, at most {MAX_METADATA_BYTES} are read");
            return Err(Error::corrupt(message));
        }
    }
    Ok(document.freeze())
}

/// Says why a run without a seal cannot be opened.
async fn unsealed(store: &dyn Store, path: &StorePath) -> Result<Error> {
    Ok(match store.look(path).await?.payload {
        Some(_) => Error::new(ErrorKind::NotSealed, "the run has a payload and is not sealed"),
        None => Error::new(ErrorKind::NotFound, "there is no such run"),
    })
}

fn length_differs(found: u64, expected: u64) -> Error {
    Error::corrupt(format!("the payload has {found} bytes, {expected} were expected"))
}
