//! A secret: a value, or the file that holds it. It cannot be shown.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result, system_text};

/// Where a secret comes from. `Debug` shows neither a value nor its length (G17).
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Value(SecretString),
    File(PathBuf),
}

impl Secret {
    /// Makes a secret of its value.
    pub fn value(value: impl Into<String>) -> Self {
        Self(Source::Value(SecretString::from(value.into())))
    }

    /// Makes a secret that is read from a file whenever it is needed anew.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// Returns the secret itself; of a file without the line end behind it.
    ///
    /// # Errors
    /// `Invalid` for a file that cannot be read or is not UTF-8, and for a secret that is empty or
    /// that no server can have given: with a control character, or white space at an end.
    pub fn read(&self) -> Result<String> {
        let path = match &self.0 {
            Source::Value(value) => {
                return checked(value.expose_secret())
                    .map_err(|fault| Error::invalid(format!("the secret {fault}")));
            }
            Source::File(path) => path,
        };
        let refused = |cause: &dyn fmt::Display| {
            Error::invalid(format!("the secret's file cannot be used: {cause}"))
                .on_path(path.display())
        };
        let text = std::fs::read_to_string(path).map_err(|cause| refused(&system_text(&cause)))?;
        checked(text.trim_end_matches(['\n', '\r']))
            .map_err(|fault| refused(&format_args!("it {fault}")))
    }

    /// Returns the secret for a person: where it comes from, or that it is hidden.
    pub fn shown(&self) -> String {
        match &self.0 {
            Source::Value(_) => "(hidden)".to_owned(),
            Source::File(path) => format!("(file {})", path.display()),
        }
    }
}

/// Returns a secret, or what is wrong with it.
fn checked(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(char::is_control) || text.trim() != text {
        Err("has a control character, or white space at an end")
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
    fn g17_a_secret_is_not_shown() {
        let secret = Secret::value("canary");
        assert!(!format!("{secret:?} {}", secret.shown()).contains("canary"));
        assert_eq!(secret.read().unwrap(), "canary");
    }

    #[test]
    fn a_secret_in_a_file_is_read_anew_without_its_line_end() {
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
    fn g17_a_secret_that_no_server_gave_is_refused_and_not_shown() {
        for bad in ["canary\n", " canary", "can\0ary", "canary\nRAW_SINK_X=canary"] {
            let error = Secret::value(bad).read().unwrap_err();
            assert!(!format!("{error:?}").contains("ary"), "{error:?}");
        }
        assert!(Secret::value("with space and ümlaut").read().is_ok());
    }
}
