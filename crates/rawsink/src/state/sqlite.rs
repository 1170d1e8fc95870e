//! The state in an SQLite database file.
//!
//! The table is the contract's; a file that other software made with that table works unchanged,
//! with or without a primary key, whatever types its columns declare. Reading never makes or
//! changes a file. A verdict is one `BEGIN IMMEDIATE` transaction, so that no process's update is
//! lost (G14).

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::{
    fs::{self, Access},
    io::Errno,
};
use sqlx::{
    ConnectOptions, Connection, QueryBuilder, Row, Sqlite, SqliteConnection,
    error::DatabaseError,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{Entry, Filter, PartitionState, Record, Verdict, transition};
use crate::{
    error::{Error, ErrorKind, Result, system_text},
    key::PartitionKey,
};

/// How long a busy database is waited for, unless set otherwise.
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

/// Every column as text, so that declared types of other software's tables do not matter.
const SELECT: &str = "SELECT CAST(source AS TEXT), CAST(customer_id AS TEXT), CAST(query_name AS TEXT), \
    CAST(logical_date AS TEXT), CAST(status AS TEXT), CAST(current_run_id AS TEXT), CAST(schema_version AS TEXT), \
    CAST(CASE typeof(record_count) WHEN 'real' THEN CAST(record_count AS INTEGER) ELSE record_count END AS TEXT), \
    CAST(updated_at AS TEXT), CAST(error_message AS TEXT), \
    CAST(CASE typeof(attempt_count) WHEN 'real' THEN CAST(attempt_count AS INTEGER) ELSE attempt_count END AS TEXT) \
    FROM partition_state";

const SAME_KEY: &str =
    " WHERE source = ? AND customer_id = ? AND query_name = ? AND logical_date = ?";

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
        let options = self.options().read_only(true);
        let mut connection = options.connect().await.map_err(|cause| self.error(cause))?;
        let found = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'partition_state'")
            .fetch_optional(&mut connection)
            .await
            .map_err(|cause| self.error(cause))?;
        Ok(found.map(|_| connection))
    }

    /// Opens for writing and makes file and table where they are missing.
    async fn writer(&self) -> Result<SqliteConnection> {
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|cause| unavailable(&cause, parent))?;
        }
        let options = self.options().create_if_missing(true);
        options.connect().await.map_err(|cause| self.error(cause))
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(&self.path).busy_timeout(self.busy_timeout)
    }

    async fn fetch(
        &self,
        query: &mut QueryBuilder<Sqlite>,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<Entry>> {
        let rows = query.build().fetch_all(connection).await.map_err(|cause| self.error(cause))?;
        rows.iter()
            .map(|row| entry(row).map_err(|error| error.on_path(self.path.display())))
            .collect()
    }

    fn error(&self, cause: sqlx::Error) -> Error {
        let kind = match cause
            .as_database_error()
            .and_then(DatabaseError::code)
            .as_deref()
            .map(primary_code)
        {
            _ if self.path.is_dir() => ErrorKind::Invalid,
            // SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH
            Some(Some(3 | 8 | 23)) => ErrorKind::Denied,
            // SQLITE_CANTOPEN does not say why
            Some(Some(14)) if self.is_closed_to_us() => ErrorKind::Denied,
            // SQLITE_CORRUPT, SQLITE_NOTADB
            Some(Some(11 | 26)) => ErrorKind::Corrupt,
            // SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH: the table is not the contract's
            Some(Some(1 | 19 | 20)) => ErrorKind::Invalid,
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR and what has no number
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("the state database refused: {cause}"))
            .on_path(self.path.display())
            .because(cause)
    }

    /// Tells whether this user may not read and write the file, or write the directory for it.
    fn is_closed_to_us(&self) -> bool {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let closed = |path: &Path, access| {
            matches!(fs::access(path, access), Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
        };
        closed(&self.path, Access::READ_OK | Access::WRITE_OK)
            || closed(dir.unwrap_or(Path::new(".")), Access::WRITE_OK)
    }
}

#[async_trait]
impl PartitionState for SqliteState {
    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        let Some(mut connection) = self.reader().await? else { return Ok(None) };
        let found = self.fetch(&mut select_key(key), &mut connection).await?;
        Ok(found.into_iter().next().map(|entry| entry.record))
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        let Some(mut connection) = self.reader().await? else { return Ok(Vec::new()) };
        let mut query = QueryBuilder::new(SELECT);
        query.push(" WHERE 1 = 1");
        let conditions = [
            ("source", filter.source.as_deref()),
            ("customer_id", filter.customer_id.as_deref()),
            ("query_name", filter.query_name.as_deref()),
            ("logical_date", filter.logical_date.as_deref()),
            ("status", filter.status.map(super::Status::as_str)),
        ];
        for (column, value) in conditions {
            if let Some(value) = value {
                query.push(format!(" AND {column} = ")).push_bind(value.to_owned());
            }
        }
        query.push(" ORDER BY 1, 2, 3, 4");
        self.fetch(&mut query, &mut connection).await
    }

    async fn judge(&self, key: &PartitionKey, verdict: &Verdict, now: Timestamp) -> Result<Record> {
        let mut connection = self.writer().await?;
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| self.error(cause))?;
        sqlx::query(SCHEMA).execute(&mut *transaction).await.map_err(|cause| self.error(cause))?;
        let previous = self.fetch(&mut select_key(key), &mut transaction).await?.into_iter().next();
        let next = transition(previous.as_ref().map(|entry| &entry.record), verdict, now);
        let mut write = if previous.is_some() { update(key, &next)? } else { insert(key, &next)? };
        write.build().execute(&mut *transaction).await.map_err(|cause| self.error(cause))?;
        transaction.commit().await.map_err(|cause| self.error(cause))?;
        // Closing flushes; the commit stands whatever it says.
        let _ = connection.close().await;
        Ok(next)
    }
}

fn select_key(key: &PartitionKey) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(SELECT);
    push_key(&mut query, key);
    query
}

fn push_key(query: &mut QueryBuilder<Sqlite>, key: &PartitionKey) {
    let mut columns = SAME_KEY.split('?');
    for value in key_columns(key) {
        query.push(columns.next().unwrap_or_default()).push_bind(value);
    }
}

fn key_columns(key: &PartitionKey) -> [String; 4] {
    [key.source(), key.customer_id(), key.query_name(), &key.logical_date().to_string()]
        .map(str::to_owned)
}

fn update(key: &PartitionKey, record: &Record) -> Result<QueryBuilder<Sqlite>> {
    let mut query = QueryBuilder::new("UPDATE partition_state SET status = ");
    query.push_bind(record.status.as_str());
    query
        .push(", current_run_id = ")
        .push_bind(record.current_run_id.as_ref().map(ToString::to_string));
    query.push(", schema_version = ").push_bind(record.schema_version.clone());
    query.push(", record_count = ").push_bind(record.record_count.map(integer).transpose()?);
    query.push(", updated_at = ").push_bind(record.updated_at.map(|time| time.to_string()));
    query.push(", error_message = ").push_bind(record.error_message.clone());
    query.push(", attempt_count = ").push_bind(integer(record.attempt_count)?);
    push_key(&mut query, key);
    Ok(query)
}

fn insert(key: &PartitionKey, record: &Record) -> Result<QueryBuilder<Sqlite>> {
    let mut query = QueryBuilder::new(
        "INSERT INTO partition_state (source, customer_id, query_name, logical_date, status, current_run_id, \
         schema_version, record_count, updated_at, error_message, attempt_count) VALUES (",
    );
    let mut values = query.separated(", ");
    for value in key_columns(key) {
        values.push_bind(value);
    }
    values.push_bind(record.status.as_str());
    values.push_bind(record.current_run_id.as_ref().map(ToString::to_string));
    values.push_bind(record.schema_version.clone());
    values.push_bind(record.record_count.map(integer).transpose()?);
    values.push_bind(record.updated_at.map(|time| time.to_string()));
    values.push_bind(record.error_message.clone());
    values.push_bind(integer(record.attempt_count)?);
    query.push(")");
    Ok(query)
}

fn integer(number: u64) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| Error::invalid(format!("{number} does not fit the state's integer column")))
}

/// Reads one row; `Corrupt` where it makes no sense.
fn entry(row: &SqliteRow) -> Result<Entry> {
    let text = |column: usize| row.try_get::<Option<String>, _>(column).ok().flatten();
    let part = |column: usize| text(column).unwrap_or_default();
    let key = PartitionKey::new(&part(0), &part(1), &part(2), &part(3)).map_err(|error| {
        Error::corrupt(format!("a state record has no legal key: {}", error.message()))
    })?;
    let record = record(&text);
    let record = record.map_err(|fault| {
        let named = key_columns(&key).join(", ");
        Error::corrupt(format!("the state record of ({named}) {fault}"))
    })?;
    Ok(Entry { key, record })
}

fn record(text: &impl Fn(usize) -> Option<String>) -> Result<Record, String> {
    fn parse<T: FromStr>(column: &str, text: Option<String>) -> Result<Option<T>, String> {
        text.map(|text| text.parse().map_err(|_| format!("has {column} {text:?}"))).transpose()
    }
    Ok(Record {
        status: parse("status", text(4))?.ok_or("has no status")?,
        current_run_id: parse("current_run_id", text(5))?,
        schema_version: text(6),
        record_count: parse("record_count", text(7))?,
        updated_at: text(8).and_then(|text| timestamp(&text)),
        error_message: text(9),
        // Other software may leave it null.
        attempt_count: parse("attempt_count", text(10))?.unwrap_or(0),
    })
}

/// Reads a time stamp; one without an offset counts as UTC.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// Returns the primary result code of an extended one.
fn primary_code(code: &str) -> Option<u32> {
    code.parse::<u32>().ok().map(|code| code & 0xFF)
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
