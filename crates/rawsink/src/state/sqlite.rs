//! The state in an SQLite database file.
//!
//! The table is the contract's; a file that other software made with that table works unchanged,
//! with or without a primary key, whatever types its columns declare. Reading never makes or
//! changes a file, but for this: what a process that died in the middle of a change left half-written
//! is rolled back first. A change is one `BEGIN IMMEDIATE` transaction, so that no process's update
//! is lost (G14).

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
    key::PartitionKey,
};

/// How long a busy database is waited for, unless set otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the directory may vanish between making it and making the file in it.
const MAX_STARTS: u32 = 100;

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
    /// Whatever collation other software declares.
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

    /// Types are the column's affinity; without one a number has to be a number by itself.
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
    /// Makes a state kept in the file `path`, which the first verdict makes where it is missing.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), busy_timeout: BUSY_TIMEOUT }
    }

    /// Sets how long a busy database is waited for, before `Unavailable`; 30 s unless set.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens for reading; `None` where there is no database, or one without the table.
    async fn reader(&self) -> Result<Option<SqliteConnection>> {
        if !self.path.try_exists().map_err(|cause| unavailable(&cause, &self.path))? {
            return Ok(None);
        }
        let found = match self.looked_into(self.options().read_only(true)).await {
            Err(cause) if needs_recovery(&cause) => self.looked_into(self.options()).await,
            found => found,
        };
        found.map_err(|cause| self.error(cause))
    }

    /// Connects and begins to read; `None` where the table is missing.
    ///
    /// The transaction keeps anybody else from changing the file, and so from dying in the middle of
    /// a change, until the connection is gone.
    async fn looked_into(
        &self,
        options: SqliteConnectOptions,
    ) -> Result<Option<SqliteConnection>, sqlx::Error> {
        let mut connection = options.connect().await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        Ok(has_table(&mut connection).await?.then_some(connection))
    }

    /// Opens for writing and makes file and table where they are missing.
    async fn writer(&self) -> Result<SqliteConnection> {
        let options = self.options().create_if_missing(true);
        for _ in 1..MAX_STARTS {
            match self.open(&options).await {
                // Whoever made the directory took it away again (as `doctor` does): start over.
                Err(cause) if self.may_have_lost_directory(&cause) => {}
                opened => return opened.map_err(|cause| self.error(cause)),
            }
        }
        self.open(&options).await.map_err(|cause| self.error(cause))
    }

    async fn open(&self, options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
        std::fs::create_dir_all(self.directory())?;
        options.connect().await
    }

    /// Tells whether a directory may have vanished in the middle of [`open`](Self::open). It may be
    /// there again by now.
    fn may_have_lost_directory(&self, cause: &sqlx::Error) -> bool {
        use std::io::ErrorKind::{AlreadyExists, NotFound};
        match cause {
            sqlx::Error::Io(cause) => matches!(cause.kind(), NotFound | AlreadyExists),
            // SQLITE_CANTOPEN does not say why
            cause => code(cause) == Some(14) && !self.path.is_dir() && !self.is_closed_to_us(),
        }
    }

    /// Returns the directory that the file is in.
    fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Begins a change: from now on nobody else makes one.
    async fn begin<'lease>(
        &self,
        connection: &'lease mut SqliteConnection,
    ) -> Result<Transaction<'lease, Sqlite>> {
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| self.error(cause))
    }

    /// Asks a table that is there for every column of the contract.
    async fn found(&self, connection: &mut SqliteConnection) -> Result<Table> {
        let nothing = sql::select_one(&Sql) + " AND 1 = 0";
        self.run(connection, nothing, (0..KEY_COLUMNS).map(|_| None)).await?;
        Ok(Table::Found)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(&self.path).busy_timeout(self.busy_timeout)
    }

    /// Runs a statement with text parameters; returns the records it reads.
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

    /// Runs a statement with text parameters; hands over the records it reads as they come.
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
            // SQLITE_CANTOPEN does not say why
            Some(14) if self.is_closed_to_us() => ErrorKind::Denied,
            // SQLITE_CORRUPT, SQLITE_NOTADB
            Some(11 | 26) => ErrorKind::Corrupt,
            // SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH: the table is not the contract's
            Some(1 | 19 | 20) => ErrorKind::Invalid,
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR and what has no number
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("the state database refused: {cause}"))
            .on_path(self.path.display())
            .because(cause)
    }

    /// Tells whether this user may not read and write the file, or write the directory for it.
    fn is_closed_to_us(&self) -> bool {
        let closed = |path: &Path, access| {
            matches!(fs::access(path, access), Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
        };
        closed(&self.path, Access::READ_OK | Access::WRITE_OK)
            || closed(self.directory(), Access::WRITE_OK)
    }
}

#[async_trait]
impl PartitionState for SqliteState {
    async fn init(&self) -> Result<Table> {
        if let Some(mut connection) = self.reader().await? {
            return self.found(&mut connection).await;
        }
        let mut connection = self.writer().await?;
        let mut transaction = self.begin(&mut connection).await?;
        // Another may have made it since.
        if has_table(&mut transaction).await.map_err(|cause| self.error(cause))? {
            return self.found(&mut transaction).await;
        }
        let made = sqlx::query(SCHEMA).execute(&mut *transaction).await;
        made.map_err(|cause| self.error(cause))?;
        transaction.commit().await.map_err(|cause| self.error(cause))?;
        Ok(Table::Made)
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        let Some(mut connection) = self.reader().await? else { return Ok(None) };
        self.one(&mut connection, key).await
    }

    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        let parameters = super::wanted(keys)?;
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
        // Closing flushes; the commit stands whatever it says.
        let _ = connection.close().await;
        Ok(next)
    }
}

async fn has_table(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let look = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'partition_state'");
    Ok(look.fetch_optional(connection).await?.is_some())
}

/// Tells whether a process died in the middle of a change, and who reads alone cannot roll it back:
/// `SQLITE_READONLY_RECOVERY`, `SQLITE_READONLY_ROLLBACK`.
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
