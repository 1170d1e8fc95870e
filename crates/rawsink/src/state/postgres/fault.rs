//! Failures of a call to the server, and their error kinds.

use std::{io, time::Duration};

use rustix::io::Errno;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{Error, ErrorKind, system_text};

/// The text of `sqlx` for a server without TLS.
pub(super) const NO_TLS: &str = "server does not support TLS";

/// A failed call.
#[derive(Debug)]
pub(super) enum PgFault {
    /// The server refused, or the connection broke.
    Sqlx(sqlx::Error),
    /// The server did not answer in time.
    Silent(Duration),
    /// The connection broke, or the server did not answer in time, during a commit.
    Commit(Box<PgFault>),
    /// A server that is not verified requested the password by a method other than SCRAM: its code.
    Unsafe(u32),
    /// The guard of the password has no local socket.
    Unguarded(io::Error),
    /// The table does not match the contract.
    Table(String),
    /// A call that the server refused, and what that means.
    Explained(String, Box<PgFault>),
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

impl From<io::Error> for PgFault {
    fn from(cause: io::Error) -> Self {
        Self::Sqlx(sqlx::Error::Io(cause))
    }
}

impl From<Error> for PgFault {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl PgFault {
    /// Converts to an error. `hide` replaces secrets in the server's text.
    pub(super) fn into_error(self, hide: &dyn Fn(String) -> String) -> Error {
        match self {
            Self::Library(error) => error,
            Self::Table(fault) => Error::invalid(format!("the table partition_state {fault}")),
            Self::Silent(limit) => {
                let message = format!("the state database did not answer within {limit:?}");
                Error::new(ErrorKind::Unavailable, message)
            }
            Self::Unsafe(method) => Error::new(ErrorKind::Denied, unsafe_method(method)),
            Self::Unguarded(cause) => {
                let message = format!(
                    "the password was not sent: the state database is not verified, and the local socket \
                     of the guard cannot be opened: {}; allow this process Unix sockets (AF_UNIX, Linux \
                     only), or set sslmode=verify-full",
                    system_text(&cause)
                );
                let kind = match Errno::from_io_error(&cause) {
                    Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                        ErrorKind::Unavailable
                    }
                    _ => ErrorKind::Denied,
                };
                Error::new(kind, message).because(cause)
            }
            Self::Commit(fault) => {
                let cause = fault.into_error(hide);
                let message = format!("the change may have been recorded: {}", cause.message());
                Error::new(ErrorKind::Unknown, message).because(cause)
            }
            Self::Explained(message, fault) => {
                let cause = fault.into_error(hide);
                Error::new(cause.kind(), hide(message)).because(cause)
            }
            Self::Sqlx(sqlx::Error::Io(cause)) => {
                let text = hide(system_text(&cause));
                let next = if is_untrusted(&cause) { UNTRUSTED } else { "" };
                let message = format!("the state database cannot be reached: {text}{next}");
                Error::new(kind_of_io(&cause), message).because(cause)
            }
            Self::Sqlx(cause) => {
                let refusal: Option<&PgDatabaseError> =
                    cause.as_database_error().and_then(|error| error.try_downcast_ref());
                let (kind, reason, all) = match refusal {
                    Some(it) => (kind_of_code(it.code()), it.message().to_owned(), parts(it)),
                    None => (kind_of(&cause), cause.to_string(), cause.to_string()),
                };
                let next = if lacks_tls(&cause) { WITHOUT_TLS } else { "" };
                let message =
                    format!("the state database returned an error: {}{next}", hide(reason));
                // Not the error of `sqlx`: it holds the server's text as it is.
                Error::new(kind, message).because(hide(all))
            }
        }
    }
}

/// What to do if the server's certificate cannot be verified.
const UNTRUSTED: &str = "; set sslrootcert to a file with the certificate of the server's authority, or \
    sslmode=require to connect without verification";

/// What to do if the server does not support TLS.
const WITHOUT_TLS: &str = "; enable TLS on the server, or set sslmode=disable on a trusted network";

/// Returns why a password was not sent.
fn unsafe_method(method: u32) -> String {
    let form = match method {
        3 => "in clear text",
        5 => "as an MD5 hash",
        _ => "by a method other than SCRAM",
    };
    format!(
        "the password was not sent: the state database requests it {form} and is not verified; set \
         sslmode=verify-full (and sslrootcert to a file with the certificate of a private authority), \
         or let the server use scram-sha-256"
    )
}

/// Returns every text of a refusal.
fn parts(refusal: &PgDatabaseError) -> String {
    let more =
        [("detail", refusal.detail()), ("hint", refusal.hint()), ("where", refusal.r#where())];
    let more = more.into_iter().filter_map(|(name, text)| Some(format!("; {name}: {}", text?)));
    format!("{}: {}{}", refusal.code(), refusal.message(), more.collect::<String>())
}

/// Returns whether the server does not support TLS: `sqlx` has no code for that.
fn lacks_tls(cause: &sqlx::Error) -> bool {
    matches!(cause, sqlx::Error::Tls(tls) if tls.to_string() == NO_TLS)
}

/// Returns whether the server's certificate could not be verified.
fn is_untrusted(cause: &io::Error) -> bool {
    let cause = cause.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
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
