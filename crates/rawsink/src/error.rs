//! The error type: what the caller should do (kind), what happened (message) and where.
//!
//! Must not know any backend: each store converts its private errors with one `From`.

use std::{error::Error as StdError, fmt, io};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`Error`]: what the caller should do.
///
/// After every kind but [`Unknown`](Self::Unknown) and [`Corrupt`](Self::Corrupt) the writer's seal
/// does not exist and will not appear (G06).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the key, row, metadata or setting.
    Invalid,
    /// Name another run: this one has neither payload nor seal, or no run has authority.
    NotFound,
    /// Wait, or restart the run: it has a payload but no seal.
    NotSealed,
    /// Use a new run id: this run is sealed and never changes.
    AlreadySealed,
    /// Try again, or inspect the run: another writer of it is or was active.
    Conflict,
    /// Start a new writer: this one has ended.
    Closed,
    /// Fix credentials, permissions or policy.
    Denied,
    /// Change the endpoint, the file system or the mode.
    Unsupported,
    /// Stop and inspect the run: its stored bytes differ from the sealed ones.
    Corrupt,
    /// Try later with the same run id.
    Unavailable,
    /// Check, or write the same run again: the seal may exist or still appear.
    Unknown,
    /// Report a bug.
    Internal,
}

impl ErrorKind {
    /// Every kind, in documentation order.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::NotFound,
        Self::NotSealed,
        Self::AlreadySealed,
        Self::Conflict,
        Self::Closed,
        Self::Denied,
        Self::Unsupported,
        Self::Corrupt,
        Self::Unavailable,
        Self::Unknown,
        Self::Internal,
    ];

    /// Returns the kind's name as used in JSON output and in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::NotFound => "NotFound",
            Self::NotSealed => "NotSealed",
            Self::AlreadySealed => "AlreadySealed",
            Self::Conflict => "Conflict",
            Self::Closed => "Closed",
            Self::Denied => "Denied",
            Self::Unsupported => "Unsupported",
            Self::Corrupt => "Corrupt",
            Self::Unavailable => "Unavailable",
            Self::Unknown => "Unknown",
            Self::Internal => "Internal",
        }
    }
}

impl ErrorKind {
    /// Returns whether the same call, with the same run id, may succeed later without any change by the
    /// caller.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Unknown)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error, one word in size.
///
/// `Display` writes the place (partition, run or path) and the message. This is one line, unless
/// the message lists several faults or runs. [`source`](StdError::source) returns the cause.
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    message: String,
    place: Option<String>,
    path: Option<String>,
    writer: Option<String>,
    setting: Option<&'static str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error of `kind`. `message` is in lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Details {
            kind,
            message,
            place: None,
            path: None,
            writer: None,
            setting: None,
            source: None,
        }))
    }

    /// Creates an [`ErrorKind::Invalid`] error.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Creates an [`ErrorKind::Corrupt`] error.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Adds the partition or run, unless the error has one. The place above all sources has no name
    /// and adds nothing.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        if self.0.place.is_none() {
            self.0.place = Some(place.to_string()).filter(|place| !place.is_empty());
        }
        self
    }

    /// Adds the path of the file, or the path below the store, unless the error has one.
    #[must_use]
    pub fn on_path(mut self, path: impl fmt::Display) -> Self {
        self.0.path.get_or_insert_with(|| path.to_string());
        self
    }

    /// Adds the token of the writer whose seal exists or may still appear.
    #[must_use]
    pub fn by_writer(mut self, token: impl fmt::Display) -> Self {
        self.0.writer.get_or_insert_with(|| token.to_string());
        self
    }

    /// Adds the configuration field that controls this, such as `max_row_bytes`.
    #[must_use]
    pub fn by_setting(mut self, field: &'static str) -> Self {
        self.0.setting.get_or_insert(field);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source.get_or_insert(source.into());
        self
    }

    /// Replaces the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the message, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the canonical path of the partition or run.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// Returns the path of the file, or the path below the store.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// Returns the configuration field that controls this, if there is one.
    ///
    /// The module `env` maps it to its environment variable.
    pub fn setting(&self) -> Option<&'static str> {
        self.0.setting
    }

    /// Returns the token of the writer whose seal exists or may still appear.
    pub fn writer(&self) -> Option<&str> {
        self.0.writer.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(path) = &self.0.path {
            write!(f, " ({path})")?;
        }
        if let Some(writer) = &self.0.writer {
            write!(f, " (writer {writer})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An illegal value of a configuration field.
#[cfg(feature = "s3")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigFault {
    /// The field's name.
    pub(crate) field: &'static str,
    /// The text that follows the name in a message: `is "x", not a valid bucket name`.
    pub(crate) what: String,
}

#[cfg(feature = "s3")]
impl ConfigFault {
    /// Joins faults into one `Invalid` error that names each field.
    pub(crate) fn join(faults: &[Self]) -> Error {
        let text = |fault: &Self| format!("{} {}", fault.field, fault.what);
        Error::invalid(faults.iter().map(text).collect::<Vec<_>>().join("; "))
    }
}

/// Wraps an error as an I/O error; [`io::Error::get_ref`] returns it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Invalid => io::ErrorKind::InvalidInput,
            ErrorKind::NotFound | ErrorKind::NotSealed => io::ErrorKind::NotFound,
            ErrorKind::AlreadySealed => io::ErrorKind::AlreadyExists,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Returns the system's text of an error, in lower case and without its number.
pub fn system_text(cause: &io::Error) -> String {
    let text = cause.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_in_size() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn the_first_context_is_kept() {
        let error = Error::invalid("no date").at("a/b").at("c").on_path("x").on_path("y");
        assert_eq!(error.to_string(), "a/b: no date (x)");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_place_without_a_name_is_not_shown() {
        let error = Error::invalid("no date").at("");
        assert_eq!((error.place(), error.to_string().as_str()), (None, "no date"));
        assert_eq!(error.at("a/b").to_string(), "a/b: no date");
    }
}
