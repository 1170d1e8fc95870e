//! The rule for a payload row: one JSON object on one line of UTF-8, kept byte for byte.
//!
//! Must not know the source and the target of rows.
//!
//! | input | decision |
//! |---|---|
//! | spaces or a carriage return around the object (CRLF files) | kept: JSON allows white space |
//! | no line feed after the last row | accepted; the writer adds the line feed |
//! | a blank line, a byte order mark, invalid UTF-8, a value that is not an object | refused, with its line number |
//! | a row longer than the limit (16 MiB unless set) | refused, with its line number |
//! | duplicate names, lone surrogates and other [hazards](Hazard) | kept and counted |

use std::{ops::RangeInclusive, str::Utf8Error};

mod cause;
mod fault;
mod hazard;
mod json;
mod lines;

pub(crate) use self::lines::Fate;
pub use self::{
    fault::{RefusedRow, RowFault},
    hazard::{DEEP_LEVELS, Hazard, HazardCount, HazardCounts, Hazards, LONG_ROW_BYTES},
    lines::{AcceptedRows, LineChecker},
};

/// Default length limit of a row, in bytes without its line feed.
pub const DEFAULT_MAX_ROW_BYTES: usize = 16 * 1024 * 1024;

/// The legal length limits of a row, in bytes: the shortest row is `{}`, and each row is held in
/// memory.
pub const LEGAL_MAX_ROW_BYTES: RangeInclusive<usize> = 2..=1024 * 1024 * 1024;

/// Checks the rows of a payload. It is fast where rows have the same names, as those of one payload have.
#[derive(Debug)]
pub struct RowChecker {
    scanner: json::Scanner,
    max_row_bytes: usize,
}

impl RowChecker {
    /// Creates a checker with a length limit, in bytes.
    pub fn new(max_row_bytes: usize) -> Self {
        Self { scanner: json::Scanner::default(), max_row_bytes }
    }

    /// Refuses rows that lack a member of this name at the top level.
    pub fn require_member(&mut self, name: &str) {
        self.scanner.require(name);
    }

    /// Returns the length limit, in bytes.
    pub(crate) fn max_row_bytes(&self) -> usize {
        self.max_row_bytes
    }

    /// Checks that `line`, without its line feed, is one row.
    ///
    /// # Errors
    /// The first fault. Nesting at any level and duplicate names are accepted: the row is kept as the
    /// API sent it.
    pub fn check(&mut self, line: &[u8]) -> Result<Hazards, RowFault> {
        if line.len() > self.max_row_bytes {
            return Err(RowFault::TooLong(self.max_row_bytes));
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(fault) => return Err(self.not_utf8(line, fault)),
        };
        let first = line.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        match first {
            None => return Err(RowFault::Blank),
            Some(0xEF) if text.starts_with('\u{FEFF}') => return Err(RowFault::ByteOrderMark),
            Some(_) => {}
        }
        let mut hazards = self.scanner.scan(text).map_err(RowFault::from)?;
        if first != Some(&b'{') {
            return Err(RowFault::NotAnObject);
        }
        if let Some(name) = self.scanner.missing_member() {
            return Err(RowFault::MissingMember(name.to_owned()));
        }
        if line.len() > LONG_ROW_BYTES {
            hazards.add(Hazard::LongRow);
        }
        Ok(hazards)
    }
}

impl RowChecker {
    /// Returns the fault of a line that is not UTF-8, which may be malformed before that.
    fn not_utf8(&mut self, line: &[u8], fault: Utf8Error) -> RowFault {
        let valid = fault.valid_up_to();
        let start = line.get(..valid).and_then(|start| std::str::from_utf8(start).ok());
        match start.map(|start| self.scanner.scan(start)) {
            Some(Err(fault)) if fault.at < valid => fault.into(),
            _ => RowFault::NotUtf8(valid + 1),
        }
    }
}

/// Checks that `line`, without its line feed, is one row.
///
/// # Errors
/// As [`RowChecker::check`].
pub fn check(line: &[u8], max_row_bytes: usize) -> Result<Hazards, RowFault> {
    RowChecker::new(max_row_bytes).check(line)
}

#[cfg(test)]
mod tests;
