//! What went wrong between us and the server, and which kind of error that is.

use std::{io, time::Duration};

use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::error::{Error, ErrorKind, system_text};

/// What went wrong.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused, or the connection broke.
    Sqlx(sqlx::Error),
    /// The server did not answer in time.
    Silent(Duration),
    /// The connection broke, or the server was silent, while a change was committed.
    Commit(Box<Fault>),
    /// The table is not the contract's.
    Table(String),
    /// An error that needs no translation.
    Library(Error),
}

impl Fault {
    pub(super) fn table(fault: impl Into<String>) -> Self {
        Self::Table(fault.into())
    }

    /// Tells a commit that was refused from one of which nothing is known.
    ///
    /// A connection that is ended has a code too: by the server, or by a pooler in between that lost
    /// the server.
    pub(super) fn of_commit(fault: Self) -> Self {
        let refused = fault.refusal().is_some_and(|refusal| {
            // connection exceptions; statement_completion_unknown
            let in_doubt = refusal.code().starts_with("08") || refusal.code() == "40003";
            !in_doubt && refusal.severity() == PgSeverity::Error
        });
        if refused { fault } else { Self::Commit(Box::new(fault)) }
    }

    /// Tells whether the table is not what it was when it was looked at.
    pub(super) fn is_of_another_table(&self) -> bool {
        // undefined_table, undefined_column, undefined_function (no operator for such a type),
        // datatype_mismatch, invalid_column_reference (no key that ON CONFLICT could use)
        matches!(self.code(), Some("42P01" | "42703" | "42883" | "42804" | "42P10"))
    }

    /// Tells whether the server gave this change up in favour of another: it may pass now.
    pub(super) fn may_pass(&self) -> bool {
        // serialization_failure, deadlock_detected
        matches!(self.code(), Some("40001" | "40P01"))
    }

    /// Tells whether the server answered, and refused.
    pub(super) fn is_refusal(&self) -> bool {
        self.code().is_some()
    }

    /// Returns the SQLSTATE of a refusal.
    fn code(&self) -> Option<&str> {
        self.refusal().map(PgDatabaseError::code)
    }

    fn refusal(&self) -> Option<&PgDatabaseError> {
        let Self::Sqlx(cause) = self else { return None };
        cause.as_database_error()?.try_downcast_ref()
    }
}

impl From<sqlx::Error> for Fault {
    fn from(cause: sqlx::Error) -> Self {
        Self::Sqlx(cause)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let code = fault.code().map(str::to_owned);
        match fault {
            Fault::Library(error) => error,
            Fault::Table(fault) => Self::invalid(format!("the table partition_state {fault}")),
            Fault::Silent(limit) => {
                let message = format!("the state database gave no answer within {limit:?}");
                Self::new(ErrorKind::Unavailable, message)
            }
            Fault::Commit(fault) => {
                let cause = Self::from(*fault);
                let message = format!("the change may have been recorded: {}", cause.message());
                Self::new(ErrorKind::Unknown, message).because(cause)
            }
            Fault::Sqlx(sqlx::Error::Io(cause)) => {
                let message =
                    format!("the state database cannot be reached: {}", system_text(&cause));
                Self::new(kind_of_io(&cause), message).because(cause)
            }
            Fault::Sqlx(cause) => {
                let kind = code.map_or_else(|| kind_of(&cause), |code| kind_of_code(&code));
                let said = cause.as_database_error().map(DatabaseError::message);
                let said = said.map_or_else(|| cause.to_string(), str::to_owned);
                Self::new(kind, format!("the state database refused: {said}")).because(cause)
            }
        }
    }
}

/// A certificate that is not trusted arrives as unusable data.
fn kind_of_io(cause: &io::Error) -> ErrorKind {
    match cause.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    }
}

fn kind_of(cause: &sqlx::Error) -> ErrorKind {
    match cause {
        sqlx::Error::Tls(_) => ErrorKind::Denied,
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => ErrorKind::Invalid,
        // Whoever answers does not speak as PostgreSQL does.
        sqlx::Error::Protocol(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}

/// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn kind_of_code(code: &str) -> ErrorKind {
    match code {
        // insufficient_privilege, read_only_sql_transaction (a standby)
        "42501" | "25006" => ErrorKind::Denied,
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => ErrorKind::Corrupt,
        _ => match code.get(..2).unwrap_or_default() {
            // invalid authorization
            "28" => ErrorKind::Denied,
            // bad data, violated constraints, no such database or schema, and statements that do not
            // fit the table
            "22" | "23" | "3D" | "3F" | "42" | "44" => ErrorKind::Invalid,
            // feature not supported
            "0A" => ErrorKind::Unsupported,
            // connections, resources, locks, shutdown, and whatever comes
            _ => ErrorKind::Unavailable,
        },
    }
}
