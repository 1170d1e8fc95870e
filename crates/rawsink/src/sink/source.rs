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

/// A read that brings less shows a source that is slower than we are.
const SHORT_READ_BYTES: usize = 16 * 1024;

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
        self.begin()?;
        let before = self.record_count();
        let (mut open_line, mut spare) = (Vec::new(), Vec::new());
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
            self.put_chunk(&mut open_line, &buffer[..filled]).await?;
            spare = buffer;
            progress(self.record_count(), self.payload_bytes());
        }
        if !open_line.is_empty() {
            open_line.push(b'\n');
            self.put_checked(&open_line).await?;
        }
        self.finish();
        Ok(self.record_count() - before)
    }

    /// Appends the lines that end in `chunk`; what follows the last line feed stays in `open_line`.
    async fn put_chunk(&mut self, open_line: &mut Vec<u8>, mut chunk: &[u8]) -> Result<()> {
        if !open_line.is_empty() {
            let Some(end) = memchr::memchr(b'\n', chunk) else {
                return self.keep_open(open_line, chunk).await;
            };
            self.keep_open(open_line, &chunk[..end]).await?;
            open_line.push(b'\n');
            self.put_checked(open_line).await?;
            open_line.clear();
            chunk = &chunk[end + 1..];
        }
        let whole = memchr::memrchr(b'\n', chunk).map_or(0, |last| last + 1);
        self.put_checked(&chunk[..whole]).await?;
        self.keep_open(open_line, &chunk[whole..]).await
    }

    /// Keeps the beginning of a line, unless it is too long already.
    async fn keep_open(&mut self, open_line: &mut Vec<u8>, more: &[u8]) -> Result<()> {
        let limit = self.max_row_bytes();
        if open_line.len() + more.len() > limit {
            return Err(self.refuse_row(0, &RowFault::TooLong(limit)).await);
        }
        open_line.extend_from_slice(more);
        Ok(())
    }

    /// Checks whole lines, each with its line feed, and appends them together.
    async fn put_checked(&mut self, lines: &[u8]) -> Result<()> {
        let (mut start, mut rows) = (0, 0);
        for end in memchr::memchr_iter(b'\n', lines) {
            if let Err(fault) = row::check(&lines[start..end], self.max_row_bytes()) {
                return Err(self.refuse_row(rows, &fault).await);
            }
            start = end + 1;
            rows += 1;
        }
        self.put_lines(lines, rows).await
    }
}

/// A source with the buffer that it fills; two buffers take turns.
struct Chunk<R> {
    source: R,
    buffer: Vec<u8>,
    filled: std::io::Result<usize>,
}

/// Fills a buffer on the blocking pool; none at all at the source's end.
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
                    // A slow source: what is there is looked at, not kept until there is more.
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
    Error::new(ErrorKind::Unavailable, format!("the rows' source cannot be read: {cause}"))
}
