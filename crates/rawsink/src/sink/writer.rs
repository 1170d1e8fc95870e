//! Writes one partition: rows into parts, then the payload, then the seal.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use super::{PayloadSummary, digest::PayloadDigest, part::PartBuffer};
use crate::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{
        Finite, PartitionKey, RunId,
        metadata::{self, Metadata, SEAL_FORMAT, Seal},
        row::{Fate, HazardCounts, LineChecker, RefusedRow, RowFault},
    },
    store::{SealDocument, Upload, WriterToken},
};

const SOFTWARE: &str = concat!("rawsink ", env!("CARGO_PKG_VERSION"));

/// Writes the rows of one partition and seals it.
///
/// Nothing is visible before [`finalize`](Self::finalize). Any error ends the writer: its attempt
/// is aborted and every later call returns `Closed`. So a run with a refused row is never
/// sealed, unless [`keep_refused`](Self::keep_refused) allows it. Dropping a writer, or a future of its methods, seals nothing (G08). The exception is a
/// dropped future of `finalize`: its seal may still appear.
pub struct PartitionWriter {
    upload: Option<Box<dyn Upload>>,
    key: PartitionKey,
    run: RunId,
    pub(super) lines: LineChecker,
    part: PartBuffer,
    /// The text of the last serialised row. Its memory is reused.
    row: Vec<u8>,
    digest: PayloadDigest,
    rows: u64,
    /// The summary of the payload, after all of it is sent.
    complete: Option<PayloadSummary>,
    /// Whether a call is running. If still set at the next call, the call before was cancelled and
    /// rows may be missing.
    is_in_call: bool,
}

/// A partition that this writer sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// Token of the attempt, as in the seal.
    pub writer: String,
    /// The sealed payload.
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
        Self {
            upload,
            key,
            run,
            lines: LineChecker::new(max_row_bytes),
            part,
            row,
            digest,
            rows: 0,
            complete: None,
            is_in_call: false,
        }
    }

    /// Appends one row, serialised as one line of JSON.
    ///
    /// NaN and infinity are refused: JSON cannot express them.
    ///
    /// A [`serde_json::Value`] does not keep the order and repetition of member names, digits of
    /// numbers beyond `u64` and `f64`, and white space. To keep them, pass the text to
    /// [`write_payload_line`](Self::write_payload_line), or hold values as
    /// [`RawValue`](serde_json::value::RawValue).
    ///
    /// # Errors
    /// `Invalid`, with the line's number, for a value that is not a JSON object, holds NaN or
    /// infinity, or is too long; the store's errors. Any error ends the writer.
    pub async fn write_payload_row<T: Serialize + Sync + ?Sized>(&mut self, row: &T) -> Result<()> {
        self.begin()?;
        self.put_row(row).await?;
        self.finish();
        Ok(())
    }

    /// Serialises one row and appends it.
    pub(super) async fn put_row<T: Serialize + Sync + ?Sized>(&mut self, row: &T) -> Result<()> {
        self.check_line_ended().await?;
        let mut text = std::mem::take(&mut self.row);
        text.clear();
        let fate = match serde_json::to_writer(&mut text, &Finite(row)) {
            Ok(()) => self.lines.single_line(&text),
            Err(fault) => self.lines.refuse(RowFault::NotSerialisable(fault.to_string()), &text),
        };
        match fate {
            Ok(Fate::Row) => {
                text.push(b'\n');
                self.put_lines(&text, 1).await?;
            }
            Ok(Fate::Skipped) => {}
            Err(error) => return Err(self.end(error).await),
        }
        self.row = text;
        Ok(())
    }

    /// Appends one row of JSON text, without its line feed, and keeps it byte for byte.
    ///
    /// # Errors
    /// `Invalid`, with the line's number, for a line that is not one JSON object (see
    /// [`row`](crate::partition::row)); the store's errors. Any error ends the writer.
    pub async fn write_payload_line(&mut self, line: &[u8]) -> Result<()> {
        self.begin()?;
        self.check_line_ended().await?;
        match self.lines.single_line(line) {
            Ok(Fate::Row) => {
                self.put_lines(line, 1).await?;
                self.put_lines(b"\n", 0).await?;
            }
            Ok(Fate::Skipped) => {}
            Err(error) => return Err(self.end(error).await),
        }
        self.finish();
        Ok(())
    }

    /// Refuses a row that the caller cannot serialise. `text` is the part of the row before the fault; a caller
    /// that [keeps](Self::keep_refused) refused lines gets it.
    ///
    /// # Errors
    /// `Invalid`, with the line's number, unless refused lines are kept. It ends the writer.
    pub async fn refuse_row(&mut self, reason: &str, text: &[u8]) -> Result<()> {
        self.begin()?;
        self.check_line_ended().await?;
        if let Err(error) = self.lines.refuse(RowFault::NotSerialisable(reason.to_owned()), text) {
            return Err(self.end(error).await);
        }
        self.finish();
        Ok(())
    }

    /// Keeps refused lines, instead of ending the writer at the first one. Call it before the first row.
    ///
    /// `keep` gets each of them, without its line feed: of a line that is too long the start, and of a value that
    /// cannot be serialised the text up to the fault. The sealed metadata has their number as `rejected_count`.
    /// With more than `max` of them [`finalize`](Self::finalize) seals nothing.
    pub fn keep_refused(
        &mut self,
        max: u64,
        keep: impl FnMut(&RefusedRow, &[u8]) -> Result<()> + Send + 'static,
    ) {
        self.lines.keep_refused(max, keep);
    }

    /// Skips blank lines, which are refused otherwise.
    pub fn skip_blank(&mut self) {
        self.lines.skip_blank();
    }

    /// Refuses rows that lack a member of this name at the top level.
    pub fn require_member(&mut self, name: &str) {
        self.lines.require_member(name);
    }

    /// Checks that no more lines were refused than may be, as [`finalize`](Self::finalize) does.
    ///
    /// # Errors
    /// `Invalid`, with the first [`RefusedRow`].
    pub fn check_refused(&self) -> Result<()> {
        self.lines.check_refused()
    }

    /// Returns the number of refused lines so far; `None` unless they are kept.
    pub fn refused_count(&self) -> Option<u64> {
        self.lines.refused_count()
    }

    /// Returns the rows so far that common readers cannot read, or read differently.
    pub fn hazards(&self) -> &HazardCounts {
        self.lines.hazards()
    }

    /// Returns the number of rows accepted so far.
    pub fn record_count(&self) -> u64 {
        self.rows
    }

    /// Returns the number of payload bytes accepted so far.
    pub fn payload_bytes(&self) -> u64 {
        self.digest.bytes() + self.part.len() as u64
    }

    /// Makes the payload complete and durable, after all waits of the protocol. Readers do not see
    /// it yet. No row can follow.
    ///
    /// Optional: [`finalize`](Self::finalize) does the same. While this runs, a caller can drop the
    /// future and [`abort`](Self::abort), and nothing is sealed.
    ///
    /// # Errors
    /// As [`finalize`](Self::finalize), except `Unknown`. Any error ends the writer.
    pub async fn complete_payload(&mut self, metadata: &Metadata) -> Result<()> {
        self.begin()?;
        self.put_open_line().await?;
        let (payload, _) = self.send_the_rest(metadata.clone()).await?;
        self.complete = Some(payload);
        self.finish();
        Ok(())
    }

    /// Returns whether the last chunk ended inside a line.
    pub fn has_open_line(&self) -> bool {
        self.lines.has_open_line()
    }

    /// Takes a last line without its line feed as a row, if there is one.
    ///
    /// # Errors
    /// `Invalid`, with the line's number, if it is not a row; the store's errors. Any error ends the
    /// writer.
    pub async fn end_line(&mut self) -> Result<()> {
        self.begin()?;
        self.put_open_line().await?;
        self.finish();
        Ok(())
    }

    /// As [`complete_payload`](Self::complete_payload), unless the payload is complete.
    pub(crate) async fn complete_if_open(&mut self, metadata: &Metadata) -> Result<()> {
        match &self.complete {
            Some(_) => self.check_open(),
            None => self.complete_payload(metadata).await,
        }
    }

    /// Returns the place of the run.
    pub(crate) fn place(&self) -> Place {
        Place::of_run(&self.key, &self.run)
    }

    /// Seals the partition: the payload first, `metadata.json` last.
    ///
    /// The metadata is stored as given, plus the [`Seal`]. After this returns, every reader gets
    /// exactly these rows and this metadata (G05).
    ///
    /// # Errors
    /// `Invalid` if the metadata contradicts the partition, the run or the number of rows;
    /// `AlreadySealed` or `Conflict` if another writer was first; `Unknown` if the seal may exist;
    /// the store's errors. After any kind but `Unknown` and `Corrupt`, this writer's seal does not
    /// exist and will not appear (G06).
    pub async fn finalize(mut self, metadata: Metadata) -> Result<Sealed> {
        self.check_open()?;
        let (payload, metadata) = match self.complete.take() {
            None => {
                self.put_open_line().await?;
                self.send_the_rest(metadata).await?
            }
            Some(payload) => match self.check_metadata(metadata) {
                Ok(metadata) => (payload, metadata),
                Err(error) => return Err(self.end(error).await),
            },
        };
        let document = |token: &WriterToken| {
            metadata::sealed_document(&metadata, &seal(token.as_str(), &payload))
        };
        let writer = self.seal(&document).await?;
        Ok(Sealed { writer, payload })
    }

    /// Aborts the attempt. Readers never see its rows; in a bucket an unsealed payload may stay (G08).
    pub async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            upload.abort().await;
        }
    }

    /// Appends checked lines, each with its line feed.
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

    /// Ends the attempt because of an error and adds the run to the error.
    pub(super) async fn end(&mut self, error: Error) -> Error {
        if let Some(upload) = self.upload.take() {
            upload.abort().await;
        }
        error.at(self.place())
    }

    /// Starts a call that may add rows. [`finish`](Self::finish) confirms that all of them were
    /// added.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.check_can_write()?;
        self.is_in_call = true;
        Ok(())
    }

    /// Checks that the last chunk did not end inside a row.
    ///
    /// # Errors
    /// `Invalid` if it did. It ends the writer.
    pub async fn check_line_ended(&mut self) -> Result<()> {
        if !self.lines.has_open_line() {
            return Ok(());
        }
        let error = self.lines.incomplete();
        Err(self.end(error).await)
    }

    /// Checks that the writer accepts rows.
    pub(super) fn check_can_write(&self) -> Result<()> {
        self.check_open()?;
        if self.complete.is_none() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Closed, "the payload is complete: cannot append rows");
        Err(error.at(self.place()))
    }

    pub(super) fn finish(&mut self) {
        self.is_in_call = false;
    }

    pub(super) fn check_open(&self) -> Result<()> {
        let message = match self.upload {
            Some(_) if !self.is_in_call => return Ok(()),
            Some(_) => "a call of this writer was cancelled, so rows may be missing",
            None => "this writer ended after an earlier error; nothing was sealed",
        };
        Err(Error::new(ErrorKind::Closed, message).at(self.place()))
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

    /// Completes the payload, if the metadata matches it, and returns its summary and the metadata to seal.
    async fn send_the_rest(&mut self, metadata: Metadata) -> Result<(PayloadSummary, Metadata)> {
        let (last, summary) = self.sum_up(self.rows);
        let outcome = match self.check_metadata(metadata) {
            Ok(metadata) => self.complete(last).await.map(|()| metadata),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(metadata) => Ok((summary, metadata)),
            Err(error) => Err(self.end(error).await),
        }
    }

    /// Returns the metadata to seal.
    fn check_metadata(&self, metadata: Metadata) -> Result<Metadata> {
        self.lines.check_refused()?;
        let contradictions = metadata.contradictions(&self.key, &self.run, self.rows);
        if !contradictions.is_empty() {
            return Err(Error::invalid(contradictions.join("; ")));
        }
        let metadata = match self.lines.refused_count() {
            None => metadata,
            Some(refused) => metadata.with_rejected_count(refused)?,
        };
        metadata::check_length(metadata::sealed_document(&metadata, &placeholder_seal()).len())?;
        Ok(metadata)
    }

    /// Takes the last part and returns it with the summary of a payload of `rows` rows.
    pub(super) fn sum_up(&mut self, rows: u64) -> (Bytes, PayloadSummary) {
        let last = self.part.take();
        self.digest.update(&last);
        (last, std::mem::take(&mut self.digest).finish(rows))
    }

    /// Completes the payload in the store.
    pub(super) async fn complete(&mut self, last: Bytes) -> Result<()> {
        match self.upload.as_mut() {
            Some(upload) => upload.complete(last).await,
            None => self.check_open(),
        }
    }

    /// Writes the seal and returns the token of the attempt.
    pub(super) async fn seal(&mut self, document: &SealDocument<'_>) -> Result<String> {
        let Some(upload) = self.upload.take() else {
            return Err(Error::new(ErrorKind::Internal, "the writer was sealed twice"));
        };
        let sealed = upload.seal(document).await;
        let token = sealed.map_err(|error| error.at(self.place()))?;
        Ok(token.to_string())
    }
}

/// Prints the run and the amounts, never the rows.
impl fmt::Debug for PartitionWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionWriter")
            .field("run", &self.place().to_string())
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

/// Returns a seal of the greatest possible length, to check the length of a document before
/// sealing.
fn placeholder_seal() -> Seal {
    let summary = PayloadSummary {
        payload_bytes: u64::MAX,
        payload_sha256: "0".repeat(64),
        record_count: u64::MAX,
    };
    seal(&"0".repeat(32), &summary)
}
