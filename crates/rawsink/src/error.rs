//! The one error type: what the caller should do (kind), what happened (message) and where.
//!
//! Owns the kinds and the context. Must not know any backend: each store turns its own private
//! errors into these by one `From`.

use std::{error::Error as StdError, fmt, io};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an [`Error`].
///
/// Every kind but [`Unknown`](Self::Unknown) and [`Corrupt`](Self::Corrupt) means that the seal of
/// the writer that got it is not there and will not appear (G06).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the key, row, metadata or setting.
    Invalid,
    /// Name another run: this one has neither payload nor seal, or nothing has authority.
    NotFound,
    /// Wait, or restart that run: it has a payload and no seal.
    NotSealed,
    /// Use a new run id: this run is sealed and never changes.
    AlreadySealed,
    /// Another writer of this run is or was at work: try again, or look at what is there.
    Conflict,
    /// Start a new writer: this one has ended.
    Closed,
    /// Fix credentials, permissions or policy.
    Denied,
    /// Change the endpoint, the file system or the mode.
    Unsupported,
    /// Stop; a person should look: what is stored is not what was sealed.
    Corrupt,
    /// Try later with the same run id.
    Unavailable,
    /// The seal may be there or still appear: look, or write the same run again.
    Unknown,
    /// Report a bug.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
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

    /// Returns the kind's name as it stands in JSON output and in the documentation.
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

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What went wrong, one word in size.
///
/// `Display` is the place (partition, run or path) and the message: one line, but for messages that
/// list several faults or runs. Causes further down are reached by [`source`](StdError::source).
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    message: String,
    place: Option<String>,
    path: Option<String>,
    writer: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of `kind`; `message` says what happened, in lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Details {
            kind,
            message,
            place: None,
            path: None,
            writer: None,
            source: None,
        }))
    }

    /// Makes an [`ErrorKind::Invalid`] error.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Makes an [`ErrorKind::Corrupt`] error.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Adds the partition or run that was worked on, unless one is known already. The place above
    /// all sources has no name and adds nothing.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        if self.0.place.is_none() {
            self.0.place = Some(place.to_string()).filter(|place| !place.is_empty());
        }
        self
    }

    /// Adds the path below the store (or of a file) that was touched, unless one is known already.
    #[must_use]
    pub fn on_path(mut self, path: impl fmt::Display) -> Self {
        self.0.path.get_or_insert_with(|| path.to_string());
        self
    }

    /// Adds the token of the writer whose seal was seen or may still appear.
    #[must_use]
    pub fn by_writer(mut self, token: impl fmt::Display) -> Self {
        self.0.writer.get_or_insert_with(|| token.to_string());
        self
    }

    /// Adds the error below this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source.get_or_insert(source.into());
        self
    }

    /// Returns the same error with another kind, for a caller who knows better what to do.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what happened, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the partition or run that was worked on, as its canonical path.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// Returns the path that was touched.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// Returns the token of the writer whose seal was seen or may still appear.
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

/// Returns what the system says, in lower case and without its number.
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
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn the_first_context_stays() {
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
