//! `PartitionReader` without async.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf, Bytes};

use super::waiting::{Canceller, Waiting};
use crate::{
    Error, ErrorKind, Metadata, Result, Seal,
    runtime::process::Owned,
    sink::{self, PayloadSummary},
};

/// Reads a sealed partition, see [`rawsink::PartitionReader`](crate::PartitionReader).
///
/// As [`Read`] it returns the bytes of the payload. A payload that differs from its seal ends in an
/// error of the kind [`InvalidData`](io::ErrorKind::InvalidData), never in a clean end of file.
///
/// In a forked child every read returns `Closed`: open the run again.
#[derive(Debug)]
pub struct PartitionReader {
    reader: Owned<sink::PartitionReader>,
    waiting: Waiting,
    /// Bytes that `read` has not returned yet.
    chunk: Bytes,
}

impl PartitionReader {
    pub(super) fn new(reader: sink::PartitionReader, waiting: Waiting) -> Self {
        Self { reader: Owned::new(reader), waiting, chunk: Bytes::new() }
    }

    /// Returns the means to cancel this reader from another thread.
    pub fn canceller(&self) -> Canceller {
        self.waiting.canceller.clone()
    }

    fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut sink::PartitionReader) -> Result<T>,
    ) -> Result<T> {
        let inherited =
            || Error::new(ErrorKind::Closed, "this reader was inherited from a parent process");
        let reader = self.reader.get_mut().ok_or_else(inherited)?;
        self.waiting.wait(call(reader))?
    }

    /// Returns the next row without its line feed; `None` after the last.
    ///
    /// # Errors
    /// As [`next_row`](crate::PartitionReader::next_row).
    pub fn next_row(&mut self) -> Result<Option<Bytes>> {
        self.call(async |reader| reader.next_row().await)
    }

    /// Returns the next batch of whole rows; `None` after the last.
    ///
    /// # Errors
    /// As [`next_rows`](crate::PartitionReader::next_rows).
    pub fn next_rows(&mut self) -> Result<Option<sink::Rows>> {
        self.call(async |reader| reader.next_rows().await)
    }

    /// Returns the next bytes of the payload; `None` after the last.
    ///
    /// # Errors
    /// As [`next_chunk`](crate::PartitionReader::next_chunk).
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.call(async |reader| reader.next_chunk().await)
    }

    /// Reads to the end, compares with the seal, and returns the summary.
    ///
    /// # Errors
    /// As [`drain`](crate::PartitionReader::drain).
    pub fn drain(&mut self) -> Result<PayloadSummary> {
        self.call(async |reader| reader.drain().await)
    }

    /// Returns the caller's metadata, without the seal block.
    pub fn metadata(&self) -> &Metadata {
        self.facts().metadata()
    }

    /// Returns the seal block; `None` for a partition that other software sealed.
    pub fn seal(&self) -> Option<&Seal> {
        self.facts().seal()
    }

    /// Returns the payload's length in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.facts().payload_bytes()
    }

    /// Returns the open file of the payload, see
    /// [`payload_file`](crate::PartitionReader::payload_file).
    pub fn payload_file(&self) -> Option<&Arc<File>> {
        self.facts().payload_file()
    }

    fn facts(&self) -> &sink::PartitionReader {
        self.reader.inherited().expect("nothing takes the reader")
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
