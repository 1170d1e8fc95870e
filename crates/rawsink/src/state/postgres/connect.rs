//! Connections to the server, reused by later calls.
//!
//! The pool of `sqlx` retries until its timeout and hides why it could not connect; this one returns
//! the first error.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    PostgresConfig, TlsMode,
    config::read,
    fault::PgFault,
    relay::{Answers, Entrance, connect_tcp},
    unverified,
};
use crate::{
    error::{Error, Result},
    runtime::{
        SystemClock,
        waits::{Seconds, Waits},
    },
    secret::{Hidden, Secret},
    tls,
};

/// Maximum number of connections.
const MAX_CONNECTIONS: usize = 4;

/// How much longer than the server's own timeouts we wait, so that the server gives up first. Also
/// the time limit of a ping on a reused connection.
const MARGIN: Duration = Duration::from_secs(5);

/// The pool of connections.
pub(super) struct Connections {
    config: PostgresConfig,
    pub(super) busy_timeout: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
    /// The password of the newest connection.
    password: Mutex<Option<SecretString>>,
}

/// One connection in use. Dropping it without [`Connections::keep`] closes it, and the server rolls
/// back uncommitted changes.
pub(super) struct Lease<'pool> {
    pub(super) connection: PgConnection,
    _permit: SemaphorePermit<'pool>,
}

impl Connections {
    pub(super) fn new(config: PostgresConfig, busy_timeout: Duration) -> Self {
        let (permits, idle) = (Semaphore::new(MAX_CONNECTIONS), Mutex::default());
        Self { config, busy_timeout, permits, idle, password: Mutex::default() }
    }

    /// Returns the database's URL, without a password.
    pub(super) fn place(&self) -> String {
        self.config.to_string()
    }

    /// Replaces the password in a server's text.
    pub(super) fn hidden(&self, text: &str) -> String {
        let password = lock(&self.password).clone();
        Hidden::new(password.as_ref().map(ExposeSecret::expose_secret)).in_text(text)
    }

    /// Returns the time limit of an answer.
    pub(super) fn patience(&self) -> Duration {
        self.busy_timeout + MARGIN
    }

    /// Returns the statements that begin a transaction. They limit the wait for locks, and end the
    /// transaction of a stalled host before the wait of the others ends.
    pub(super) fn begin(&self) -> String {
        let waiting = self.busy_timeout.as_millis().max(1);
        let idle = (self.busy_timeout / 2).max(MARGIN).as_millis();
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {waiting}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}"
        )
    }

    /// Returns a connection that answers a ping, or a new one.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, PgFault> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        if let Some(mut connection) = self.take() {
            if within(MARGIN, connection.ping()).await.is_ok() {
                return Ok(Lease { connection, _permit: permit });
            }
            // The other idle connections lead to the same server.
            self.idle().clear();
        }
        let connection = within(self.patience(), self.connect()).await?;
        Ok(Lease { connection, _permit: permit })
    }

    /// Connects. A server that is not verified never gets the password itself.
    async fn connect(&self) -> Result<PgConnection, PgFault> {
        let (config, options) = (&self.config, self.options()?);
        if config.host.starts_with('/') {
            return Ok(options.connect().await?);
        }
        let is_guarded = !(config.tls.verifies() || config.is_local() || config.password.is_none());
        match Entrance::open(config.port).await {
            Ok(entrance) => {
                let server = connect_tcp(options.get_host(), config.port).await?;
                if !is_guarded {
                    return entrance.connect(server, options, Answers::All).await;
                }
                let server = unverified::encrypted(server, config).await?;
                let options = options.ssl_mode(PgSslMode::Disable);
                entrance.connect(server, options, Answers::Guarded).await
            }
            Err(cause) if is_guarded => Err(PgFault::Unguarded(cause)),
            // The relay only makes it faster.
            Err(_) => Ok(options.connect().await?),
        }
    }

    /// Returns a connection without an open transaction to the pool.
    pub(super) fn keep(&self, lease: Lease<'_>) {
        self.idle().push(lease.connection);
    }

    fn take(&self) -> Option<PgConnection> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        lock(&self.idle)
    }

    /// Sets every option that `sqlx` would take from libpq's variables, and rereads the password.
    fn options(&self) -> Result<PgConnectOptions> {
        let PostgresConfig {
            host, port, user, password, database, tls: mode, ca_file, client, ..
        } = &self.config;
        let password = password.as_ref().map(Secret::read).transpose()?;
        *lock(&self.password) = password.clone().map(SecretString::from);
        let options = PgConnectOptions::new_without_pgpass()
            .port(*port)
            .username(user)
            .password(&password.unwrap_or_default())
            .database(database)
            .application_name("rawsink")
            .extra_float_digits(None);
        // A socket is local; encryption is not needed.
        let options = if host.starts_with('/') {
            return Ok(options.socket(host).ssl_mode(PgSslMode::Disable));
        } else {
            // A name server may lead the names of this machine elsewhere.
            let is_alias = host.ends_with(".localhost") && !mode.verifies();
            let host = if is_alias { "localhost" } else { host };
            options.host(host).ssl_mode(ssl_mode(*mode))
        };
        let authority = ca_file.as_deref().map(tls::read_certificates).transpose();
        let authority = authority
            .map_err(|fault| Error::invalid(format!("the state database's sslrootcert {fault}")))?;
        let options = options.ssl_root_cert_from_pem(authority.unwrap_or_default());
        let Some((certificate, key)) = client else { return Ok(options) };
        Ok(options.ssl_client_cert_from_pem(read(certificate)?).ssl_client_key_from_pem(read(key)?))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Waits for the server for at most `limit`, and reports a long wait.
pub(super) async fn within<T, E: Into<PgFault>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, PgFault> {
    let wait = Waits::new(Arc::new(SystemClock)).start();
    let most = Seconds(limit);
    let what = |so_far| {
        format!("waiting for an answer of the state database for up to {most}: none for {so_far}")
    };
    let answer = wait.until(tokio::time::timeout(limit, answer), what).await;
    answer.map_err(|_| PgFault::Silent(limit))?.map_err(Into::into)
}
