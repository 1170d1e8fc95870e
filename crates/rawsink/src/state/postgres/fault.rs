//! Failures of a call to the server, and their error kinds.

use std::{io, time::Duration};

use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::error::{Error, ErrorKind, system_text};

/// A failed call.
#[derive(Debug)]
pub(super) enum PgFault {
    /// The server refused, or the connection broke.
    Sqlx(sqlx::Error),
    /// The server did not answer in time.
    Silent(Duration),
    /// The connection broke, or the server did not answer in time, during a commit.
    Commit(Box<PgFault>),
    /// The table does not match the contract.
    Table(String),
    /// An error of this library.
    Library(Error),
}

impl PgFault {
    pub(super) fn table(fault: impl Into<String>) -> Self {
        Self::Table(fault.into())
    }

    /// Marks a commit as in doubt unless the server refused it.
    ///
    /// A code alone does not prove a refusal: a closed connection has one too, from the server or
    /// from a pooler that lost the server.
    pub(super) fn of_commit(fault: Self) -> Self {
        let refused = fault.refusal().is_some_and(|refusal| {
            // connection exceptions; statement_completion_unknown
            let in_doubt = refusal.code().starts_with("08") || refusal.code() == "40003";
            !in_doubt && refusal.severity() == PgSeverity::Error
        });
        if refused { fault } else { Self::Commit(Box::new(fault)) }
    }

    /// Returns whether the table no longer fits the statement.
    pub(super) fn is_table_mismatch(&self) -> bool {
        // undefined_table, undefined_column, undefined_function (no operator for such a type),
        // datatype_mismatch, invalid_column_reference (no key for ON CONFLICT)
        matches!(self.code(), Some("42P01" | "42703" | "42883" | "42804" | "42P10"))
    }

    /// Returns whether the server aborted this change in favour of another, so that a retry can succeed.
    pub(super) fn is_retryable(&self) -> bool {
        // serialization_failure, deadlock_detected
        matches!(self.code(), Some("40001" | "40P01"))
    }

    /// Returns whether the server refused the statement.
    pub(super) fn is_refusal(&self) -> bool {
        self.code().is_some()
    }

    /// Returns whether the role lacks a privilege.
    pub(super) fn is_missing_privilege(&self) -> bool {
        self.code() == Some("42501")
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

impl From<sqlx::Error> for PgFault {
    fn from(cause: sqlx::Error) -> Self {
        Self::Sqlx(cause)
    }
}

impl From<Error> for PgFault {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<PgFault> for Error {
    fn from(fault: PgFault) -> Self {
        let code = fault.code().map(str::to_owned);
        match fault {
            PgFault::Library(error) => error,
            PgFault::Table(fault) => Self::invalid(format!("the table partition_state {fault}")),
            PgFault::Silent(limit) => {
                let message = format!("the state database did not answer within {limit:?}");
                Self::new(ErrorKind::Unavailable, message)
            }
            PgFault::Commit(fault) => {
                let cause = Self::from(*fault);
                let message = format!("the change may have been recorded: {}", cause.message());
                Self::new(ErrorKind::Unknown, message).because(cause)
            }
            PgFault::Sqlx(sqlx::Error::Io(cause)) => {
                let next = next_step(cause.kind() == io::ErrorKind::InvalidData);
                let message =
                    format!("the state database cannot be reached: {}{next}", system_text(&cause));
                Self::new(kind_of_io(&cause), message).because(cause)
            }
            PgFault::Sqlx(cause) => {
                let kind = code.map_or_else(|| kind_of(&cause), |code| kind_of_code(&code));
                let reason = cause.as_database_error().map(DatabaseError::message);
                let reason = reason.map_or_else(|| cause.to_string(), str::to_owned);
                let next = next_step(matches!(cause, sqlx::Error::Tls(_)));
                Self::new(kind, format!("the state database returned an error: {reason}{next}"))
                    .because(cause)
            }
        }
    }
}

/// Returns what to do if the server's certificate cannot be checked.
fn next_step(is_untrusted: bool) -> &'static str {
    if is_untrusted {
        "; set sslrootcert to the certificates of the server's authority"
    } else {
        ""
    }
}

/// Returns the kind of an I/O error. `InvalidData` is an untrusted certificate.
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
        // The peer does not speak the PostgreSQL protocol.
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
            // bad data, violated constraints, unknown database or schema, and statements that do not
            // fit the table
            "22" | "23" | "3D" | "3F" | "42" | "44" => ErrorKind::Invalid,
            // feature not supported
            "0A" => ErrorKind::Unsupported,
            // connections, resources, locks, shutdown, and future classes
            _ => ErrorKind::Unavailable,
        },
    }
}
