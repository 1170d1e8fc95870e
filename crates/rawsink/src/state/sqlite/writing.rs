//! Writes the records and log entries of a batch, in the caller's transaction.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{
    SqliteState, statement,
    tables::{Log, Records, SCHEMA},
};
use crate::{
    error::Result,
    state::{batch::Batch, log, row, sql},
};

/// Number of rows in one statement, whose parameters SQLite limits to 32,766.
const ROWS_AT_ONCE: usize = 500;

impl SqliteState {
    /// Creates the tables that do not exist.
    pub(super) async fn create_tables(&self, connection: &mut SqliteConnection) -> Result<()> {
        let [table, index] = log::sqlite_schema();
        for sql in [SCHEMA.to_owned(), table, index] {
            let created = sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await;
            created.map_err(|cause| self.error(cause))?;
        }
        Ok(())
    }

    /// Writes the records and log entries of a batch.
    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        batch: &Batch,
    ) -> Result<()> {
        let mut created = Vec::new();
        for (key, (record, had_record)) in &batch.records {
            let values = row::values(key, record)?;
            if *had_record {
                self.execute(connection, sql::update(&Records), values).await?;
            } else {
                created.push(values);
            }
        }
        for rows in created.chunks(ROWS_AT_ONCE) {
            let insert = sql::insert(&Records, rows.len());
            self.execute(connection, insert, rows.iter().flatten().cloned()).await?;
        }
        for entries in batch.entries.chunks(ROWS_AT_ONCE) {
            let mut values = Vec::new();
            for (key, entry) in entries {
                values.extend(log::values(key, &self.origin.sign(entry.clone()))?);
            }
            self.execute(connection, sql::insert(&Log, entries.len()), values).await?;
        }
        Ok(())
    }

    async fn execute(
        &self,
        connection: &mut SqliteConnection,
        sql: String,
        parameters: impl IntoIterator<Item = Option<String>>,
    ) -> Result<()> {
        let done = statement(sql, parameters).execute(connection).await;
        done.map(|_| ()).map_err(|cause| self.error(cause))
    }
}
