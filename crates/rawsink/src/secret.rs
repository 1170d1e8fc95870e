//! A secret: a value, or the file that holds it. It is never printed.

#[cfg(any(feature = "s3", feature = "postgres"))]
mod hidden;

use std::{
    fmt,
    path::{self, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

#[cfg(any(feature = "s3", feature = "postgres"))]
pub(crate) use self::hidden::Hidden;
use crate::{
    error::{Error, Result, system_text},
    small_file,
};

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
        let text = small_file::read_text(path).map_err(|cause| refused(&system_text(&cause)))?;
        checked(text.trim_end_matches(['\n', '\r']))
            .map_err(|fault| refused(&format_args!("it {fault}")))
    }

    /// Returns a printable form: the file's absolute path, or `(hidden)`.
    pub fn shown(&self) -> String {
        match &self.0 {
            Source::Value(_) => "(hidden)".to_owned(),
            Source::File(path) => {
                // Without a current directory the path is shown as given.
                let absolute = path::absolute(path).unwrap_or_else(|_| path.clone());
                format!("(file {})", absolute.display())
            }
        }
    }
}

/// Returns a valid secret, or the text of its fault.
fn checked(text: &str) -> Result<String, &'static str> {
    let is_quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.is_empty() {
        Err("is empty")
    } else if text.starts_with('\u{feff}') {
        Err("starts with a byte order mark: save its file as UTF-8 without one")
    } else if ['"', '\'', '`'].into_iter().any(is_quoted) {
        Err("is in quotation marks, which would be part of it")
    } else if text.split_once('=').is_some_and(|(name, _)| is_name(name.trim_end())) {
        Err("starts with a name and =, which would be part of it")
    } else if text.chars().any(char::is_control) || text.trim() != text {
        Err("contains a control character, or starts or ends with white space")
    } else {
        Ok(text.to_owned())
    }
}

/// Returns whether a text looks like the name of a variable, as in `aws_secret_access_key`.
fn is_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["raw_sink_", "rawsink_", "aws_"].iter().any(|start| lower.starts_with(start))
        && lower.chars().all(|one| one.is_ascii_alphabetic() || one == '_')
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
        for bad in [
            "canary\n",
            " canary",
            "can\0ary",
            "canary\nRAW_SINK_X=canary",
            "\u{feff}canary",
            "\"canary\"",
            "'canary'",
            "RAW_SINK_SECRET_ACCESS_KEY=canary",
            "aws_secret_access_key = canary",
        ] {
            let error = Secret::value(bad).read().unwrap_err();
            assert!(!format!("{error:?}").contains("ary"), "{error:?}");
        }
        for good in [
            "with space and ümlaut",
            "\"",
            "it's",
            "a=b",
            "a_b=c",
            "correct_horse_battery=staple",
            "wJalr/K7+MDENG==",
        ] {
            assert!(Secret::value(good).read().is_ok(), "{good}");
        }
    }
}
