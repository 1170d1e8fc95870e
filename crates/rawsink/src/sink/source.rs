//! Appending all rows of a byte source: a file, a pipe, a command's output.

use std::io::{ErrorKind as IoKind, Read};

use tokio::task::{JoinHandle, spawn_blocking};

use super::writer::PartitionWriter;
use crate::{
    error::{Error, ErrorKind, Result},
    row::{self, RowFault},
};

/// How much is gathered from a pipe before it is looked at.
const CHUNK_BYTES: usize = 512 * 1024;

impl PartitionWriter {
    /// Appends every line of `source` as a row, until its end; returns how many.
    ///
    /// The source is read on the blocking pool, one chunk ahead. `progress` is called after each
    /// chunk with the rows and payload bytes accepted so far. A last line without its line feed
    /// counts. A clean end of a source does not mean that whoever fed it ended well: compare the
    /// count, or the exit status, before [`finalize`](Self::finalize).
    ///
    /// # Errors
    /// `Invalid`, with the line's number, for a line that is no row; `Unavailable` where the source
    /// cannot be read; the store's errors. After any error the writer has ended.
    pub async fn write_payload_from(
        &mut self,
        source: impl Read + Send + 'static,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64> {
        self.check_open()?;
        let before = self.record_count();
        let mut open_line = Vec::new();
        let mut reading = next_chunk(source);
        loop {
            let (source, chunk) = match reading.await {
                Ok((source, Ok(chunk))) => (source, chunk),
                Ok((_, Err(cause))) => return Err(self.end(unreadable(&cause)).await),
                Err(cause) => return Err(self.end(unreadable(&cause)).await),
            };
            if chunk.is_empty() {
                break;
            }
            reading = next_chunk(source);
            self.put_chunk(&mut open_line, &chunk).await?;
            progress(self.record_count(), self.payload_bytes());
        }
        if !open_line.is_empty() {
            self.put_checked(&open_line).await?;
        }
        Ok(self.record_count() - before)
    }

    /// Appends the lines that end in `chunk`; what follows the last line feed stays in `open_line`.
    async fn put_chunk(&mut self, open_line: &mut Vec<u8>, chunk: &[u8]) -> Result<()> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let line = &chunk[start..end];
            start = end + 1;
            if open_line.is_empty() {
                self.put_checked(line).await?;
            } else {
                self.keep_open(open_line, line).await?;
                self.put_checked(open_line).await?;
                open_line.clear();
            }
        }
        self.keep_open(open_line, &chunk[start..]).await
    }

    /// Keeps the beginning of a line, unless it is too long already.
    async fn keep_open(&mut self, open_line: &mut Vec<u8>, more: &[u8]) -> Result<()> {
        let limit = self.max_row_bytes();
        if open_line.len() + more.len() > limit {
            return Err(self.refuse_row(&RowFault::TooLong(limit)).await);
        }
        open_line.extend_from_slice(more);
        Ok(())
    }

    async fn put_checked(&mut self, line: &[u8]) -> Result<()> {
        match row::check(line, self.max_row_bytes()) {
            Ok(()) => self.put_line(line).await,
            Err(fault) => Err(self.refuse_row(&fault).await),
        }
    }
}

fn next_chunk<R: Read + Send + 'static>(
    mut source: R,
) -> JoinHandle<(R, std::io::Result<Vec<u8>>)> {
    spawn_blocking(move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let outcome = loop {
            match (&mut source).take((CHUNK_BYTES - chunk.len()) as u64).read_to_end(&mut chunk) {
                Err(cause) if cause.kind() == IoKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        (source, outcome.map(|_| chunk))
    })
}

fn unreadable(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the rows' source cannot be read: {cause}"))
}
