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

use std::{fmt, ops::RangeInclusive};

use serde::de::IgnoredAny;

/// Default length limit of a row, in bytes without its line feed.
pub const DEFAULT_MAX_ROW_BYTES: usize = 16 * 1024 * 1024;

/// The legal length limits of a row, in bytes: the shortest row is `{}`, and each row is held in
/// memory.
pub const LEGAL_MAX_ROW_BYTES: RangeInclusive<usize> = 2..=1024 * 1024 * 1024;

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
        /// Position of the fault in the line in bytes, from 1.
        byte: usize,
        /// The parser's message.
        reason: String,
        /// Whether the line starts like an HTML page.
        is_html: bool,
    },
    /// The value cannot be serialised. Holds the serialiser's message.
    NotSerialisable(String),
    /// The last chunk ended inside the row.
    Incomplete,
    /// The line is JSON, but not an object.
    NotAnObject,
    /// The row is longer than this limit, in bytes.
    TooLong(usize),
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("is blank"),
            Self::LineFeed => f.write_str("contains a line feed"),
            Self::ByteOrderMark => f.write_str("starts with a byte order mark"),
            Self::NotUtf8(byte) => write!(f, "is not valid UTF-8 (byte {byte})"),
            Self::NotJson { byte, reason, is_html } => {
                let hint = if *is_html { "; it looks like HTML" } else { "" };
                write!(f, "is not valid JSON (byte {byte}: {reason}){hint}")
            }
            Self::NotSerialisable(fault) => write!(f, "cannot be serialised: {fault}"),
            Self::Incomplete => f.write_str(
                "is incomplete: the last chunk ended inside it, and another row follows",
            ),
            Self::NotAnObject => f.write_str("is not a JSON object"),
            Self::TooLong(limit) => {
                write!(f, "is longer than {limit} bytes")
            }
        }
    }
}

/// Checks that `line`, without its line feed, is one row.
///
/// # Errors
/// The first fault. Nesting at any level and duplicate names are accepted: the row is kept as the
/// API sent it.
pub fn check(line: &[u8], max_row_bytes: usize) -> Result<(), RowFault> {
    if line.len() > max_row_bytes {
        return Err(RowFault::TooLong(max_row_bytes));
    }
    let text =
        std::str::from_utf8(line).map_err(|fault| RowFault::NotUtf8(fault.valid_up_to() + 1))?;
    match line.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
        Some(b'{') => {}
        None => return Err(RowFault::Blank),
        Some(0xEF) if text.starts_with('\u{FEFF}') => return Err(RowFault::ByteOrderMark),
        Some(_) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            return Err(RowFault::NotAnObject);
        }
        Some(_) => {}
    }
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|fault| RowFault::NotJson {
        byte: fault.column().max(1),
        reason: reason(&fault),
        is_html: is_html(line),
    })
}

/// Checks a line from a caller, which may contain a line feed.
pub(crate) fn check_single(line: &[u8], max_row_bytes: usize) -> Result<(), RowFault> {
    if memchr::memchr(b'\n', line).is_some() {
        return Err(RowFault::LineFeed);
    }
    check(line, max_row_bytes)
}

/// Returns the parser's message without its position.
fn reason(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    match text.split(" at line ").next().unwrap_or(&text) {
        "expected value" => "expected a value".to_owned(),
        message => message.replace("EOF while parsing", "the line ends inside"),
    }
}

/// Returns whether a line starts like an HTML page.
fn is_html(line: &[u8]) -> bool {
    let start = line.trim_ascii_start();
    let starts_with =
        |tag: &&[u8]| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    [&b"<!doctype"[..], b"<html", b"<head", b"<body"].iter().any(starts_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_on_one_line_is_a_row_with_any_surrounding_white_space() {
        for good in ["{}", " {\"a\":[1,2e9,null]} ", "\t{\"é\":\"\\ud800\"}\r", "{\"a\":1,\"a\":2}"]
        {
            assert_eq!(check(good.as_bytes(), 100), Ok(()), "{good:?}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(check(deep.as_bytes(), DEFAULT_MAX_ROW_BYTES), Ok(()));
    }

    #[test]
    fn any_other_line_is_refused_with_its_fault() {
        for (bad, text) in [
            (&b""[..], "is blank"),
            (b" \r", "is blank"),
            (b"[1]", "is not a JSON object"),
            (b"null", "is not a JSON object"),
            (b"\xEF\xBB\xBF{}", "starts with a byte order mark"),
            (b"{\"a\":\"\xC3\"}", "is not valid UTF-8 (byte 7)"),
            (b"{\"a\":1", "is not valid JSON (byte 6: the line ends inside an object)"),
            (b"{\"a\":1}{}", "is not valid JSON (byte 8: trailing characters)"),
            (b"{\"a\":\"\x01\"}", "is not valid JSON (byte "),
            (b"{\"a\":NaN}", "is not valid JSON (byte 6: expected a value)"),
            (b"{\"a\":01}", "is not valid JSON (byte 7: invalid number)"),
            (b"hello", "is not valid JSON (byte 1: expected a value)"),
            (
                b" <!DOCTYPE html>",
                "is not valid JSON (byte 2: expected a value); it looks like HTML",
            ),
            (b"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}", "is longer than 40 bytes"),
        ] {
            let fault = check(bad, 40).unwrap_err().to_string();
            assert!(fault.starts_with(text), "{fault:?} does not start with {text:?}");
        }
        assert_eq!(check_single(b"{\n}", 40), Err(RowFault::LineFeed));
    }
}
