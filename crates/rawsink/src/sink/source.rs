//! Appends rows from a byte source or a stream: a file, a pipe, a command's output, chunks, values.

use std::{
    error::Error as StdError,
    io::{ErrorKind as IoKind, Read},
};

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::task::{JoinHandle, spawn_blocking};

use super::writer::PartitionWriter;
use crate::{
    error::{Error, ErrorKind, Result},
    partition::row::AcceptedRows,
};

/// Number of bytes that are collected from a pipe before they are checked.
const CHUNK_BYTES: usize = 512 * 1024;

/// A shorter read means that the source is slower than the writer.
const SHORT_READ_BYTES: usize = 16 * 1024;

impl PartitionWriter {
    /// Appends the lines of `chunk` as rows. Chunks may end anywhere, also inside a row.
    ///
    /// A line without a line feed continues in the next chunk. At the end of the payload
    /// ([`complete_payload`](Self::complete_payload) or [`finalize`](Self::finalize)) it is a row.
    ///
    /// # Errors
    /// `Invalid`, with the line's number, for a line that is not a row; the store's errors. Any
    /// error ends the writer.
    pub async fn write_chunk(&mut self, chunk: &[u8]) -> Result<()> {
        self.begin()?;
        self.put_chunk(chunk).await?;
        self.finish();
        Ok(())
    }

    /// Appends every value of a stream as a row and returns the number of rows.
    ///
    /// # Errors
    /// `Unavailable` if the stream yields an error; `Invalid`, with the line's number, for a value
    /// that is not a row; the store's errors. Any error ends the writer.
    pub async fn write_rows<T, E>(
        &mut self,
        rows: impl Stream<Item = std::result::Result<T, E>>,
    ) -> Result<u64>
    where
        T: Serialize + Sync,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.begin()?;
        let before = self.record_count();
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.next().await {
            match row {
                Ok(row) => self.put_row(&row).await?,
                Err(cause) => {
                    let cause = cause.into();
                    let message = format!("the row source failed: {cause}");
                    let error = Error::new(ErrorKind::Unavailable, message).because(cause);
                    return Err(self.end(error).await);
                }
            }
        }
        self.finish();
        Ok(self.record_count() - before)
    }

    /// Appends every line of `source` as a row and returns the number of rows.
    ///
    /// The source is read on the blocking pool, one chunk ahead. `progress` is called after each
    /// chunk with the rows and payload bytes accepted so far. A last line without its line feed
    /// counts. A clean end of a source does not mean that its producer succeeded: compare the
    /// count, or the exit status, before [`finalize`](Self::finalize).
    ///
    /// # Errors
    /// `Invalid`, with the line's number, for a line that is not a row; `Unavailable` if the source
    /// cannot be read; the store's errors. Any error ends the writer.
    pub async fn write_payload_from(
        &mut self,
        source: impl Read + Send + 'static,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64> {
        self.begin()?;
        let before = self.record_count();
        let mut spare = Vec::new();
        let mut reading = next_chunk(source, Vec::new());
        loop {
            let (source, buffer, filled) = match reading.await {
                Ok(Chunk { source, buffer, filled: Ok(filled) }) => (source, buffer, filled),
                Ok(Chunk { filled: Err(cause), .. }) => {
                    return Err(self.end(unreadable(&cause)).await);
                }
                Err(cause) => return Err(self.end(unreadable(&cause)).await),
            };
            if filled == 0 {
                break;
            }
            reading = next_chunk(source, spare);
            self.put_chunk(&buffer[..filled]).await?;
            spare = buffer;
            progress(self.record_count(), self.payload_bytes());
        }
        self.put_open_line().await?;
        self.finish();
        Ok(self.record_count() - before)
    }

    /// Appends the rows that end in `chunk` and keeps the bytes after the last line feed.
    async fn put_chunk(&mut self, chunk: &[u8]) -> Result<()> {
        match self.lines.chunk(chunk) {
            Ok(accepted) => self.put_accepted(accepted).await,
            Err(error) => Err(self.end(error).await),
        }
    }

    /// Appends the kept line, if any, as a row.
    pub(super) async fn put_open_line(&mut self) -> Result<()> {
        match self.lines.finish() {
            Ok(accepted) => self.put_accepted(accepted).await,
            Err(error) => Err(self.end(error).await),
        }
    }

    async fn put_accepted(&mut self, accepted: AcceptedRows<'_>) -> Result<()> {
        self.put_lines(&accepted.joined, 0).await?;
        for part in accepted.parts {
            self.put_lines(part, 0).await?;
        }
        self.put_lines(&[], accepted.count).await
    }
}

/// A source with the buffer that it fills. Two buffers alternate.
struct Chunk<R> {
    source: R,
    buffer: Vec<u8>,
    filled: std::io::Result<usize>,
}

/// Fills a buffer on the blocking pool. At the end of the source it stays empty.
fn next_chunk<R: Read + Send + 'static>(
    mut source: R,
    mut buffer: Vec<u8>,
) -> JoinHandle<Chunk<R>> {
    spawn_blocking(move || {
        buffer.resize(CHUNK_BYTES, 0);
        let mut filled = 0;
        let filled = loop {
            match source.read(&mut buffer[filled..]) {
                Ok(0) => break Ok(filled),
                Ok(read) => {
                    filled += read;
                    // Check the rows of a slow source now, not when the buffer is full.
                    if read < SHORT_READ_BYTES {
                        break Ok(filled);
                    }
                }
                Err(cause) if cause.kind() == IoKind::Interrupted => {}
                Err(cause) => break Err(cause),
            }
        };
        Chunk { source, buffer, filled }
    })
}

fn unreadable(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot read the row source: {cause}"))
}
