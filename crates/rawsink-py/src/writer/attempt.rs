//! An attempt with the rows that are collected for it.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use rawsink::blocking;

use crate::{
    names::Names,
    rows::{self, Fault},
};

/// Length of the text that is collected before it is checked, hashed and sent, in bytes.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// A refused row: its line, the reason, and its text as far as there is one.
pub(super) type Rejected = (u64, String, Vec<u8>);

/// An attempt with the rows that it has not passed on.
pub(super) struct Attempt {
    pub(super) writer: blocking::PartitionWriter,
    pub(super) text: Vec<u8>,
    pub(super) rows: u64,
    /// Whether the payload is, or is becoming, complete.
    pub(super) is_ending: bool,
    pub(super) rejected: Arc<Mutex<Vec<Rejected>>>,
}

impl Attempt {
    /// Passes the collected rows on.
    pub(super) fn flush(&mut self) -> rawsink::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.rows = 0;
        let outcome = self.writer.write_chunk(&self.text);
        self.text.clear();
        outcome
    }

    /// Passes the collected rows on, and takes a last line without its line feed. No row can follow.
    pub(super) fn end(&mut self) -> rawsink::Result<()> {
        self.is_ending = true;
        self.flush()?;
        self.writer.end_line()
    }

    pub(super) fn check_open(&self) -> rawsink::Result<()> {
        if !self.is_ending {
            return Ok(());
        }
        let message = "the payload is complete: cannot append rows";
        Err(rawsink::Error::new(rawsink::ErrorKind::Closed, message))
    }

    /// Passes the collected rows on, and then a chunk.
    pub(super) fn write(&mut self, chunk: &[u8]) -> rawsink::Result<()> {
        self.check_open()?;
        self.flush()?;
        self.writer.write_chunk(chunk)
    }

    /// Returns whether rows can be collected without a call of the writer.
    pub(super) fn has_room(&self, rows: &Rows) -> bool {
        // Collected rows follow a line that has ended.
        let may_follow = !self.text.is_empty() || !self.writer.has_open_line();
        !self.is_ending && may_follow && self.text.len() + rows.text.len() < BATCH_BYTES
    }

    /// Collects rows, each with its line feed.
    pub(super) fn collect(&mut self, rows: &mut Rows) {
        self.rows += rows.count;
        if self.text.is_empty() {
            std::mem::swap(&mut self.text, &mut rows.text);
        } else {
            self.text.extend_from_slice(&rows.text);
        }
        rows.clear();
    }

    /// Collects rows and passes them on.
    pub(super) fn pass_on(&mut self, rows: &mut Rows) -> rawsink::Result<()> {
        self.check_open()?;
        if self.text.is_empty() {
            self.writer.check_line_ended()?;
        }
        self.collect(rows);
        self.flush()
    }

    /// Returns the number of rows that were accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.writer.record_count() + self.rows
    }
}

/// Rows as text, each with its line feed.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) text: Vec<u8>,
    pub(super) count: u64,
    /// Length of the longest row in bytes.
    pub(super) longest: usize,
}

impl Rows {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        (self.count, self.longest) = (0, 0);
    }

    /// Adds a row. After a fault its incomplete text is removed and returned with it.
    pub(super) fn add(
        &mut self,
        row: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
        names: Option<&mut Names>,
    ) -> Result<(), (Fault, Vec<u8>)> {
        let start = self.text.len();
        match rows::write(&mut self.text, row, default, names) {
            Ok(()) => {
                // A value that is no object is refused by this call, not with a later batch.
                let is_object = self.text[start] == b'{';
                let bytes = if is_object { self.text.len() - start } else { usize::MAX };
                self.longest = self.longest.max(bytes);
                self.text.push(b'\n');
                self.count += 1;
                Ok(())
            }
            Err(fault) => Err((fault, self.text.split_off(start))),
        }
    }
}
