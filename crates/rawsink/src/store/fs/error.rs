//! Errors of file operations, and their kinds.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use tokio::task::JoinError;

use crate::error::{Error, ErrorKind, system_text};

/// A failed file operation, or a refusal found under the lock.
#[derive(Debug)]
pub(super) enum FsError {
    /// The system refused an operation.
    System { action: &'static str, path: PathBuf, errno: Errno },
    /// The protocol refused to continue.
    Refused(Error),
    /// An operation failed that may have created the seal.
    SealUnknown { action: &'static str, path: PathBuf, errno: Errno },
}

impl FsError {
    pub(super) fn new(action: &'static str, path: impl AsRef<Path>, cause: &io::Error) -> Self {
        let errno = Errno::from_io_error(cause).unwrap_or(Errno::IO);
        Self::System { action, path: path.as_ref().to_owned(), errno }
    }

    pub(super) fn panicked(cause: &JoinError) -> Self {
        Self::Refused(Error::new(
            ErrorKind::Internal,
            format!("a file operation panicked: {cause}"),
        ))
    }

    /// Returns whether the file, or a directory above it, does not exist.
    pub(super) fn is_absence(&self) -> bool {
        self.is(Errno::NOENT) || self.is(Errno::NOTDIR)
    }

    pub(super) fn is(&self, wanted: Errno) -> bool {
        matches!(self, Self::System { errno, .. } if *errno == wanted)
    }

    /// Returns whether it is certain that the operation did not happen.
    pub(super) fn is_clear_refusal(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::SealUnknown { .. } => false,
            Self::System { errno, .. } => matches!(
                *errno,
                Errno::ACCESS
                    | Errno::PERM
                    | Errno::ROFS
                    | Errno::NOSPC
                    | Errno::DQUOT
                    | Errno::MLINK
                    | Errno::XDEV
                    | Errno::OPNOTSUPP
                    | Errno::NOSYS
                    | Errno::NOENT
                    | Errno::NOTDIR
                    | Errno::LOOP
                    | Errno::NAMETOOLONG
            ),
        }
    }

    /// Marks that the seal may exist in spite of this error.
    pub(super) fn seal_unknown(self) -> Self {
        match self {
            Self::System { action, path, errno } => Self::SealUnknown { action, path, errno },
            other => other,
        }
    }
}

/// Returns the outcome of an operation on the blocking pool.
pub(super) fn joined<T>(outcome: Result<Result<T, FsError>, JoinError>) -> Result<T, FsError> {
    outcome.unwrap_or_else(|cause| Err(FsError::panicked(&cause)))
}

impl From<FsError> for Error {
    fn from(error: FsError) -> Self {
        match error {
            FsError::Refused(error) => error,
            FsError::SealUnknown { action, path, errno } => Self::new(
                ErrorKind::Unknown,
                format!("{}; the seal may exist in spite of this", sentence(action, errno)),
            )
            .on_path(path.display()),
            FsError::System { action, path, errno } => {
                let (kind, hint) = classify(action, errno);
                let error = Self::new(kind, format!("{}{hint}", sentence(action, errno)));
                let error = if errno == Errno::LOOP { error.by_setting("links") } else { error };
                if path.as_os_str().is_empty() { error } else { error.on_path(path.display()) }
            }
        }
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { action, errno, .. } | Self::SealUnknown { action, errno, .. } => {
                f.write_str(&sentence(action, *errno))
            }
            Self::Refused(error) => error.fmt(f),
        }
    }
}

fn sentence(action: &str, errno: Errno) -> String {
    if errno == Errno::LOOP {
        return format!("cannot {action}: it is, or leads through, a symbolic link");
    }
    format!("cannot {action}: {}", system_text(&io::Error::from(errno)))
}

/// Returns the kind of an error number, and a hint.
fn classify(action: &str, errno: Errno) -> (ErrorKind, &'static str) {
    const NO_LINKS: &str =
        "; this file system lacks the hard links or locks that sealing needs: use the object sink";
    match errno {
        // Some file systems without hard links (FAT, some network ones) return "not permitted".
        Errno::PERM if action.starts_with("link") => (ErrorKind::Unsupported, NO_LINKS),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => (ErrorKind::Denied, ""),
        Errno::BADF
        | Errno::NOLCK
        | Errno::OPNOTSUPP
        | Errno::NOSYS
        | Errno::XDEV
        | Errno::MLINK => (ErrorKind::Unsupported, NO_LINKS),
        Errno::NAMETOOLONG | Errno::NOTDIR | Errno::LOOP | Errno::ISDIR => (ErrorKind::Invalid, ""),
        // Full or failing disks, quotas, size limits, too many open files: a later try may succeed.
        _ => (ErrorKind::Unavailable, ""),
    }
}
