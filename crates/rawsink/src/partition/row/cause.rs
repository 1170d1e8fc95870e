//! What a line that is not a row probably is.

/// Bytes at the start of a line that show what it is.
const STARTS: [(&[u8], &str); 12] = [
    (b"\x1F\x8B", "gzip data; decompress it first"),
    (b"\x28\xB5\x2F\xFD", "zstd data; decompress it first"),
    (b"BZh", "bzip2 data; decompress it first"),
    (b"PK\x03\x04", "a ZIP archive; extract it first"),
    (b"PAR1", "a Parquet file"),
    (b"\xFF\xFE", "UTF-16; convert it to UTF-8"),
    (b"\xFE\xFF", "UTF-16; convert it to UTF-8"),
    (b"\x1E", "a JSON text sequence (RFC 7464); remove the record separators"),
    (b"data:", "server-sent events; remove the field names"),
    (b"event:", "server-sent events; remove the field names"),
    (b"<?xml", "XML"),
    (b"\x1B", "terminal output with colors"),
];

/// Words of other notations than JSON, at the fault.
const WORDS: [(&[u8], &str); 12] = [
    (b"NaN", NOT_A_NUMBER),
    (b"nan", NOT_A_NUMBER),
    (b"Infinity", NOT_A_NUMBER),
    (b"-Infinity", NOT_A_NUMBER),
    (b"inf", NOT_A_NUMBER),
    (b"-inf", NOT_A_NUMBER),
    (b"None", PYTHON),
    (b"True", PYTHON),
    (b"False", PYTHON),
    (b"'", PYTHON),
    (b"undefined", "JavaScript, not JSON"),
    (b"//", "JSON with comments"),
];

const NOT_A_NUMBER: &str = "a number that JSON does not have; write null";
const PYTHON: &str = "a printed Python object; write it with json.dumps";
const ARRAY: &str = "a JSON array; write each element on its own line (jq -c '.[]')";

/// Returns what a line probably is, if its bytes show it. `fault` is the index of the first byte that is not
/// allowed.
pub(super) fn guess(line: &[u8], fault: usize) -> Option<&'static str> {
    let text = line.trim_ascii_start();
    let (before, rest) = line.split_at(fault.min(line.len()));
    if let Some((_, cause)) = STARTS.iter().find(|(start, _)| text.starts_with(start)) {
        return Some(cause);
    }
    if is_html(text) {
        return Some("HTML");
    }
    if rest.starts_with(b"\0\0") || text == b"\0" {
        return Some("NUL bytes, as a crash leaves them in a file");
    }
    if is_utf16(line) {
        return Some("UTF-16; convert it to UTF-8");
    }
    match text.trim_ascii_end() {
        b"{" => return Some("pretty-printed JSON; write each object on one line (jq -c .)"),
        b"[" => return Some(ARRAY),
        _ => {}
    }
    let word = WORDS.iter().find(|(word, _)| starts_with_word(before, rest, word));
    if let Some((_, cause)) = word.filter(|_| text.starts_with(b"{")) {
        return Some(cause);
    }
    let is_after_object = before.trim_ascii_end().ends_with(b"}");
    match rest.first() {
        Some(b',') if is_after_object && rest.trim_ascii() == b"," => {
            Some("a part of a JSON array; remove the comma after each object")
        }
        Some(b'{') if before.ends_with(b"\r") => {
            Some("rows that end with CR alone; convert the line ends to LF")
        }
        Some(b'{') if is_after_object => Some("several objects on one line"),
        Some(0x80..) if is_cut(rest) => Some("a row that was cut off"),
        Some(0x80..) if is_latin1(before, rest) => {
            Some("Latin-1 or Windows-1252; convert it to UTF-8")
        }
        None if text.starts_with(b"{") => Some("a row that was cut off"),
        _ if text.starts_with(b"[{") => Some(ARRAY),
        _ if text.first().is_some_and(u8::is_ascii_alphanumeric) => {
            Some("text, such as a log message on standard output")
        }
        _ => None,
    }
}

/// Returns what a line probably is that is JSON, but not an object.
pub(super) fn guess_value(line: &[u8]) -> Option<&'static str> {
    match line.trim_ascii_start().first() {
        Some(b'[') => Some(ARRAY),
        Some(b'"') if is_json_text(line) => Some("JSON inside a text; decode it once"),
        _ => None,
    }
}

/// Returns whether a text holds an object.
fn is_json_text(line: &[u8]) -> bool {
    serde_json::from_slice::<String>(line).is_ok_and(|text| text.trim_start().starts_with('{'))
}

/// Returns whether a word starts at the fault, or before it: `nan` is refused at its second byte, because
/// `null` starts like it.
fn starts_with_word(before: &[u8], rest: &[u8], word: &[u8]) -> bool {
    (0..word.len()).any(|read| {
        let (start, end) = word.split_at(read);
        let after = rest.strip_prefix(end).and_then(|after| after.first());
        let continues =
            after.is_some_and(u8::is_ascii_alphanumeric) && word[0].is_ascii_alphabetic();
        before.ends_with(start) && rest.starts_with(end) && !continues
    })
}

fn is_html(text: &[u8]) -> bool {
    let starts_with =
        |tag: &&[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    [&b"<!doctype"[..], b"<html", b"<head", b"<body"].iter().any(starts_with)
}

/// Returns whether every other byte of the start is NUL.
fn is_utf16(line: &[u8]) -> bool {
    let start = &line[..line.len().min(8)];
    let nuls = |from: usize| start.iter().skip(from).step_by(2).all(|byte| *byte == 0);
    start.len() > 3 && start.iter().any(|byte| *byte != 0) && (nuls(0) || nuls(1))
}

/// Returns whether a single byte beyond ASCII stands between letters, as in a text of one byte a character.
fn is_latin1(before: &[u8], rest: &[u8]) -> bool {
    let is_ascii = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii);
    is_ascii(before.last())
        && is_ascii(rest.get(1))
        && rest.first().is_some_and(|byte| *byte >= 0x80)
}

/// Returns whether the line ends inside a character.
fn is_cut(rest: &[u8]) -> bool {
    std::str::from_utf8(rest)
        .is_err_and(|fault| fault.valid_up_to() == 0 && fault.error_len().is_none())
}
