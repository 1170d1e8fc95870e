//! Foreign text on a terminal: names, messages of servers, and what other software wrote.
//!
//! Such text may move the cursor, change colours, reverse the order of letters, or look like another line.
//! So control characters (C0, C1) and marks of the writing direction are printed as `\u{1b}`.

use std::{borrow::Cow, fmt::Write};

/// Escapes text that may have several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'])
}

/// Escapes text after a label. Its further lines are indented, so that none looks like a label.
pub(crate) fn paragraph(text: &str) -> String {
    let mut indented = String::new();
    for (number, line) in lines(text).lines().enumerate() {
        if number > 0 {
            indented.push_str(if line.starts_with(' ') { "\n" } else { "\n  " });
        }
        indented.push_str(line);
    }
    indented
}

/// Escapes text that is one field of a line.
pub(crate) fn field(text: &str) -> Cow<'_, str> {
    escaped(text, &[])
}

/// Escapes JSON text as JSON: its strings keep their values.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    // All of them are in strings, and in one unit of UTF-16. Those of ASCII are escaped already, or between
    // values.
    let is_unsafe = |one: char| one >= '\u{7f}' && is_unsafe(one);
    replaced(text, is_unsafe, |one, escaped| {
        // Writing to a string does not fail.
        let _ = write!(escaped, "\\u{:04x}", u32::from(one));
    })
}

fn escaped<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_unsafe = |one: char| is_unsafe(one) && !kept.contains(&one);
    replaced(text, is_unsafe, |one, escaped| escaped.extend(one.escape_default()))
}

fn replaced(
    text: &str,
    is_unsafe: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_unsafe) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for one in text.chars() {
        if is_unsafe(one) {
            escape(one, &mut escaped);
        } else {
            escaped.push(one);
        }
    }
    escaped.into()
}

fn is_unsafe(one: char) -> bool {
    one.is_control()
        || matches!(
            one,
            '\u{61c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_or_reverses_letters_is_printed() {
        for (text, expected) in [
            ("plain ümlaut", "plain ümlaut"),
            ("\x1b[2J\x07", "\\u{1b}[2J\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb", "a\\rb"),
            ("\u{202e}gpj", "\\u{202e}gpj"),
            ("\u{2066}a\u{2069}\u{200f}\u{61c}", "\\u{2066}a\\u{2069}\\u{200f}\\u{61c}"),
        ] {
            assert_eq!(lines(text), expected);
            assert_eq!(field(text), expected);
        }
        assert_eq!(paragraph("a\nhint: b\n  c"), "a\n  hint: b\n  c");
        let strings = "[\"\u{9b}\u{7f}\u{2028}\u{202e}ü\\n\",\n 1]\n";
        let expected = "[\"\\u009b\\u007f\\u2028\\u202eü\\n\",\n 1]\n";
        assert_eq!(json(strings), expected);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(strings), value(expected));
        assert_eq!((lines("a\n\tb").as_ref(), field("a\n\tb").as_ref()), ("a\n\tb", "a\\n\\tb"));
    }
}
