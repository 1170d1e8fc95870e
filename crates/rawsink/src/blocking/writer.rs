//! `PartitionWriter` without async.

use serde::Serialize;
use tokio::runtime::Handle;

use super::waiting::{self, Canceller, Waiting};
use crate::{
    Error, ErrorKind, Metadata, Result, Sealed,
    partition::row::{HazardCounts, RefusedRow},
    runtime::process::Owned,
    sink,
};

/// Writes the rows of one partition and seals it, see
/// [`rawsink::PartitionWriter`](crate::PartitionWriter).
///
/// Dropping it aborts the attempt. In a forked child every call returns `Closed`, and dropping it does
/// nothing: the attempt is the parent's.
#[derive(Debug)]
pub struct PartitionWriter {
    writer: Owned<sink::PartitionWriter>,
    waiting: Waiting,
}

impl PartitionWriter {
    pub(super) fn new(writer: sink::PartitionWriter, waiting: Waiting) -> Self {
        Self { writer: Owned::new(writer), waiting }
    }

    /// Returns the means to cancel this writer from another thread.
    pub fn canceller(&self) -> Canceller {
        self.waiting.canceller.clone()
    }

    /// Runs a call of the writer. If it is ended early, the attempt is aborted.
    fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut sink::PartitionWriter) -> Result<T>,
    ) -> Result<T> {
        let writer = self.writer.get_mut().ok_or_else(ended)?;
        let run = writer.place();
        match self.waiting.wait(call(writer)) {
            Ok(outcome) => outcome,
            Err(interrupted) => {
                // The first interruption is the one to report.
                let _ = self.abort_now();
                Err(interrupted.at(run))
            }
        }
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

    /// Returns whether the last chunk ended inside a line.
    pub fn has_open_line(&self) -> bool {
        self.writer.inherited().is_some_and(sink::PartitionWriter::has_open_line)
    }

    /// Checks that the last chunk did not end inside a line.
    ///
    /// # Errors
    /// As [`check_line_ended`](crate::PartitionWriter::check_line_ended).
    pub fn check_line_ended(&mut self) -> Result<()> {
        self.call(async |writer| writer.check_line_ended().await)
    }

    /// Takes a last line without its line feed as a row.
    ///
    /// # Errors
    /// As [`end_line`](crate::PartitionWriter::end_line).
    pub fn end_line(&mut self) -> Result<()> {
        self.call(async |writer| writer.end_line().await)
    }

    /// Refuses a row that the caller cannot serialise, see
    /// [`refuse_row`](crate::PartitionWriter::refuse_row).
    ///
    /// # Errors
    /// As there.
    pub fn refuse_row(&mut self, reason: &str, text: &[u8]) -> Result<()> {
        self.call(async |writer| writer.refuse_row(reason, text).await)
    }

    /// Keeps refused lines, see [`keep_refused`](crate::PartitionWriter::keep_refused).
    pub fn keep_refused(
        &mut self,
        max: u64,
        keep: impl FnMut(&RefusedRow, &[u8]) -> Result<()> + Send + 'static,
    ) {
        if let Some(writer) = self.writer.get_mut() {
            writer.keep_refused(max, keep);
        }
    }

    /// Skips blank lines, which are refused otherwise.
    pub fn skip_blank(&mut self) {
        if let Some(writer) = self.writer.get_mut() {
            writer.skip_blank();
        }
    }

    /// Refuses rows that lack a member of this name at the top level.
    pub fn require_member(&mut self, name: &str) {
        if let Some(writer) = self.writer.get_mut() {
            writer.require_member(name);
        }
    }

    /// Returns the number of refused lines so far; `None` unless they are kept.
    pub fn refused_count(&self) -> Option<u64> {
        self.writer.inherited().and_then(sink::PartitionWriter::refused_count)
    }

    /// Returns the rows so far that common readers cannot read, or read differently.
    pub fn hazards(&self) -> HazardCounts {
        self.writer.inherited().map(|writer| writer.hazards().clone()).unwrap_or_default()
    }

    /// Returns the number of rows accepted so far.
    pub fn record_count(&self) -> u64 {
        self.writer.inherited().map_or(0, sink::PartitionWriter::record_count)
    }

    /// Returns the number of payload bytes accepted so far.
    pub fn payload_bytes(&self) -> u64 {
        self.writer.inherited().map_or(0, sink::PartitionWriter::payload_bytes)
    }

    /// Makes the payload complete and durable, and waits for the grace period. No row can follow.
    ///
    /// # Errors
    /// As [`complete_payload`](crate::PartitionWriter::complete_payload).
    pub fn complete_payload(&mut self, metadata: &Metadata) -> Result<()> {
        self.call(async |writer| writer.complete_payload(metadata).await)
    }

    /// Seals the partition. The payload can be cancelled; the seal is never interrupted.
    ///
    /// # Errors
    /// As [`finalize`](crate::PartitionWriter::finalize).
    pub fn finalize(mut self, metadata: Metadata) -> Result<Sealed> {
        self.call(async |writer| writer.complete_if_open(&metadata).await)?;
        let writer = self.writer.take().ok_or_else(ended)?;
        Waiting::block_on(writer.finalize(metadata))?
    }

    /// Aborts the attempt; nothing of it stays visible.
    ///
    /// # Errors
    /// That of the check. The abort continues in the background then.
    pub fn abort(mut self) -> Result<()> {
        self.abort_now()
    }

    fn abort_now(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let task = waiting::runtime()?.spawn(writer.abort());
        // An async task must not block.
        if Handle::try_current().is_err() {
            // A task that panicked leaves an attempt that a later writer aborts.
            let _ = self.waiting.wait_for_end(task)?;
        }
        Ok(())
    }
}

impl Drop for PartitionWriter {
    fn drop(&mut self) {
        // Nobody can be told. The abort continues in the background.
        let _ = self.abort_now();
    }
}

fn ended() -> Error {
    let message =
        "this writer was cancelled, or inherited from a parent process; nothing was sealed";
    Error::new(ErrorKind::Closed, message)
}
