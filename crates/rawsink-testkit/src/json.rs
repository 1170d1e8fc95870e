//! Another parser's opinion of JSON.

use serde::de::IgnoredAny;

/// Returns whether a text is a JSON text or the start of one.
pub fn is_start(text: &[u8]) -> bool {
    let parses = |text: &[u8]| match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => true,
        Err(fault) => fault.is_eof(),
    };
    // The parser does not call `-` and `1.` incomplete, and does not read the digits of an escape that ends too
    // early.
    (parses(text) || parses(&[text, b"0"].concat())) && !ends_in_a_malformed_escape(text)
}

fn ends_in_a_malformed_escape(text: &[u8]) -> bool {
    (1..=3).any(|digits| {
        let Some(start) = text.len().checked_sub(digits + 1) else { return false };
        let (before, escape) = text.split_at(start);
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        let is_escape = escape[0] == b'u' && backslashes % 2 == 1;
        is_escape && !escape[1..].iter().all(u8::is_ascii_hexdigit)
    })
}
