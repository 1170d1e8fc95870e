//! A new database on the server that the environment names.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rawsink::{
    secret::Secret,
    state::{PartitionState, PostgresConfig, PostgresState, TlsMode},
};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{Database, Sql};
use crate::states::StateBackend;

pub struct Postgres {
    name: String,
}

/// Returns the settings of the server, with a role that may create databases.
pub fn server() -> PostgresConfig {
    settings(&var("RAWSINK_TEST_POSTGRES_URL"))
}

/// Returns the CA file of the server's certificate, which is for localhost.
pub fn certificates() -> String {
    var("RAWSINK_TEST_POSTGRES_CA")
}

#[expect(clippy::disallowed_methods, reason = "the server is named by the environment")]
fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make parity`"))
}

fn settings(url: &str) -> PostgresConfig {
    PostgresConfig::from_url(url).unwrap()
}

/// Returns a configuration with a change.
pub fn changed(
    mut config: PostgresConfig,
    change: impl FnOnce(&mut PostgresConfig),
) -> PostgresConfig {
    change(&mut config);
    config
}

impl Postgres {
    pub async fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rawsink_test_{}_{number}", std::process::id());
        connect(&server()).await.execute(&format!("CREATE DATABASE {name}")).await;
        Self { name }
    }

    /// Returns the settings of this database.
    pub fn settings(&self) -> PostgresConfig {
        changed(server(), |config| {
            config.database.clone_from(&self.name);
            config.tls = TlsMode::Disable;
        })
    }

    /// Creates a role without permissions; returns the settings of this database with it.
    pub async fn without_permissions(&self) -> PostgresConfig {
        let user = format!("{}_nobody", self.name);
        self.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first'")).await;
        changed(self.settings(), |config| {
            config.user = user;
            config.password = Some(Secret::value("first"));
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let name = self.name.clone();
        let drop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut server = connect(&server()).await;
                // Disconnects remaining clients.
                server.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
                server.execute(&format!("DROP ROLE IF EXISTS {name}_nobody")).await;
            });
        };
        // A panic during a panic would abort the test run.
        let _ = std::thread::spawn(drop).join();
    }
}

async fn connect(settings: &PostgresConfig) -> PgConnection {
    let password = settings.password.as_ref().unwrap().read().unwrap();
    let options = PgConnectOptions::new_without_pgpass()
        .host(&settings.host)
        .port(settings.port)
        .username(&settings.user)
        .password(&password)
        .database(&settings.database)
        .ssl_mode(PgSslMode::Disable);
    PgConnection::connect_with(&options).await.unwrap()
}

impl StateBackend for Postgres {
    fn state(&self) -> Box<dyn PartitionState> {
        Box::new(PostgresState::new(&self.settings()).busy_timeout(Duration::from_millis(200)))
    }

    fn patient_state(&self) -> Box<dyn PartitionState> {
        Box::new(PostgresState::new(&self.settings()))
    }
}

#[async_trait]
impl Database for Postgres {
    async fn connect(&self) -> Box<dyn Sql> {
        Box::new(connect(&self.settings()).await)
    }

    fn contract(&self) -> &'static str {
        "CREATE TABLE partition_state (source text, customer_id text, query_name text, logical_date date, \
         status text, current_run_id text, schema_version text, record_count bigint, \
         updated_at timestamp with time zone, error_message text, attempt_count integer, \
         PRIMARY KEY (source, customer_id, query_name, logical_date))"
    }

    async fn columns(&self) -> Vec<String> {
        let names = "SELECT column_name::text FROM information_schema.columns \
            WHERE table_name = 'partition_state' ORDER BY ordinal_position";
        self.connect().await.texts(names).await.into_iter().flatten().collect()
    }

    fn close_table(&self) -> &'static str {
        "BEGIN; LOCK TABLE partition_state"
    }
}

#[async_trait]
impl Sql for PgConnection {
    async fn attempt(&mut self, sql: &str) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self).await.map(|_| ())
    }

    async fn texts(&mut self, sql: &str) -> Vec<Option<String>> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(self).await.unwrap();
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    }
}
