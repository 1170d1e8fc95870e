//! Why a line is not a row, for a person.

use std::{error::Error as StdError, fmt};

use super::{cause, json::JsonFault};
use crate::error::Error;

/// Number of bytes of a refused line that a message shows.
const SAMPLE_BYTES: usize = 60;

/// The reason why a line is not a row. `Display` follows the line's number in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFault {
    /// The line has only white space.
    Blank,
    /// The row contains a line feed.
    LineFeed,
    /// The line starts with the UTF-8 byte order mark.
    ByteOrderMark,
    /// The line is not UTF-8. Holds the position of the first invalid byte, from 1.
    NotUtf8(usize),
    /// The line is not JSON.
    NotJson {
        /// Position of the first byte that is not allowed, from 1; after the last byte if the line ends too
        /// early.
        byte: usize,
        /// The reason.
        reason: &'static str,
    },
    /// The value cannot be serialised. Holds the serialiser's message.
    NotSerialisable(String),
    /// The last chunk ended inside the row.
    Incomplete,
    /// The line is JSON, but not an object.
    NotAnObject,
    /// The row lacks a required member. Holds its name.
    MissingMember(String),
    /// The row is longer than this limit, in bytes.
    TooLong(usize),
}

impl RowFault {
    /// Returns the position of the first byte that is not allowed, from 1, if the fault is at a byte.
    pub fn byte(&self) -> Option<usize> {
        match self {
            Self::NotUtf8(byte) | Self::NotJson { byte, .. } => Some(*byte),
            Self::ByteOrderMark => Some(1),
            _ => None,
        }
    }
}

impl From<JsonFault> for RowFault {
    fn from(fault: JsonFault) -> Self {
        Self::NotJson { byte: fault.at + 1, reason: fault.reason }
    }
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("is blank"),
            Self::LineFeed => f.write_str("contains a line feed"),
            Self::ByteOrderMark => f.write_str("starts with a byte order mark"),
            Self::NotUtf8(byte) => write!(f, "is not valid UTF-8 (byte {byte})"),
            Self::NotJson { byte, reason } => {
                write!(f, "is not valid JSON (byte {byte}: {reason})")
            }
            Self::NotSerialisable(fault) => write!(f, "cannot be serialised: {fault}"),
            Self::Incomplete => f.write_str(
                "is incomplete: the last chunk ended inside it, and another row follows",
            ),
            Self::NotAnObject => f.write_str("is not a JSON object"),
            Self::MissingMember(name) => write!(f, "has no member {name:?}"),
            Self::TooLong(limit) => write!(f, "is longer than {limit} bytes"),
        }
    }
}

/// A line that was refused as a row. `Display` writes a whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Number of the line, from 1.
    pub line: u64,
    /// The reason.
    pub fault: RowFault,
    /// What the line probably is, if its bytes show it.
    pub cause: Option<&'static str>,
    /// Up to 60 bytes around the fault, as text with escapes; empty if they would not help.
    pub sample: String,
}

impl RefusedRow {
    /// Describes a refused line. Its bytes may be incomplete.
    pub(crate) fn new(line: u64, fault: RowFault, bytes: &[u8]) -> Self {
        let index = fault.byte().map_or(0, |byte| byte - 1);
        let cause = match fault {
            RowFault::NotUtf8(_) | RowFault::NotJson { .. } => cause::guess(bytes, index),
            RowFault::NotAnObject => cause::guess_value(bytes),
            _ => None,
        };
        let sample = match fault {
            RowFault::Blank
            | RowFault::LineFeed
            | RowFault::NotSerialisable(_)
            | RowFault::Incomplete
            | RowFault::TooLong(_) => String::new(),
            _ => sample(bytes, index),
        };
        Self { line, fault, cause, sample }
    }

    /// Returns the refused row of an error, if it has one.
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, fault, cause, sample } = self;
        write!(f, "line {line} {fault}")?;
        if let Some(cause) = cause {
            write!(f, "; it looks like {cause}")?;
        }
        if sample.is_empty() { Ok(()) } else { write!(f, ": \"{sample}\"") }
    }
}

impl StdError for RefusedRow {}

impl From<RefusedRow> for Error {
    fn from(row: RefusedRow) -> Self {
        let error = Self::invalid(row.to_string());
        let error = match row.fault {
            RowFault::TooLong(_) => error.by_setting("max_row_bytes"),
            _ => error,
        };
        error.because(row)
    }
}

/// Returns the bytes around an index, with `...` where more bytes exist.
fn sample(bytes: &[u8], index: usize) -> String {
    let start =
        index.saturating_sub(SAMPLE_BYTES / 2).min(bytes.len().saturating_sub(SAMPLE_BYTES));
    let end = bytes.len().min(start + SAMPLE_BYTES);
    let (start, end) = (at_character(bytes, start), at_character(bytes, end));
    let mut text = String::from(if start > 0 { "..." } else { "" });
    for chunk in bytes[start..end].utf8_chunks() {
        for character in chunk.valid().chars() {
            let is_shown =
                character == ' ' || !(character.is_control() || character.is_whitespace());
            if is_shown && !is_invisible(character) {
                text.push(character);
            } else {
                text.extend(character.escape_default());
            }
        }
        for byte in chunk.invalid() {
            text.extend(std::ascii::escape_default(*byte).map(char::from));
        }
    }
    text.push_str(if end < bytes.len() { "..." } else { "" });
    text
}

/// Returns the index of the next byte that does not continue a character.
fn at_character(bytes: &[u8], index: usize) -> usize {
    let continued = bytes[index..].iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
    if continued == 3 { index } else { index + continued }
}

/// Returns whether a character changes how others are shown: marks of direction and of order.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_shows_the_bytes_around_the_fault_with_escapes() {
        assert_eq!(sample(b"{\"a\":NaN}", 5), "{\"a\":NaN}");
        assert_eq!(sample(b"\xFF\xFE{\0", 0), "\\xff\\xfe{\\u{0}");
        assert_eq!(sample("a\u{202E}\u{1b}\u{e9}\t".as_bytes(), 0), "a\\u{202e}\\u{1b}\u{e9}\\t");
        let long = [vec![b'a'; 100], b"!".to_vec(), vec![b'b'; 100]].concat();
        let shown = format!("...{}!{}...", "a".repeat(30), "b".repeat(29));
        assert_eq!(sample(&long, 100), shown);
        assert_eq!(sample(&long, 201), format!("...{}", "b".repeat(60)));
        assert_eq!(sample(&long, 0), format!("{}...", "a".repeat(60)));
    }
}
