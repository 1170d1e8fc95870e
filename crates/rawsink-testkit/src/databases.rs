//! The databases under test, with operations for tests only.
//!
//! To add a database to every suite, write one `impl Database` and one line in each macro of `suites`.
//! PostgreSQL needs a server: `scripts/with-postgres` starts one.

#[cfg(feature = "postgres")]
mod postgres; // a new database on the server that the environment names
#[cfg(feature = "sqlite")]
mod sqlite; // a new file

use async_trait::async_trait;

use crate::states::StateBackend;

#[cfg(feature = "postgres")]
pub use self::postgres::{Postgres, certificates, changed, server};
#[cfg(feature = "sqlite")]
pub use self::sqlite::Sqlite;

/// An empty database.
#[async_trait]
pub trait Database: StateBackend {
    /// Opens a connection, as other software does.
    async fn connect(&self) -> Box<dyn Sql>;

    /// Returns the statement with which other software creates the table of the contract.
    fn contract(&self) -> &'static str;

    /// Returns the column names of the table, in order.
    async fn columns(&self) -> Vec<String>;

    /// Returns the statements that lock the table until `ROLLBACK`.
    fn close_table(&self) -> &'static str;

    /// Runs statements.
    async fn execute(&self, sql: &str) {
        self.connect().await.execute(sql).await;
    }
}

/// A connection of other software.
#[async_trait]
pub trait Sql: Send {
    /// Runs statements; panics if one is refused.
    async fn execute(&mut self, sql: &str) {
        self.attempt(sql).await.unwrap();
    }

    /// Runs statements.
    async fn attempt(&mut self, sql: &str) -> sqlx::Result<()>;

    /// Returns the first column of each row as text.
    async fn texts(&mut self, sql: &str) -> Vec<Option<String>>;
}

/// Returns statements with which other software may create the table.
pub fn foreign_tables(database: &dyn Database) -> [&'static str; 3] {
    [database.contract(), WITHOUT_A_KEY, ALL_TEXT]
}

/// A table without primary key and constraints, with other types.
pub const WITHOUT_A_KEY: &str = "CREATE TABLE partition_state (source VARCHAR(64), customer_id VARCHAR(64), \
    query_name VARCHAR(64), logical_date DATE, status VARCHAR(10), current_run_id VARCHAR(64), \
    schema_version VARCHAR(64), record_count NUMERIC(12, 1), updated_at TIMESTAMP, error_message TEXT, \
    attempt_count INT)";

/// A table with ISO dates and time stamps as text, another order of columns, and one more column.
pub const ALL_TEXT: &str = "CREATE TABLE partition_state (note TEXT DEFAULT 'mine', status TEXT, source TEXT, \
    customer_id TEXT, query_name TEXT, logical_date TEXT, current_run_id TEXT, schema_version TEXT, \
    record_count TEXT, updated_at TEXT, error_message TEXT, attempt_count TEXT, \
    UNIQUE (logical_date, source, customer_id, query_name))";
