//! The state in an SQLite database file.
//!
//! The table is that of the contract. A file that other software created with that table works
//! unchanged, with or without a primary key and with any column types. Reading never creates or
//! changes a file, with one exception: it first rolls back the unfinished change of a crashed
//! process. A change is one `BEGIN IMMEDIATE` transaction, so that no process's update is lost (G14).

mod connect;
mod fault;
mod tables;
mod writing;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::{
    AssertSqlSafe, Connection, Row, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use self::tables::{Log, Records, compare_columns, has_table};
use super::{
    Change, Cursor, Entry, Event, Filter, History, LogEntry, Origin, Page, PartitionState, Record,
    Table,
    batch::Batch,
    log,
    page::{self, KEY_COLUMNS, KeyOrder},
    row::{self, COLUMNS},
    sql,
};
use crate::{
    error::Result,
    partition::{PartitionKey, Selection},
    runtime::{SystemClock, waits::Waits},
};

/// Default time to wait for a busy database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The state in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteState {
    path: PathBuf,
    busy_timeout: Duration,
    origin: Origin,
    waits: Waits,
}

impl SqliteState {
    /// Creates a state that is stored in the file `path`. The first change creates a missing file.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            busy_timeout: BUSY_TIMEOUT,
            origin: Origin::default(),
            waits: Waits::new(Arc::new(SystemClock)),
        }
    }

    /// Sets the origin of changes, for the verdict log.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Sets the time to wait for a busy database before `Unavailable`. Default: 30 s.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Checks that an existing table has every column of the contract.
    async fn check_table(&self, connection: &mut SqliteConnection) -> Result<Table> {
        let nothing = sql::select_one(&Records) + " AND 1 = 0";
        self.run(connection, nothing, (0..KEY_COLUMNS).map(|_| None)).await?;
        Ok(Table::Found)
    }

    /// Runs a statement with text parameters and returns the records.
    async fn run(
        &self,
        connection: &mut SqliteConnection,
        sql: String,
        parameters: impl IntoIterator<Item = Option<String>>,
    ) -> Result<Vec<Result<Entry>>> {
        let mut entries = Vec::new();
        self.each(connection, sql, parameters, &mut |row| entries.push(self.entry(row))).await?;
        Ok(entries)
    }

    /// Runs a statement with text parameters and passes each row to `take`.
    async fn each(
        &self,
        connection: &mut SqliteConnection,
        sql: String,
        parameters: impl IntoIterator<Item = Option<String>>,
        take: &mut (dyn FnMut(&SqliteRow) + Send),
    ) -> Result<()> {
        let mut rows = statement(sql, parameters).fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(|cause| self.error(cause))? {
            take(&row);
        }
        Ok(())
    }

    fn entry(&self, row: &SqliteRow) -> Result<Entry> {
        let entry = row::entry(|column| text(row, column));
        entry.map_err(|error| error.on_path(self.path.display()))
    }

    /// Returns how to compare keys: by their columns if all of them hold text.
    async fn key_order(&self, connection: &mut SqliteConnection) -> Result<KeyOrder> {
        let other =
            COLUMNS[..KEY_COLUMNS].iter().map(|column| format!("typeof({column}) <> 'text'"));
        let other = other.collect::<Vec<_>>().join(" OR ");
        let sql = format!("SELECT 1 FROM partition_state WHERE {other} LIMIT 1");
        let found = sqlx::query(AssertSqlSafe(sql)).fetch_optional(connection).await;
        let found = found.map_err(|cause| self.error(cause))?;
        Ok(if found.is_some() { KeyOrder::Text } else { KeyOrder::Columns })
    }

    /// Reads the histories of partitions, each with its record and its log.
    async fn read_histories(
        &self,
        connection: &mut SqliteConnection,
        keys: &[PartitionKey],
    ) -> Result<BTreeMap<PartitionKey, Result<History>>> {
        let mut records = BTreeMap::new();
        let mut logs: BTreeMap<PartitionKey, Result<Vec<LogEntry>>> = BTreeMap::new();
        if has_table(connection, &Records).await.map_err(|cause| self.error(cause))? {
            let sql = sql::select_many(&Records, keys.len());
            let mut rows = statement(sql, super::key_parameters(keys)?).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await.map_err(|cause| self.error(cause))? {
                let text = |column| text(&row, column);
                if let Ok(key) = row::key(&text) {
                    let record = row::entry(text).map(|entry| entry.record);
                    let record = record.map_err(|error| error.on_path(self.path.display()));
                    records.entry(key).or_insert(record);
                }
            }
        }
        if has_table(connection, &Log).await.map_err(|cause| self.error(cause))? {
            let sql = sql::select_log(&Log, keys.len());
            let mut rows = statement(sql, super::key_parameters(keys)?).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await.map_err(|cause| self.error(cause))? {
                let (key, entry) = log::entry(|column| text(&row, column))?;
                let entry = entry.map_err(|error| error.on_path(self.path.display()));
                super::add_entry(logs.entry(key).or_insert(Ok(Vec::new())), entry);
            }
        }
        Ok(super::combined(keys, records, Some(logs)))
    }

    async fn one(
        &self,
        connection: &mut SqliteConnection,
        key: &PartitionKey,
    ) -> Result<Option<Record>> {
        let parameters = page::key_values(key).map(Some);
        let found = self.run(connection, sql::select_one(&Records), parameters).await?;
        Ok(found.into_iter().next().transpose()?.map(|entry| entry.record))
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
        let exists = has_table(&mut transaction, &Records).await;
        if exists.map_err(|cause| self.error(cause))? {
            return self.check_table(&mut transaction).await;
        }
        self.create_tables(&mut transaction).await?;
        self.commit(transaction).await?;
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
        self.run(&mut connection, sql::select_many(&Records, keys.len()), parameters).await
    }

    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let Some(mut connection) = self.reader().await? else { return Ok(()) };
        let (sql, parameters) = sql::select_filtered(&Records, filter);
        let parameters = parameters.into_iter().map(Some);
        self.each(&mut connection, sql, parameters, &mut |row| take(self.entry(row))).await
    }

    async fn list_page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<Page> {
        let Some(mut connection) = self.reader().await? else { return Ok(Page::default()) };
        let order = match after {
            Some(cursor) => cursor.order,
            None => self.key_order(&mut connection).await?,
        };
        let comparison = match order {
            KeyOrder::Text => sql::compare_texts(&Records),
            KeyOrder::Columns => compare_columns(),
        };
        let (sql, parameters) = sql::select_page(&Records, comparison, filter, after, limit.get());
        let mut page = Page::default();
        let mut add = |row: &SqliteRow| {
            page.add(self.entry(row), row::key_texts(&|column| text(row, column)));
        };
        self.each(&mut connection, sql, parameters.into_iter().map(Some), &mut add).await?;
        let mut page = page.end(limit.get());
        if let Some(next) = &mut page.next {
            next.order = order;
        }
        Ok(page)
    }

    async fn histories(&self, keys: &[PartitionKey]) -> Result<Vec<Result<History>>> {
        super::check_count(keys)?;
        let mut histories = match self.file_reader().await? {
            Some(mut connection) if !keys.is_empty() => {
                self.read_histories(&mut connection, keys).await?
            }
            _ => super::combined(keys, BTreeMap::new(), Some(BTreeMap::new())),
        };
        Ok(super::in_order(keys, &mut histories))
    }

    async fn with_restored(&self, keys: &[PartitionKey]) -> Result<BTreeSet<PartitionKey>> {
        let parameters = super::key_parameters(keys)?;
        let (mut found, Some(mut connection)) = (BTreeSet::new(), self.file_reader().await?) else {
            return Ok(BTreeSet::new());
        };
        let has_log = has_table(&mut connection, &Log).await;
        if keys.is_empty() || !has_log.map_err(|cause| self.error(cause))? {
            return Ok(found);
        }
        let sql = sql::select_keys_with(&Log, Event::Restored, keys.len());
        let mut rows = statement(sql, parameters).fetch(&mut connection);
        while let Some(row) = rows.try_next().await.map_err(|cause| self.error(cause))? {
            found.extend(row::key(&|column| text(&row, column)));
        }
        Ok(found)
    }

    async fn scan_log(
        &self,
        partitions: &Selection,
        take: &mut (dyn FnMut(Result<(PartitionKey, LogEntry)>) + Send),
    ) -> Result<bool> {
        let Some(mut connection) = self.file_reader().await? else { return Ok(true) };
        if !has_table(&mut connection, &Log).await.map_err(|cause| self.error(cause))? {
            return Ok(true);
        }
        let (sql, parameters) = sql::select_log_filtered(&Log, partitions);
        let parameters = parameters.into_iter().map(Some);
        let mut rows = statement(sql, parameters).fetch(&mut connection);
        while let Some(row) = rows.try_next().await.map_err(|cause| self.error(cause))? {
            let found = log::entry(|column| text(&row, column));
            let found = found.and_then(|(key, entry)| Ok((key, entry?)));
            take(found.map_err(|error| error.on_path(self.path.display())));
        }
        Ok(true)
    }

    async fn change_many(
        &self,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Record>>>> {
        super::check_count(changes)?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.writer().await?;
        let mut transaction = self.begin(&mut connection).await?;
        self.create_tables(&mut transaction).await?;
        let keys: BTreeSet<&PartitionKey> = changes.iter().map(|(key, _)| key).collect();
        let keys: Vec<PartitionKey> = keys.into_iter().cloned().collect();
        let histories = self.read_histories(&mut transaction, &keys).await?;
        let batch = Batch::apply(histories, changes, now);
        self.write(&mut transaction, &batch).await?;
        self.commit(transaction).await?;
        // Closing flushes; an error does not undo the commit.
        let _ = connection.close().await;
        Ok(batch.outcomes)
    }
}

/// Returns a statement with its text parameters.
fn statement(
    sql: String,
    parameters: impl IntoIterator<Item = Option<String>>,
) -> Query<'static, Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    parameters.into_iter().fold(query, Query::bind)
}

fn text(row: &SqliteRow, column: usize) -> Option<String> {
    row.try_get::<Option<String>, _>(column).ok().flatten()
}
