//! Maps errors of SQLite to kinds.

use std::path::Path;

use rustix::{
    fs::{self, Access},
    io::Errno,
};
use sqlx::error::DatabaseError;

use super::SqliteState;
use crate::error::{Error, ErrorKind, system_text};

impl SqliteState {
    pub(super) fn error(&self, cause: sqlx::Error) -> Error {
        if let sqlx::Error::Io(cause) = &cause {
            return unavailable(cause, self.directory());
        }
        if let sqlx::Error::Protocol(fault) = &cause {
            // Not an ordinary table, or a trigger.
            return Error::invalid(format!("the state database cannot be used: {fault}"))
                .on_path(self.path.display());
        }
        let kind = match code(&cause) {
            _ if self.path.is_dir() => ErrorKind::Invalid,
            // SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH
            Some(3 | 8 | 23) => ErrorKind::Denied,
            // SQLITE_CANTOPEN has several causes
            Some(14) if self.lacks_permission() => ErrorKind::Denied,
            // SQLITE_CORRUPT, SQLITE_NOTADB
            Some(11 | 26) => ErrorKind::Corrupt,
            // SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH: the table does not match the contract
            Some(1 | 19 | 20) => ErrorKind::Invalid,
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR and errors without a code
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("the state database returned an error: {cause}"))
            .on_path(self.path.display())
            .because(cause)
    }

    /// Returns whether this user lacks permission for the file or its directory.
    fn lacks_permission(&self) -> bool {
        let closed = |path: &Path, access| {
            matches!(fs::access(path, access), Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
        };
        closed(&self.path, Access::READ_OK | Access::WRITE_OK)
            || closed(self.directory(), Access::WRITE_OK)
    }
}

/// Returns whether a process crashed during a change that a read-only connection cannot roll back
/// (`SQLITE_READONLY_RECOVERY`, `SQLITE_READONLY_ROLLBACK`).
pub(super) fn needs_recovery(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("264" | "776"))
}

/// Returns the primary result code.
fn code(cause: &sqlx::Error) -> Option<u32> {
    let extended = cause.as_database_error().and_then(DatabaseError::code)?;
    extended.parse::<u32>().ok().map(|code| code & 0xFF)
}

pub(super) fn unavailable(cause: &std::io::Error, path: &Path) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::Denied
        }
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the state database cannot be reached: {}", system_text(cause)))
        .on_path(path.display())
}
