//! A database of its own on the server that the environment names.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rawsink::{
    Settings,
    config::{Loaded, PostgresSettings, Secret, StateUrl, TlsMode},
    state::{PartitionState, PostgresState},
};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{Database, Sql};

pub(crate) struct Postgres {
    name: String,
}

/// Returns the server's settings, with the role that may make databases.
pub(crate) fn server() -> PostgresSettings {
    settings(&var("RAWSINK_TEST_POSTGRES_URL"))
}

/// Returns the file with the authority of the server's certificate, which is for localhost.
pub(crate) fn certificates() -> String {
    var("RAWSINK_TEST_POSTGRES_CA")
}

#[expect(clippy::disallowed_methods, reason = "the server is named by the environment")]
fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make parity`"))
}

fn settings(url: &str) -> PostgresSettings {
    let vars = [("RAW_SINK_STATE_URL".to_owned(), Ok(url.to_owned()))];
    let Settings { state_url, .. } = Loaded::from_vars(vars).unwrap().settings;
    let StateUrl::Postgres(settings) = state_url else { panic!("{url} is no PostgreSQL") };
    settings
}

impl Postgres {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rawsink_test_{}_{number}", std::process::id());
        connect(&server()).await.execute(&format!("CREATE DATABASE {name}")).await;
        Self { name }
    }

    /// Returns the settings of this database.
    pub(crate) fn settings(&self) -> PostgresSettings {
        PostgresSettings { database: self.name.clone(), tls: TlsMode::Disable, ..server() }
    }

    /// Makes a role that may do nothing yet; returns the settings of this database with it.
    pub(crate) async fn nobody(&self) -> PostgresSettings {
        let user = format!("{}_nobody", self.name);
        self.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first'")).await;
        PostgresSettings { user, password: Some(Secret::value("first")), ..self.settings() }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let name = self.name.clone();
        let drop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut server = connect(&server()).await;
                // Whoever is connected still is thrown out.
                server.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
                server.execute(&format!("DROP ROLE IF EXISTS {name}_nobody")).await;
            });
        };
        // A panic on the way out of a panic would end the test run.
        let _ = std::thread::spawn(drop).join();
    }
}

async fn connect(settings: &PostgresSettings) -> PgConnection {
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

#[async_trait]
impl Database for Postgres {
    fn state(&self) -> Box<dyn PartitionState> {
        Box::new(PostgresState::new(&self.settings()).busy_timeout(Duration::from_millis(200)))
    }

    fn patient_state(&self) -> Box<dyn PartitionState> {
        Box::new(PostgresState::new(&self.settings()))
    }

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
