//! Quoting for commands that a person or a shell runs.

use rawsink::layout::Place;

/// Returns a word as a POSIX shell reads it: unchanged if it is plain, else in single quotes.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-=./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Returns a canonical path as a quoted argument.
///
/// A path that looks like an option starts with `./`, which path arguments ignore.
pub fn path_argument(place: &Place) -> String {
    let path = place.to_string();
    quoted(&if path.starts_with('-') { format!("./{path}") } else { path })
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn only_words_with_special_characters_are_quoted() {
        assert_eq!(quoted("a/b=c:d.e"), "a/b=c:d.e");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
