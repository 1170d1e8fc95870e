//! Connections to the server: a few, kept for the next call.
//!
//! The pool of `sqlx` waits where nobody listens and then says only that it waited; here the first
//! refusal is the answer.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::fault::Fault;
use crate::{
    config::{PostgresSettings, Secret, TlsMode, certificates},
    error::{Error, Result, system_text},
};

/// At most so many connections at once.
const MAX_CONNECTIONS: usize = 4;

/// How much longer than the server we wait: it should be the one to give up. And how long a
/// connection that was kept may take to show that it still leads there.
const MARGIN: Duration = Duration::from_secs(5);

/// Where connections come from and go back to.
pub(super) struct Connections {
    settings: PostgresSettings,
    pub(super) busy_timeout: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

/// One connection, for as long as it is needed. Dropped without [`Connections::keep`] it is closed,
/// and the server takes back what was not committed.
pub(super) struct Lease<'pool> {
    pub(super) connection: PgConnection,
    _permit: SemaphorePermit<'pool>,
}

impl Connections {
    pub(super) fn new(settings: PostgresSettings, busy_timeout: Duration) -> Self {
        let (permits, idle) = (Semaphore::new(MAX_CONNECTIONS), Mutex::default());
        Self { settings, busy_timeout, permits, idle }
    }

    /// Returns the database's URL, without a password.
    pub(super) fn place(&self) -> String {
        self.settings.to_string()
    }

    /// Returns how long an answer is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.busy_timeout + MARGIN
    }

    /// Returns the statements that begin a transaction. Locks are waited for as long as set; a host
    /// that stands still in the middle loses its transaction before the others lose patience.
    pub(super) fn begin(&self) -> String {
        let waiting = self.busy_timeout.as_millis().max(1);
        let standing = (self.busy_timeout / 2).max(MARGIN).as_millis();
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {waiting}; \
             SET LOCAL idle_in_transaction_session_timeout = {standing}"
        )
    }

    /// Returns a connection that answers.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, Fault> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        if let Some(mut connection) = self.take() {
            if within(MARGIN, connection.ping()).await.is_ok() {
                return Ok(Lease { connection, _permit: permit });
            }
            // Whatever has become of the server, the others lead there too.
            self.idle().clear();
        }
        let options = self.options()?;
        let connection = within(self.patience(), options.connect()).await?;
        Ok(Lease { connection, _permit: permit })
    }

    /// Keeps a connection that is between transactions for the next call.
    pub(super) fn keep(&self, lease: Lease<'_>) {
        self.idle().push(lease.connection);
    }

    fn take(&self) -> Option<PgConnection> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets everything that `sqlx` would take from libpq's variables, and reads the password anew.
    fn options(&self) -> Result<PgConnectOptions> {
        let PostgresSettings { host, port, user, password, database, tls, ca_file, client } =
            &self.settings;
        let password = password.as_ref().map(Secret::read).transpose()?;
        let options = PgConnectOptions::new_without_pgpass()
            .port(*port)
            .username(user)
            .password(&password.unwrap_or_default())
            .database(database)
            .application_name("rawsink")
            .extra_float_digits(None);
        // A socket is this machine's; there is nothing to encrypt.
        let options = if host.starts_with('/') {
            return Ok(options.socket(host).ssl_mode(PgSslMode::Disable));
        } else {
            options.host(host).ssl_mode(ssl_mode(*tls))
        };
        let authority = ca_file.as_deref().map(certificates::read).transpose();
        let authority = authority
            .map_err(|fault| Error::invalid(format!("the state database's sslrootcert {fault}")))?;
        let options = options.ssl_root_cert_from_pem(authority.unwrap_or_default());
        let Some((certificate, key)) = client else { return Ok(options) };
        Ok(options.ssl_client_cert_from_pem(read(certificate)?).ssl_client_key_from_pem(read(key)?))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| {
        let message = format!(
            "the certificate for the state database cannot be read: {}",
            system_text(&cause)
        );
        Error::invalid(message).on_path(path.display())
    })
}

fn ssl_mode(tls: TlsMode) -> PgSslMode {
    match tls {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Prefer => PgSslMode::Prefer,
        TlsMode::Require => PgSslMode::Require,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    }
}

/// Waits for the server no longer than `limit`.
pub(super) async fn within<T, E: Into<Fault>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    let answer = tokio::time::timeout(limit, answer).await;
    answer.map_err(|_| Fault::Silent(limit))?.map_err(Into::into)
}
