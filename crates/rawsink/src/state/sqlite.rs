//! The state in an SQLite database file.
//!
//! The table is that of the contract. A file that other software created with that table works
//! unchanged, with or without a primary key and with any column types. Reading never creates or
//! changes a file, with one exception: it first rolls back the unfinished change of a crashed
//! process. A change is one `BEGIN IMMEDIATE` transaction, so that no process's update is lost (G14).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rustix::{
    fs::{self, Access},
    io::Errno,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, Sqlite, SqliteConnection, Transaction,
    error::DatabaseError,
    query::Query,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    Change, Entry, Filter, PartitionState, Record, Table,
    row::{self, KEY_COLUMNS, is_count},
    sql::{self, Dialect},
};
use crate::{
    error::{Error, ErrorKind, Result, system_text},
    partition::PartitionKey,
};

/// Default time to wait for a busy database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS partition_state (
    source TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    query_name TEXT NOT NULL,
    logical_date TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'success', 'failed')),
    current_run_id TEXT,
    schema_version TEXT,
    record_count BIGINT,
    updated_at TEXT NOT NULL,
    error_message TEXT,
    attempt_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, customer_id, query_name, logical_date)
)";

struct Sql;

impl Dialect for Sql {
    /// Overrides the collation that other software may have declared.
    const BYTEWISE: &'static str = " COLLATE BINARY";

    fn read(&self, column: &str) -> String {
        if is_count(column) {
            let whole = format!("CAST({column} AS INTEGER)");
            format!(
                "CAST(CASE typeof({column}) WHEN 'real' THEN {whole} ELSE {column} END AS TEXT)"
            )
        } else {
            format!("CAST({column} AS TEXT)")
        }
    }

    fn parameter(&self, number: usize) -> String {
        format!("?{number}")
    }

    /// The affinity of the column converts text. A column without affinity needs an integer.
    fn typed(&self, column: &str, parameter: String) -> String {
        if is_count(column) { format!("CAST({parameter} AS INTEGER)") } else { parameter }
    }
}

/// The state in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteState {
    path: PathBuf,
    busy_timeout: Duration,
}

impl SqliteState {
    /// Creates a state that is stored in the file `path`. The first change creates a missing file.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), busy_timeout: BUSY_TIMEOUT }
    }

    /// Sets the time to wait for a busy database before `Unavailable`. Default: 30 s.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens for reading; `None` if the database or the table does not exist.
    async fn reader(&self) -> Result<Option<SqliteConnection>> {
        if !self.path.try_exists().map_err(|cause| unavailable(&cause, &self.path))? {
            return Ok(None);
        }
        let found = match self.connect_for_reading(self.options().read_only(true)).await {
            Err(cause) if needs_recovery(&cause) => self.connect_for_reading(self.options()).await,
            found => found,
        };
        found.map_err(|cause| self.error(cause))
    }

    /// Connects and begins a read transaction; `None` if the table does not exist.
    ///
    /// Until the connection is closed, the transaction prevents other processes from changing the
    /// file, and so from crashing during a change.
    async fn connect_for_reading(
        &self,
        options: SqliteConnectOptions,
    ) -> Result<Option<SqliteConnection>, sqlx::Error> {
        let mut connection = options.connect().await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        Ok(has_table(&mut connection).await?.then_some(connection))
    }

    /// Opens for writing and creates a missing file.
    async fn writer(&self) -> Result<SqliteConnection> {
        let create = || std::fs::create_dir_all(self.directory());
        create().map_err(|cause| self.error(cause.into()))?;
        let opened = self.options().create_if_missing(true).connect().await;
        opened.map_err(|cause| self.error(cause))
    }

    /// Returns the directory that the file is in.
    fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Begins a change, which excludes all others.
    async fn begin<'lease>(
        &self,
        connection: &'lease mut SqliteConnection,
    ) -> Result<Transaction<'lease, Sqlite>> {
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| self.error(cause))
    }

    /// Checks that an existing table has every column of the contract.
    async fn check_table(&self, connection: &mut SqliteConnection) -> Result<Table> {
        let nothing = sql::select_one(&Sql) + " AND 1 = 0";
        self.run(connection, nothing, (0..KEY_COLUMNS).map(|_| None)).await?;
        Ok(Table::Found)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(&self.path).busy_timeout(self.busy_timeout)
    }

    /// Runs a statement with text parameters and returns the records.
    async fn run(
        &self,
        connection: &mut SqliteConnection,
        sql: String,
        parameters: impl IntoIterator<Item = Option<String>>,
    ) -> Result<Vec<Result<Entry>>> {
        let mut entries = Vec::new();
        self.each(connection, sql, parameters, &mut |found| entries.push(found)).await?;
        Ok(entries)
    }

    /// Runs a statement with text parameters and passes each record to `take`.
    async fn each(
        &self,
        connection: &mut SqliteConnection,
        sql: String,
        parameters: impl IntoIterator<Item = Option<String>>,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = parameters.into_iter().fold(query, Query::bind);
        let text =
            |row: &SqliteRow, column| row.try_get::<Option<String>, _>(column).ok().flatten();
        let mut rows = query.fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(|cause| self.error(cause))? {
            let found = row::entry(|column| text(&row, column));
            take(found.map_err(|error| error.on_path(self.path.display())));
        }
        Ok(())
    }

    async fn one(
        &self,
        connection: &mut SqliteConnection,
        key: &PartitionKey,
    ) -> Result<Option<Record>> {
        let parameters = row::key_values(key).map(Some);
        let found = self.run(connection, sql::select_one(&Sql), parameters).await?;
        Ok(found.into_iter().next().transpose()?.map(|entry| entry.record))
    }

    fn error(&self, cause: sqlx::Error) -> Error {
        if let sqlx::Error::Io(cause) = &cause {
            return unavailable(cause, self.directory());
        }
        let kind = match code(&cause) {
            _ if self.path.is_dir() => ErrorKind::Invalid,
            // SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH
            Some(3 | 8 | 23) => ErrorKind::Denied,
            // SQLITE_CANTOPEN has several causes
            Some(14) if self.lacks_permission() => ErrorKind::Denied,
            // SQLITE_CORRUPT, SQLITE_NOTADB
            Some(11 | 26) => ErrorKind::Corrupt,
            // SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH: the table does not match the contract
            Some(1 | 19 | 20) => ErrorKind::Invalid,
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR and errors without a code
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("the state database returned an error: {cause}"))
            .on_path(self.path.display())
            .because(cause)
    }

    /// Returns whether this user lacks permission for the file or its directory.
    fn lacks_permission(&self) -> bool {
        let closed = |path: &Path, access| {
            matches!(fs::access(path, access), Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
        };
        closed(&self.path, Access::READ_OK | Access::WRITE_OK)
            || closed(self.directory(), Access::WRITE_OK)
    }
}

impl crate::internal::Internal for SqliteState {}

#[async_trait]
impl PartitionState for SqliteState {
    async fn init(&self) -> Result<Table> {
        if let Some(mut connection) = self.reader().await? {
            return self.check_table(&mut connection).await;
        }
        let mut connection = self.writer().await?;
        let mut transaction = self.begin(&mut connection).await?;
        // Another process may have created it since.
        if has_table(&mut transaction).await.map_err(|cause| self.error(cause))? {
            return self.check_table(&mut transaction).await;
        }
        let created = sqlx::query(SCHEMA).execute(&mut *transaction).await;
        created.map_err(|cause| self.error(cause))?;
        transaction.commit().await.map_err(|cause| self.error(cause))?;
        Ok(Table::Created)
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        let Some(mut connection) = self.reader().await? else { return Ok(None) };
        self.one(&mut connection, key).await
    }

    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        let parameters = super::key_parameters(keys)?;
        let Some(mut connection) = self.reader().await? else { return Ok(Vec::new()) };
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.run(&mut connection, sql::select_many(&Sql, keys.len()), parameters).await
    }

    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let Some(mut connection) = self.reader().await? else { return Ok(()) };
        let (sql, parameters) = sql::select_filtered(&Sql, filter);
        self.each(&mut connection, sql, parameters.into_iter().map(Some), take).await
    }

    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let mut connection = self.writer().await?;
        let mut transaction = self.begin(&mut connection).await?;
        sqlx::query(SCHEMA).execute(&mut *transaction).await.map_err(|cause| self.error(cause))?;
        let previous = self.one(&mut transaction, key).await?;
        let next = change.apply(previous.as_ref(), now);
        if let Some(next) = &next {
            let sql = if previous.is_some() { sql::update(&Sql) } else { sql::insert(&Sql) };
            self.run(&mut transaction, sql, row::values(key, next)?).await?;
        }
        transaction.commit().await.map_err(|cause| self.error(cause))?;
        // Closing flushes; an error does not undo the commit.
        let _ = connection.close().await;
        Ok(next)
    }
}

async fn has_table(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let query = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'partition_state'");
    Ok(query.fetch_optional(connection).await?.is_some())
}

/// Returns whether a process crashed during a change that a read-only connection cannot roll back
/// (`SQLITE_READONLY_RECOVERY`, `SQLITE_READONLY_ROLLBACK`).
fn needs_recovery(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("264" | "776"))
}

/// Returns the primary result code.
fn code(cause: &sqlx::Error) -> Option<u32> {
    let extended = cause.as_database_error().and_then(DatabaseError::code)?;
    extended.parse::<u32>().ok().map(|code| code & 0xFF)
}

fn unavailable(cause: &std::io::Error, path: &Path) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::Denied
        }
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the state database cannot be reached: {}", system_text(cause)))
        .on_path(path.display())
}
