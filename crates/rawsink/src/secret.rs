//! A secret: a value, or the file that holds it. It is never printed.

use std::{cmp::Reverse, fmt, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result, system_text};

/// The source of a secret. `Debug` prints neither a value nor its length (G17).
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Value(SecretString),
    File(PathBuf),
}

impl Secret {
    /// Creates a secret from its value.
    pub fn value(value: impl Into<String>) -> Self {
        Self(Source::Value(SecretString::from(value.into())))
    }

    /// Creates a secret that is read from a file at each [`read`](Self::read).
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// Returns the secret. The line end of a file is removed.
    ///
    /// # Errors
    /// `Invalid` for a file that cannot be read or is not UTF-8. `Invalid` for a secret that is
    /// empty, contains a control character, or starts or ends with white space.
    pub fn read(&self) -> Result<String> {
        let path = match &self.0 {
            Source::Value(value) => {
                return checked(value.expose_secret())
                    .map_err(|fault| Error::invalid(format!("the secret {fault}")));
            }
            Source::File(path) => path,
        };
        let refused = |cause: &dyn fmt::Display| {
            Error::invalid(format!("cannot use the secret file: {cause}")).on_path(path.display())
        };
        let text = std::fs::read_to_string(path).map_err(|cause| refused(&system_text(&cause)))?;
        checked(text.trim_end_matches(['\n', '\r']))
            .map_err(|fault| refused(&format_args!("it {fault}")))
    }

    /// Returns a printable form: the file's path, or `(hidden)`.
    pub fn shown(&self) -> String {
        match &self.0 {
            Source::Value(_) => HIDDEN.to_owned(),
            Source::File(path) => format!("(file {})", path.display()),
        }
    }
}

/// What a text shows in place of a secret.
const HIDDEN: &str = "(hidden)";

/// Replaces secrets in the text of a server. A short secret may be part of a word, so it is replaced only
/// where no letter or digit is beside it.
pub(crate) fn hidden_in<'a>(text: String, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut secrets: Vec<&str> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
    // One secret may be a part of another.
    secrets.sort_by_key(|secret| Reverse(secret.len()));
    secrets.into_iter().fold(text, |text, secret| {
        if secret.len() < 8 { without_word(&text, secret) } else { text.replace(secret, HIDDEN) }
    })
}

fn without_word(text: &str, word: &str) -> String {
    let (mut shown, mut from) = (String::new(), 0);
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let beside = [text[..at].chars().next_back(), text[end..].chars().next()];
        if !beside.into_iter().flatten().any(char::is_alphanumeric) {
            shown.push_str(&text[from..at]);
            shown.push_str(HIDDEN);
            from = end;
        }
    }
    shown + &text[from..]
}

/// Returns a valid secret, or the text of its fault.
fn checked(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(char::is_control) || text.trim() != text {
        Err("contains a control character, or starts or ends with white space")
    } else {
        Ok(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::Value(one), Source::Value(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            (Source::File(one), Source::File(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g17_a_secret_is_not_printed() {
        let secret = Secret::value("canary");
        assert!(!format!("{secret:?} {}", secret.shown()).contains("canary"));
        assert_eq!(secret.read().unwrap(), "canary");
    }

    #[test]
    fn g17_a_secret_is_hidden_in_the_text_of_a_server() {
        for (text, secrets, shown) in [
            ("key xcanary-key", &["canary-key"][..], "key x(hidden)"),
            ("key canary-key-of-mine", &["canary-key", "canary-key-of-mine"], "key (hidden)"),
            ("\"pass\": pass", &["pass"], "\"(hidden)\": (hidden)"),
            ("password of passer-by", &["pass"], "password of passer-by"),
            ("nothing", &["", "canary"], "nothing"),
        ] {
            assert_eq!(hidden_in(text.to_owned(), secrets.iter().copied()), shown);
        }
    }

    #[test]
    fn a_secret_file_is_read_each_time_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secret = Secret::file(&path);
        assert!(secret.read().is_err());
        for value in ["one\n", "two\r\n", "three"] {
            std::fs::write(&path, value).unwrap();
            assert_eq!(secret.read().unwrap(), value.trim_end());
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(secret.read().unwrap_err().message().contains("empty"));
    }

    #[test]
    fn g17_a_malformed_secret_is_refused_and_not_printed() {
        for bad in ["canary\n", " canary", "can\0ary", "canary\nRAW_SINK_X=canary"] {
            let error = Secret::value(bad).read().unwrap_err();
            assert!(!format!("{error:?}").contains("ary"), "{error:?}");
        }
        assert!(Secret::value("with space and ümlaut").read().is_ok());
    }
}
