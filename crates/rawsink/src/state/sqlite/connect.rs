//! Connections for reading and for writing.

use std::path::Path;

use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction, sqlite::SqliteConnectOptions,
};

use super::{
    SqliteState,
    fault::{needs_recovery, unavailable},
    tables::{Records, has_table},
};
use crate::error::Result;

impl SqliteState {
    /// Opens for reading; `None` if the database or the table of the records does not exist.
    pub(super) async fn reader(&self) -> Result<Option<SqliteConnection>> {
        let Some(mut connection) = self.file_reader().await? else { return Ok(None) };
        let has_table = has_table(&mut connection, &Records).await;
        Ok(has_table.map_err(|cause| self.error(cause))?.then_some(connection))
    }

    /// Opens for reading; `None` if the database does not exist.
    pub(super) async fn file_reader(&self) -> Result<Option<SqliteConnection>> {
        if !self.path.try_exists().map_err(|cause| unavailable(&cause, &self.path))? {
            return Ok(None);
        }
        let found = match self.connect_for_reading(self.options().read_only(true)).await {
            Err(cause) if needs_recovery(&cause) => self.connect_for_reading(self.options()).await,
            found => found,
        };
        found.map(Some).map_err(|cause| self.error(cause))
    }

    /// Connects and begins a read transaction.
    ///
    /// Until the connection is closed, the transaction prevents other processes from changing the
    /// file, and so from crashing during a change.
    pub(super) async fn connect_for_reading(
        &self,
        options: SqliteConnectOptions,
    ) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = options.connect().await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        // The transaction begins with the first statement that reads.
        has_table(&mut connection, &Records).await?;
        Ok(connection)
    }

    /// Opens for writing and creates a missing file.
    pub(super) async fn writer(&self) -> Result<SqliteConnection> {
        let create = || std::fs::create_dir_all(self.directory());
        create().map_err(|cause| self.error(cause.into()))?;
        let opened = self.options().create_if_missing(true).connect().await;
        opened.map_err(|cause| self.error(cause))
    }

    /// Returns the directory that the file is in.
    pub(super) fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Begins a change, which excludes all others.
    pub(super) async fn begin<'lease>(
        &self,
        connection: &'lease mut SqliteConnection,
    ) -> Result<Transaction<'lease, Sqlite>> {
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| self.error(cause))
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(&self.path).busy_timeout(self.busy_timeout)
    }
}
