//! The state in a PostgreSQL database.
//!
//! The table is that of the contract. A table that other software created works unchanged, with or
//! without a primary key and with any column types. Reading never creates a table. A change locks
//! the record's row, so that no host's update is lost (G14).

mod config;
mod connect;
mod fault;
mod guard;
mod log;
mod relay;
mod statement;
mod table;
mod unverified;
mod writing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};

#[cfg(feature = "env")]
pub(crate) use self::config::parse as parse_url;
pub use self::config::{PostgresConfig, TlsMode};
use self::{
    connect::{Connections, within},
    fault::PgFault,
    log::{Found, LogTable},
    statement::{PgQuery, bound, of_keys},
    table::FoundTable,
};
use super::{
    Change, Cursor, Entry, Event, Filter, History, LogEntry, Origin, Page, PartitionState, Record,
    Table, log as entries, page, row, sql,
};
use crate::{
    error::{Error, Result},
    partition::{PartitionKey, Selection},
};

/// Default time to wait for the server, or for a locked record.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a change is retried after it lost against another one.
const RETRIES: usize = 5;

/// Builds a statement for a table.
type Statement<'a> = dyn Fn(&FoundTable) -> PgQuery + Sync + 'a;

/// The state in one PostgreSQL database.
pub struct PostgresState {
    connections: Connections,
    /// The description of the table, once it exists.
    table: Mutex<Option<Arc<FoundTable>>>,
    /// The verdict log, once it exists.
    log: Mutex<Option<Arc<LogTable>>>,
    /// Whether the missing log was reported.
    has_warned: AtomicBool,
    origin: Origin,
}

impl PostgresState {
    /// Creates a state that is stored in the table `partition_state` of a database. The first change
    /// creates a missing table. Connects on first use, with at most four connections.
    pub fn new(config: &PostgresConfig) -> Self {
        let connections = Connections::new(config.clone(), BUSY_TIMEOUT);
        let (table, log) = (Mutex::default(), Mutex::default());
        let (has_warned, origin) = (AtomicBool::new(false), Origin::default());
        Self { connections, table, log, has_warned, origin }
    }

    /// Sets the origin of changes, for the verdict log.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Sets the time to wait for the server, or for a locked record, before `Unavailable`. Default:
    /// 30 s.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.connections.busy_timeout = timeout;
        self
    }

    /// Returns the description of the table; `None` if it does not exist.
    async fn table(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Arc<FoundTable>>, PgFault> {
        if let Some(known) = self.known_table().clone() {
            return Ok(Some(known));
        }
        let found = table::inspect(connection).await?.map(Arc::new);
        self.known_table().clone_from(&found);
        Ok(found)
    }

    fn known_table(&self) -> MutexGuard<'_, Option<Arc<FoundTable>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the statement failed because the table changed since it was inspected, and
    /// forgets the old description in that case.
    fn is_outdated(&self, fault: &PgFault) -> bool {
        let is_outdated = fault.is_table_mismatch();
        if is_outdated {
            *self.known_table() = None;
            *self.known_log() = None;
        }
        is_outdated
    }

    fn known_log(&self) -> MutexGuard<'_, Option<Arc<LogTable>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the log, and whether one exists or could be created.
    async fn find_log(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(Option<Arc<LogTable>>, bool), PgFault> {
        if let Some(known) = self.known_log().clone() {
            return Ok((Some(known), true));
        }
        Ok(match log::inspect(connection).await? {
            Found::Table(table) => (Some(self.keep_log(table)), true),
            Found::Refused(_) => (None, false),
            Found::Creatable(_) | Found::NoRecords => (None, true),
        })
    }

    /// Passes the log entries of a selection to `take`; returns whether a log exists or could be created.
    async fn scan_entries(
        &self,
        partitions: &Selection,
        take: &mut (dyn FnMut(Result<(PartitionKey, LogEntry)>) + Send),
    ) -> Result<bool, PgFault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let found = within(patience, self.find_log(&mut lease.connection)).await?;
        if let (Some(log), _) = &found {
            let (sql, parameters) = sql::select_log_filtered(&**log, partitions);
            let parameters = parameters.into_iter().map(Some);
            let mut rows = bound(sql, parameters).fetch(&mut lease.connection);
            let next = |fault| log.explain(fault);
            while let Some(row) = within(patience, rows.try_next()).await.map_err(next)? {
                let found = entries::entry(|column| text(&row, column));
                let found = found.and_then(|(key, entry)| Ok((key, entry?)));
                take(found.map_err(|error| error.on_path(self.connections.place())));
            }
        }
        self.connections.keep(lease);
        Ok(found.1)
    }

    /// Returns the log, and creates a missing one; `None` if the server refuses that, which is
    /// reported once.
    async fn ensure_log(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Arc<LogTable>>, PgFault> {
        if let Some(known) = self.known_log().clone() {
            return Ok(Some(known));
        }
        let missing = match log::inspect(connection).await? {
            Found::Table(table) => return Ok(Some(self.keep_log(table))),
            Found::NoRecords => return Ok(None),
            Found::Refused(table) => table,
            Found::Creatable(table) => {
                match log::create(connection, self.connections.begin(), &table).await {
                    Ok(()) => return Ok(Some(self.keep_log(table))),
                    Err(fault) if !fault.is_refusal() => return Err(fault),
                    Err(_) => {}
                }
                // Another host may have created it meanwhile.
                if let Found::Table(table) = log::inspect(connection).await? {
                    return Ok(Some(self.keep_log(table)));
                }
                table
            }
        };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let statements = self.connections.hidden(&missing.statements().join("; "));
            tracing::warn!(
                "the state database has no verdict log, and this role may not create it; verdicts are \
                 recorded without their evidence; ask an administrator to run: {statements}"
            );
        }
        Ok(None)
    }

    fn keep_log(&self, table: LogTable) -> Arc<LogTable> {
        let table = Arc::new(table);
        *self.known_log() = Some(Arc::clone(&table));
        table
    }

    /// Returns the description of the table, and creates a missing one.
    async fn ensure_table(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(Arc<FoundTable>, Table), PgFault> {
        if let Some(found) = self.table(connection).await? {
            return Ok((found, Table::Found));
        }
        let created = match table::create(connection, self.connections.begin()).await {
            Err(fault) if !fault.is_refusal() => return Err(fault),
            created => created,
        };
        // Of two concurrent attempts the server may refuse the later one with various errors. They do
        // not matter if the table exists now.
        match (self.table(connection).await?, created) {
            (Some(found), Ok(())) => Ok((found, Table::Created)),
            (Some(found), Err(_)) => Ok((found, Table::Found)),
            (None, Err(fault)) => Err(fault),
            (None, Ok(())) => Err(PgFault::table("was dropped right after it was created")),
        }
    }

    async fn create(&self) -> Result<Table, PgFault> {
        let mut lease = self.connections.lease().await?;
        let created = self.ensure_table(&mut lease.connection);
        let (_, created) = within(self.connections.patience(), created).await?;
        self.connections.keep(lease);
        Ok(created)
    }

    async fn read(&self, key: &PartitionKey) -> Result<Option<Record>, PgFault> {
        let mut lease = self.connections.lease().await?;
        let read = async {
            let Some(table) = self.table(&mut lease.connection).await? else { return Ok(None) };
            one(&mut lease.connection, sql::select_one(&*table), key).await
        };
        let found = within(self.connections.patience(), read).await?;
        self.connections.keep(lease);
        Ok(found)
    }

    /// Runs a statement and passes each row to `take`.
    async fn read_each(
        &self,
        statement: &Statement<'_>,
        take: &mut (dyn FnMut(&PgRow) + Send),
    ) -> Result<(), PgFault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let table = within(patience, self.table(&mut lease.connection)).await?;
        let Some(table) = table else { return Ok(()) };
        let mut rows = statement(&table).fetch(&mut lease.connection);
        while let Some(row) = within(patience, rows.try_next()).await? {
            take(&row);
        }
        drop(rows);
        self.connections.keep(lease);
        Ok(())
    }

    /// As [`read_each`](Self::read_each), but inspects the table again if it changed.
    async fn read_each_current(
        &self,
        statement: &Statement<'_>,
        take: &mut (dyn FnMut(&PgRow) + Send),
    ) -> Result<()> {
        let mut read = self.read_each(statement, take).await;
        if read.as_ref().is_err_and(|fault| self.is_outdated(fault)) {
            read = self.read_each(statement, take).await;
        }
        read.map_err(|fault| self.error(fault))
    }

    /// Reads the histories of partitions.
    async fn read_histories(
        &self,
        keys: &[PartitionKey],
    ) -> Result<BTreeMap<PartitionKey, Result<History>>, PgFault> {
        let mut lease = self.connections.lease().await?;
        let read = async {
            let connection = &mut lease.connection;
            let Some(table) = self.table(connection).await? else {
                return Ok(super::combined(keys, BTreeMap::new(), Some(BTreeMap::new())));
            };
            let records = self.records(connection, sql::select_many(&*table, keys.len()), keys);
            let records = records.await?;
            let logs = match self.find_log(connection).await? {
                (Some(log), _) => Some(self.log_entries(connection, &log, keys).await?),
                (None, is_possible) => is_possible.then(BTreeMap::new),
            };
            Ok::<_, PgFault>(super::combined(keys, records, logs))
        };
        let found = within(self.connections.patience(), read).await?;
        self.connections.keep(lease);
        Ok(found)
    }

    /// Reads which partitions have an entry of this event in their log.
    async fn read_keys_with(
        &self,
        event: Event,
        keys: &[PartitionKey],
    ) -> Result<BTreeSet<PartitionKey>, PgFault> {
        let mut lease = self.connections.lease().await?;
        let read = async {
            let connection = &mut lease.connection;
            let mut found = BTreeSet::new();
            let (Some(log), _) = self.find_log(connection).await? else { return Ok(found) };
            let sql = sql::select_keys_with(&*log, event, keys.len());
            let mut rows = of_keys(sql, keys).fetch(connection);
            let explain = |cause: sqlx::Error| log.explain(cause.into());
            while let Some(row) = rows.try_next().await.map_err(explain)? {
                found.extend(row::key(&|column| text(&row, column)));
            }
            Ok::<_, PgFault>(found)
        };
        let found = within(self.connections.patience(), read).await?;
        self.connections.keep(lease);
        Ok(found)
    }

    /// Reads records by a statement that selects them by their keys.
    async fn records(
        &self,
        connection: &mut PgConnection,
        sql: String,
        keys: &[PartitionKey],
    ) -> Result<BTreeMap<PartitionKey, Result<Record>>, PgFault> {
        let mut records = BTreeMap::new();
        let mut rows = of_keys(sql, keys).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            let text = |column| text(&row, column);
            if let Ok(key) = row::key(&text) {
                let record = row::entry(text).map(|entry| entry.record);
                let record = record.map_err(|error| error.on_path(self.connections.place()));
                records.entry(key).or_insert(record);
            }
        }
        Ok(records)
    }

    /// Reads the entries of the log.
    async fn log_entries(
        &self,
        connection: &mut PgConnection,
        log: &LogTable,
        keys: &[PartitionKey],
    ) -> Result<BTreeMap<PartitionKey, Result<Vec<LogEntry>>>, PgFault> {
        let mut logs = BTreeMap::new();
        let sql = sql::select_log(log, keys.len());
        let mut rows = of_keys(sql, keys).fetch(connection);
        let explain = |cause: sqlx::Error| log.explain(cause.into());
        while let Some(row) = rows.try_next().await.map_err(explain)? {
            let (key, entry) = entries::entry(|column| text(&row, column))?;
            let entry = entry.map_err(|error| error.on_path(self.connections.place()));
            super::add_entry(logs.entry(key).or_insert(Ok(Vec::new())), entry);
        }
        Ok(logs)
    }
}

impl crate::internal::Internal for PostgresState {}

#[async_trait]
impl PartitionState for PostgresState {
    async fn init(&self) -> Result<Table> {
        self.create().await.map_err(|fault| self.error(fault))
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        let mut read = self.read(key).await;
        if read.as_ref().is_err_and(|fault| self.is_outdated(fault)) {
            read = self.read(key).await;
        }
        read.map_err(|fault| self.error(fault))
    }

    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        super::check_count(keys)?;
        let mut entries = Vec::new();
        if keys.is_empty() {
            return Ok(entries);
        }
        let statement = |table: &FoundTable| of_keys(sql::select_many(table, keys.len()), keys);
        self.read_each_current(&statement, &mut |row| entries.push(self.entry(row))).await?;
        Ok(entries)
    }

    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let statement = |table: &FoundTable| {
            let (sql, parameters) = sql::select_filtered(table, filter);
            bound(sql, parameters.into_iter().map(Some))
        };
        self.read_each_current(&statement, &mut |row| take(self.entry(row))).await
    }

    async fn list_page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<Page> {
        let statement = |table: &FoundTable| {
            let keys = sql::compare_texts(table);
            let (sql, parameters) = sql::select_page(table, keys, filter, after, limit.get());
            bound(sql, parameters.into_iter().map(Some))
        };
        let mut page = Page::default();
        let mut add = |row: &PgRow| {
            page.add(self.entry(row), row::key_texts(&|column| text(row, column)));
        };
        self.read_each_current(&statement, &mut add).await?;
        Ok(page.end(limit.get()))
    }

    async fn histories(&self, keys: &[PartitionKey]) -> Result<Vec<Result<History>>> {
        super::check_count(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = self.read_histories(keys).await;
        if read.as_ref().is_err_and(|fault| self.is_outdated(fault)) {
            read = self.read_histories(keys).await;
        }
        let mut histories = read.map_err(|fault| self.error(fault))?;
        Ok(super::in_order(keys, &mut histories))
    }

    async fn with_restored(&self, keys: &[PartitionKey]) -> Result<BTreeSet<PartitionKey>> {
        super::check_count(keys)?;
        if keys.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut read = self.read_keys_with(Event::Restored, keys).await;
        if read.as_ref().is_err_and(|fault| self.is_outdated(fault)) {
            read = self.read_keys_with(Event::Restored, keys).await;
        }
        read.map_err(|fault| self.error(fault))
    }

    async fn scan_log(
        &self,
        partitions: &Selection,
        take: &mut (dyn FnMut(Result<(PartitionKey, LogEntry)>) + Send),
    ) -> Result<bool> {
        let mut scanned = self.scan_entries(partitions, take).await;
        if scanned.as_ref().is_err_and(|fault| self.is_outdated(fault)) {
            scanned = self.scan_entries(partitions, take).await;
        }
        scanned.map_err(|fault| self.error(fault))
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
        let mut retries = 0..RETRIES;
        loop {
            match self.write(changes, now).await {
                Err(fault)
                    if (fault.is_retryable() || self.is_outdated(&fault))
                        && retries.next().is_some() => {}
                outcome => return outcome.map_err(|fault| self.error(fault)),
            }
        }
    }
}

impl PostgresState {
    fn entry(&self, row: &PgRow) -> Result<Entry> {
        entry(row).map_err(|error| error.on_path(self.connections.place()))
    }

    fn error(&self, fault: PgFault) -> Error {
        let error = fault.into_error(&|text| self.connections.hidden(&text));
        error.on_path(self.connections.place())
    }
}

impl fmt::Debug for PostgresState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresState").field(&self.connections.place()).finish()
    }
}

async fn one(
    connection: &mut PgConnection,
    sql: String,
    key: &PartitionKey,
) -> Result<Option<Record>, PgFault> {
    let found = bound(sql, page::key_values(key).map(Some)).fetch_optional(connection).await?;
    Ok(found.map(|row| entry(&row)).transpose()?.map(|entry| entry.record))
}

fn entry(row: &PgRow) -> Result<Entry> {
    row::entry(|column| text(row, column))
}

fn text(row: &PgRow, column: usize) -> Option<String> {
    row.try_get::<Option<String>, _>(column).ok().flatten()
}
