//! The databases under test, and what only a test may do to them.
//!
//! A new database joins every suite with one `impl Database` and one line in `on_every_database`.
//! PostgreSQL needs a server: `scripts/with-postgres` starts one.

mod postgres; // a database of its own on the server that the environment names
mod sqlite; // a file of its own

use async_trait::async_trait;
use rawsink::state::PartitionState;

pub(crate) use self::{
    postgres::{Postgres, certificates, server},
    sqlite::Sqlite,
};

/// Makes one test of each case for every database.
macro_rules! on_every_database {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(&$crate::databases::Sqlite::new()).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "parity: needs a PostgreSQL server"]
                async fn $case() {
                    super::$case(&$crate::databases::Postgres::new().await).await;
                }
            )+
        }
    };
}

pub(crate) use on_every_database;

/// One empty database of some kind.
#[async_trait]
pub(crate) trait Database: Send + Sync {
    /// Returns the state in it, as a process that starts now would open it. It waits 200 ms where
    /// the database is busy.
    fn state(&self) -> Box<dyn PartitionState>;

    /// Returns the same, as it waits by itself.
    fn patient_state(&self) -> Box<dyn PartitionState>;

    /// Opens a connection as other software would.
    async fn connect(&self) -> Box<dyn Sql>;

    /// Returns the statement that makes the contract's table, as other software would by hand.
    fn contract(&self) -> &'static str;

    /// Returns the name of every column of the table, in its order.
    async fn columns(&self) -> Vec<String>;

    /// Returns the statements that keep everybody else from the table, until `ROLLBACK`.
    fn close_table(&self) -> &'static str;

    /// Runs statements.
    async fn execute(&self, sql: &str) {
        self.connect().await.execute(sql).await;
    }
}

/// A connection of other software.
#[async_trait]
pub(crate) trait Sql: Send {
    /// Runs statements, and panics where one is refused.
    async fn execute(&mut self, sql: &str) {
        self.attempt(sql).await.unwrap();
    }

    /// Runs statements.
    async fn attempt(&mut self, sql: &str) -> sqlx::Result<()>;

    /// Returns the first column, text, of each row.
    async fn texts(&mut self, sql: &str) -> Vec<Option<String>>;
}

/// Ways in which other software declares the table.
pub(crate) fn foreign_tables(database: &dyn Database) -> [&'static str; 3] {
    [database.contract(), WITHOUT_A_KEY, ALL_TEXT]
}

/// No primary key, no constraint, types of its own.
pub(crate) const WITHOUT_A_KEY: &str = "CREATE TABLE partition_state (source VARCHAR(64), customer_id VARCHAR(64), \
    query_name VARCHAR(64), logical_date DATE, status VARCHAR(10), current_run_id VARCHAR(64), \
    schema_version VARCHAR(64), record_count NUMERIC(12, 1), updated_at TIMESTAMP, error_message TEXT, \
    attempt_count INT)";

/// ISO dates and time stamps as text, columns in an order of its own, and one more.
pub(crate) const ALL_TEXT: &str = "CREATE TABLE partition_state (note TEXT DEFAULT 'mine', status TEXT, source TEXT, \
    customer_id TEXT, query_name TEXT, logical_date TEXT, current_run_id TEXT, schema_version TEXT, \
    record_count TEXT, updated_at TEXT, error_message TEXT, attempt_count TEXT, \
    UNIQUE (logical_date, source, customer_id, query_name))";
