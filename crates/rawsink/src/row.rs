//! What one payload row is.
//!
//! Owns the rule: one JSON object on one line of UTF-8, kept byte for byte. Must not know where
//! rows come from or go to.
//!
//! | input | decision |
//! |---|---|
//! | spaces or a carriage return around the object (CRLF files) | white space in JSON: kept as it is |
//! | a missing line feed after the last row | the row counts; the writer adds the line feed |
//! | a blank line, a byte order mark, invalid UTF-8, anything but an object | refused, with its number |
//! | a row longer than the limit (16 MiB unless set) | refused, with its number |

use std::fmt;

use serde::de::IgnoredAny;

/// Longest row that is accepted unless set otherwise, in bytes without its line feed.
pub const DEFAULT_MAX_ROW_BYTES: usize = 16 * 1024 * 1024;

/// Why a line is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFault {
    /// Nothing but white space.
    Blank,
    /// A line feed inside the row.
    LineFeed,
    /// Starts with the UTF-8 byte order mark.
    ByteOrderMark,
    /// Not UTF-8; the first wrong byte's column, counted from 1.
    NotUtf8(usize),
    /// Not JSON; what the parser says.
    NotJson(String),
    /// JSON, but no object.
    NotAnObject,
    /// Longer than this many bytes.
    TooLong(usize),
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("is blank"),
            Self::LineFeed => f.write_str("contains a line feed"),
            Self::ByteOrderMark => f.write_str("starts with a byte order mark"),
            Self::NotUtf8(column) => write!(f, "is not UTF-8 at column {column}"),
            Self::NotJson(fault) => write!(f, "is not JSON: {fault}"),
            Self::NotAnObject => f.write_str("is not a JSON object"),
            Self::TooLong(limit) => {
                write!(f, "is longer than {limit} bytes (RAW_SINK_MAX_ROW_BYTES)")
            }
        }
    }
}

/// Checks that `line`, given without its line feed, is one row.
///
/// # Errors
/// The first fault found. Nesting depth is not limited and duplicate names are not looked for:
/// the row is kept as the API sent it.
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
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|fault| RowFault::NotJson(describe(&fault)))
}

/// Checks a line that came alone, so that it may hide a line feed.
pub(crate) fn check_single(line: &[u8], max_row_bytes: usize) -> Result<(), RowFault> {
    if memchr::memchr(b'\n', line).is_some() {
        return Err(RowFault::LineFeed);
    }
    check(line, max_row_bytes)
}

/// Says what the parser found without its own line number, which is always 1.
fn describe(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("{what} at column {}", fault.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_on_one_line_is_a_row_whatever_white_space_surrounds_it() {
        for good in ["{}", " {\"a\":[1,2e9,null]} ", "\t{\"é\":\"\\ud800\"}\r", "{\"a\":1,\"a\":2}"]
        {
            assert_eq!(check(good.as_bytes(), 100), Ok(()), "{good:?}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(check(deep.as_bytes(), DEFAULT_MAX_ROW_BYTES), Ok(()));
    }

    #[test]
    fn everything_else_is_refused_and_named() {
        for (bad, says) in [
            (&b""[..], "is blank"),
            (b" \r", "is blank"),
            (b"[1]", "is not a JSON object"),
            (b"null", "is not a JSON object"),
            (b"\xEF\xBB\xBF{}", "starts with a byte order mark"),
            (b"{\"a\":\"\xC3\"}", "is not UTF-8 at column 7"),
            (b"{\"a\":1", "is not JSON: EOF while parsing an object at column 6"),
            (b"{\"a\":1}{}", "is not JSON: trailing characters at column 8"),
            (b"{\"a\":\"\x01\"}", "is not JSON: control character"),
            (b"{\"a\":NaN}", "is not JSON: expected value at column 6"),
            (b"{\"a\":01}", "is not JSON: invalid number at column 7"),
            (b"hello", "is not JSON: expected value at column 1"),
            (b"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}", "is longer than 40 bytes"),
        ] {
            let fault = check(bad, 40).unwrap_err().to_string();
            assert!(fault.starts_with(says), "{fault:?} does not start with {says:?}");
        }
        assert_eq!(check_single(b"{\n}", 40), Err(RowFault::LineFeed));
    }
}
