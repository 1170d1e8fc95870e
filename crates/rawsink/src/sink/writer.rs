//! Writing one partition: rows into parts, then the payload, then the seal.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use super::{PayloadSummary, digest::PayloadDigest, part::PartBuffer};
use crate::{
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    metadata::{self, Metadata, SEAL_FORMAT, Seal},
    row::{self, RowFault},
    store::{SealDocument, Upload, WriterToken},
};

const SOFTWARE: &str = concat!("rawsink ", env!("CARGO_PKG_VERSION"));

/// Writes the rows of one partition and seals it.
///
/// Nothing is visible to anybody before [`finalize`](Self::finalize). A writer that met an error
/// has ended: its attempt is taken back and every further call is `Closed`, so that a row that was
/// refused can never be missing from a sealed partition unnoticed. Dropping a writer, or a future
/// of its methods half-way, seals nothing (G08); dropped inside `finalize`, the seal may still
/// appear.
pub struct PartitionWriter {
    upload: Option<Box<dyn Upload>>,
    key: PartitionKey,
    run: RunId,
    max_row_bytes: usize,
    part: PartBuffer,
    /// The text of the last row that was serialised here; its memory is used again.
    row: Vec<u8>,
    digest: PayloadDigest,
    rows: u64,
    /// What the payload is, once all of it was sent.
    complete: Option<PayloadSummary>,
    /// Whether a call is under way; still set later, it was dropped half-way and rows may be missing.
    under_way: bool,
}

/// A partition that this writer sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// Token of the attempt that sealed, as it stands in the seal.
    pub writer: String,
    /// What was sealed.
    #[serde(flatten)]
    pub payload: PayloadSummary,
}

impl PartitionWriter {
    pub(super) fn new(
        upload: Box<dyn Upload>,
        key: PartitionKey,
        run: RunId,
        max_row_bytes: usize,
    ) -> Self {
        let (part, row) = (PartBuffer::new(upload.part_bytes()), Vec::new());
        let (upload, digest) = (Some(upload), PayloadDigest::default());
        let (rows, complete, under_way) = (0, None, false);
        Self { upload, key, run, max_row_bytes, part, row, digest, rows, complete, under_way }
    }

    /// Appends one row, serialised as one line of JSON.
    ///
    /// # Errors
    /// `Invalid`, with the row's number, for a value that is no JSON object or too long; the
    /// store's errors. After any error the writer has ended.
    pub async fn write_payload_row<T: Serialize + Sync + ?Sized>(&mut self, row: &T) -> Result<()> {
        self.begin()?;
        let mut text = std::mem::take(&mut self.row);
        text.clear();
        let outcome = match serde_json::to_writer(&mut text, row) {
            Err(fault) => Err(RowFault::NotJson(fault.to_string())),
            // Well-formed already, unless the value carries raw JSON text of its own.
            Ok(()) if !text.starts_with(b"{") => Err(RowFault::NotAnObject),
            Ok(()) if text.len() > self.max_row_bytes => Err(RowFault::TooLong(self.max_row_bytes)),
            Ok(()) if memchr::memchr(b'\n', &text).is_some() => Err(RowFault::LineFeed),
            Ok(()) => Ok(()),
        };
        if let Err(fault) = outcome {
            return Err(self.refuse_row(0, &fault).await);
        }
        text.push(b'\n');
        self.put_lines(&text, 1).await?;
        self.row = text;
        self.finish();
        Ok(())
    }

    /// Appends one row that is JSON text already, without its line feed, kept byte for byte.
    ///
    /// # Errors
    /// `Invalid`, with the row's number, for a line that is not one JSON object (see
    /// [`row`](crate::row)); the store's errors. After any error the writer has ended.
    pub async fn write_payload_line(&mut self, line: &[u8]) -> Result<()> {
        self.begin()?;
        if let Err(fault) = row::check_single(line, self.max_row_bytes) {
            return Err(self.refuse_row(0, &fault).await);
        }
        self.put_lines(line, 1).await?;
        self.put_lines(b"\n", 0).await?;
        self.finish();
        Ok(())
    }

    /// Returns how many rows were accepted so far.
    pub fn record_count(&self) -> u64 {
        self.rows
    }

    /// Returns how many payload bytes were accepted so far.
    pub fn payload_bytes(&self) -> u64 {
        self.digest.bytes() + self.part.len() as u64
    }

    /// Makes the payload whole and durable, and waits out what has to be waited for; no reader sees it
    /// yet. No row can follow.
    ///
    /// [`finalize`](Self::finalize) does this where it was not done. Whoever does it before can drop the
    /// future and [`abort`](Self::abort) as long as it runs, in the certainty that nothing was sealed.
    ///
    /// # Errors
    /// Those of [`finalize`](Self::finalize) but `Unknown`. After any error the writer has ended.
    pub async fn complete_payload(&mut self, metadata: &Metadata) -> Result<()> {
        self.begin()?;
        self.complete = Some(self.send_the_rest(metadata).await?);
        self.finish();
        Ok(())
    }

    /// Seals the partition: the payload first, `metadata.json` last (specification, section 4).
    ///
    /// The metadata is stored as given, plus the [`Seal`]. When this returns, every later reader
    /// gets exactly these rows and this metadata (G05).
    ///
    /// # Errors
    /// `Invalid` where the metadata contradicts the partition, the run or the number of rows;
    /// `AlreadySealed` or `Conflict` where another writer got there first; `Unknown` where the seal
    /// may be there; the store's errors. Any kind but `Unknown` and `Corrupt` means that this
    /// writer's seal is not there and will not appear (G06).
    pub async fn finalize(mut self, metadata: Metadata) -> Result<Sealed> {
        self.check_open()?;
        let payload = match self.complete.take() {
            None => self.send_the_rest(&metadata).await?,
            Some(payload) => match self.check_metadata(&metadata) {
                Ok(()) => payload,
                Err(error) => return Err(self.end(error).await),
            },
        };
        let document = |token: &WriterToken| {
            metadata::sealed_document(&metadata, &seal(token.as_str(), &payload))
        };
        let writer = self.seal(&document).await?;
        Ok(Sealed { writer, payload })
    }

    /// Ends the attempt; nothing of it stays visible (G08).
    pub async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            upload.abort().await;
        }
    }

    /// Appends lines that were checked already, each with its line feed.
    pub(super) async fn put_lines(&mut self, lines: &[u8], rows: u64) -> Result<()> {
        let mut rest = lines;
        // Parts have exactly their size, so a line may continue in the next one.
        while !rest.is_empty() {
            rest = self.part.fill(rest);
            if self.part.is_full() {
                self.send_full_part().await?;
            }
        }
        self.rows += rows;
        Ok(())
    }

    /// Ends the attempt because of the row that comes `behind` so many good ones, and says which.
    pub(super) async fn refuse_row(&mut self, behind: u64, fault: &RowFault) -> Error {
        let error = Error::invalid(format!("line {} {fault}", self.rows + behind + 1));
        self.end(error).await
    }

    /// Ends the attempt because of an error, which is returned with the run's name.
    pub(super) async fn end(&mut self, error: Error) -> Error {
        if let Some(upload) = self.upload.take() {
            upload.abort().await;
        }
        error.at(Place::of_run(&self.key, &self.run))
    }

    /// Begins a call that may add rows; [`finish`](Self::finish) says that all of them were added.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.check_open()?;
        if self.complete.is_some() {
            let error = Error::new(ErrorKind::Closed, "the payload is complete: no row can follow");
            return Err(error.at(Place::of_run(&self.key, &self.run)));
        }
        self.under_way = true;
        Ok(())
    }

    pub(super) fn finish(&mut self) {
        self.under_way = false;
    }

    pub(super) fn check_open(&self) -> Result<()> {
        let message = match self.upload {
            Some(_) if !self.under_way => return Ok(()),
            Some(_) => "a call of this writer was dropped half-way, so that rows may be missing",
            None => "this writer ended at an earlier error; nothing was sealed",
        };
        Err(Error::new(ErrorKind::Closed, message).at(Place::of_run(&self.key, &self.run)))
    }

    pub(super) fn max_row_bytes(&self) -> usize {
        self.max_row_bytes
    }

    async fn send_full_part(&mut self) -> Result<()> {
        let full = self.part.take();
        self.digest.update(&full);
        let Some(upload) = self.upload.as_mut() else { return self.check_open() };
        match upload.append(full).await {
            Ok(()) => {
                self.part.set_part_bytes(upload.part_bytes());
                Ok(())
            }
            Err(error) => Err(self.end(error).await),
        }
    }

    /// Makes the payload appear, if the metadata can be sealed with it, and says what it is.
    async fn send_the_rest(&mut self, metadata: &Metadata) -> Result<PayloadSummary> {
        let (last, summary) = self.sum_up(self.rows);
        let outcome = match self.check_metadata(metadata) {
            Ok(()) => self.complete(last).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(summary),
            Err(error) => Err(self.end(error).await),
        }
    }

    fn check_metadata(&self, metadata: &Metadata) -> Result<()> {
        let contradictions = metadata.contradictions(&self.key, &self.run, self.rows);
        if !contradictions.is_empty() {
            return Err(Error::invalid(contradictions.join("; ")));
        }
        metadata::check_length(metadata::sealed_document(metadata, &placeholder_seal()).len())
    }

    /// Takes the last part, and says what all of them are, which hold so many rows.
    pub(super) fn sum_up(&mut self, rows: u64) -> (Bytes, PayloadSummary) {
        let last = self.part.take();
        self.digest.update(&last);
        (last, std::mem::take(&mut self.digest).finish(rows))
    }

    /// Makes the payload appear.
    pub(super) async fn complete(&mut self, last: Bytes) -> Result<()> {
        match self.upload.as_mut() {
            Some(upload) => upload.complete(last).await,
            None => self.check_open(),
        }
    }

    /// Makes the seal appear, and returns the token of the attempt.
    pub(super) async fn seal(&mut self, document: &SealDocument<'_>) -> Result<String> {
        let Some(upload) = self.upload.take() else {
            return Err(Error::new(ErrorKind::Internal, "a writer was sealed twice"));
        };
        let sealed = upload.seal(document).await;
        let token = sealed.map_err(|error| error.at(Place::of_run(&self.key, &self.run)))?;
        Ok(token.to_string())
    }
}

/// Shows the run and the amounts, never the rows.
impl fmt::Debug for PartitionWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionWriter")
            .field("run", &Place::of_run(&self.key, &self.run).to_string())
            .field("record_count", &self.record_count())
            .field("payload_bytes", &self.payload_bytes())
            .finish_non_exhaustive()
    }
}

fn seal(token: &str, summary: &PayloadSummary) -> Seal {
    Seal {
        format: SEAL_FORMAT,
        writer: token.to_owned(),
        payload_bytes: summary.payload_bytes,
        payload_sha256: summary.payload_sha256.clone(),
        record_count: summary.record_count,
        software: SOFTWARE.to_owned(),
    }
}

/// A seal as long as any can be, to measure a document before it is sealed.
fn placeholder_seal() -> Seal {
    let summary = PayloadSummary {
        payload_bytes: u64::MAX,
        payload_sha256: "0".repeat(64),
        record_count: u64::MAX,
    };
    seal(&"0".repeat(32), &summary)
}
