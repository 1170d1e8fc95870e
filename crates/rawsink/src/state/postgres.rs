//! The state in a PostgreSQL database.
//!
//! The table is that of the contract. A table that other software created works unchanged, with or
//! without a primary key and with any column types. Reading never creates a table. A change locks
//! the record's row, so that no host's update is lost (G14).

mod config;
mod connect;
mod fault;
mod log;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres, Row, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
};

#[cfg(feature = "env")]
pub(crate) use self::config::parse as parse_url;
pub use self::config::{PostgresConfig, TlsMode};
use self::{
    connect::{Connections, within},
    fault::PgFault,
    log::{Found, LogTable},
    table::{FoundTable, Uniqueness},
};
use super::{
    Change, Entry, Filter, History, LogEntry, Origin, PartitionState, Record, Table, batch::Batch,
    log as entries, row, sql,
};
use crate::{
    error::{Error, Result},
    partition::{PartitionKey, Selection},
};

/// Default time to wait for the server, or for a locked record.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a change is retried after it lost against another one.
const RETRIES: usize = 5;

/// Prevents other writers from adding the same key if no constraint does.
const LOCK_TABLE: &str = "LOCK TABLE partition_state IN SHARE ROW EXCLUSIVE MODE";

/// Builds a statement and its parameters for a table.
type Statement<'a> = dyn Fn(&FoundTable) -> (String, Vec<Option<String>>) + Sync + 'a;

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
            let statements = missing.statements().join("; ");
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

    /// Runs a statement and passes each record to `take`.
    async fn read_each(
        &self,
        statement: &Statement<'_>,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<(), PgFault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let table = within(patience, self.table(&mut lease.connection)).await?;
        let Some(table) = table else { return Ok(()) };
        let (sql, parameters) = statement(&table);
        let mut rows = bound(sql, parameters).fetch(&mut lease.connection);
        while let Some(row) = within(patience, rows.try_next()).await? {
            take(entry(&row).map_err(|error| error.on_path(self.connections.place())));
        }
        drop(rows);
        self.connections.keep(lease);
        Ok(())
    }

    /// As [`read_each`](Self::read_each), but inspects the table again if it changed.
    async fn read_each_current(
        &self,
        statement: &Statement<'_>,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
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

    /// Reads records by a statement that selects them by their keys.
    async fn records(
        &self,
        connection: &mut PgConnection,
        sql: String,
        keys: &[PartitionKey],
    ) -> Result<BTreeMap<PartitionKey, Result<Record>>, PgFault> {
        let mut records = BTreeMap::new();
        let mut rows = bound(sql, super::key_parameters(keys)?).fetch(connection);
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
        let mut rows = bound(sql, super::key_parameters(keys)?).fetch(connection);
        let explain = |cause: sqlx::Error| log.explain(cause.into());
        while let Some(row) = rows.try_next().await.map_err(explain)? {
            let (key, entry) = entries::entry(|column| text(&row, column))?;
            let entry = entry.map_err(|error| error.on_path(self.connections.place()));
            super::add_entry(logs.entry(key).or_insert(Ok(Vec::new())), entry);
        }
        Ok(logs)
    }

    async fn write(
        &self,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Record>>>, PgFault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let apply = self.apply(&mut lease.connection, changes, now);
        let (transaction, outcomes) = within(patience, apply).await?;
        within(patience, transaction.commit()).await.map_err(PgFault::of_commit)?;
        self.connections.keep(lease);
        Ok(outcomes)
    }

    /// Applies changes and returns the open transaction.
    async fn apply<'lease>(
        &self,
        connection: &'lease mut PgConnection,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<(Transaction<'lease, Postgres>, Vec<Result<Option<Record>>>), PgFault> {
        let (table, _) = self.ensure_table(connection).await?;
        let log = self.ensure_log(connection).await?;
        let begin = AssertSqlSafe(self.connections.begin());
        let mut transaction = connection.begin_with(begin).await?;
        if table.uniqueness == Uniqueness::Unknown {
            sqlx::query(LOCK_TABLE).execute(&mut *transaction).await?;
        }
        let mut outcomes: Vec<Option<Result<Option<Record>>>> =
            changes.iter().map(|_| None).collect();
        for _ in 0..RETRIES {
            let open: Vec<usize> =
                (0..changes.len()).filter(|index| outcomes[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let open_changes: Vec<_> = open.iter().map(|index| &changes[*index]).collect();
            let (batch, others) = self
                .apply_open(&mut transaction, &table, log.as_deref(), &open_changes, now)
                .await?;
            for (index, outcome) in open.into_iter().zip(batch.outcomes) {
                // Another host has just created these records: read them.
                if !others.contains(&changes[index].0) {
                    outcomes[index] = Some(outcome);
                }
            }
        }
        let outcomes: Option<Vec<_>> = outcomes.into_iter().collect();
        let refused = "accepts neither an insert nor an update of the record";
        Ok((transaction, outcomes.ok_or_else(|| PgFault::table(refused))?))
    }

    /// Locks the records, reads them and the log, applies the changes and writes. Also returns the
    /// partitions whose changes were not written.
    async fn apply_open(
        &self,
        connection: &mut PgConnection,
        table: &FoundTable,
        log: Option<&LogTable>,
        changes: &[&(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<(Batch, BTreeSet<PartitionKey>), PgFault> {
        let keys: BTreeSet<&PartitionKey> = changes.iter().map(|(key, _)| key).collect();
        let keys: Vec<PartitionKey> = keys.into_iter().cloned().collect();
        let locked = sql::select_many_locked(table, keys.len());
        let records = self.records(connection, locked, &keys).await?;
        let logs = match log {
            Some(log) => Some(self.log_entries(connection, log, &keys).await?),
            None => None,
        };
        let histories = super::combined(&keys, records, logs);
        let batch = Batch::apply(histories, changes.iter().copied(), now);
        let others = write_records(connection, table, &batch).await?;
        if let Some(log) = log {
            let mut count = 0;
            let mut values = Vec::new();
            for (key, entry) in batch.entries.iter().filter(|(key, _)| !others.contains(key)) {
                values.extend(entries::values(key, &self.origin.sign(entry.clone()))?);
                count += 1;
            }
            if count > 0 {
                let done = bound(sql::insert(log, count), values).execute(connection).await;
                done.map_err(|cause| log.explain(cause.into()))?;
            }
        }
        Ok((batch, others))
    }
}

/// Writes the records of a batch, and returns the partitions that were not written.
async fn write_records(
    connection: &mut PgConnection,
    table: &FoundTable,
    batch: &Batch,
) -> Result<BTreeSet<PartitionKey>, PgFault> {
    let (mut others, mut created) = (BTreeSet::new(), Vec::new());
    for (key, (record, had_record)) in &batch.records {
        let values = row::values(key, record)?;
        if *had_record {
            let done = bound(sql::update(table), values).execute(&mut *connection).await?;
            if done.rows_affected() == 0 {
                others.insert(key.clone());
            }
        } else {
            others.insert(key.clone());
            created.extend(values);
        }
    }
    let count = created.len() / row::COLUMNS.len();
    if count == 0 {
        return Ok(others);
    }
    if table.uniqueness == Uniqueness::Unknown {
        bound(sql::insert(table, count), created).execute(&mut *connection).await?;
        others.retain(|key| batch.records.get(key).is_some_and(|(_, had_record)| *had_record));
        return Ok(others);
    }
    let insert = sql::insert_unless_exists(table, count);
    for row in bound(insert, created).fetch_all(&mut *connection).await? {
        if let Ok(key) = row::key(&|column| text(&row, column)) {
            others.remove(&key);
        }
    }
    Ok(others)
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
        let parameters = super::key_parameters(keys)?;
        let mut entries = Vec::new();
        if keys.is_empty() {
            return Ok(entries);
        }
        let statement =
            |table: &FoundTable| (sql::select_many(table, keys.len()), parameters.clone());
        self.read_each_current(&statement, &mut |found| entries.push(found)).await?;
        Ok(entries)
    }

    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()> {
        let statement = |table: &FoundTable| {
            let (sql, parameters) = sql::select_filtered(table, filter);
            (sql, parameters.into_iter().map(Some).collect())
        };
        self.read_each_current(&statement, take).await
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
    fn error(&self, fault: PgFault) -> Error {
        Error::from(fault).on_path(self.connections.place())
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
    let found = bound(sql, row::key_values(key).map(Some)).fetch_optional(connection).await?;
    Ok(found.map(|row| entry(&row)).transpose()?.map(|entry| entry.record))
}

/// Returns a statement with its text parameters.
fn bound(
    sql: String,
    parameters: impl IntoIterator<Item = Option<String>>,
) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    parameters.into_iter().fold(query, Query::bind)
}

fn entry(row: &PgRow) -> Result<Entry> {
    row::entry(|column| text(row, column))
}

fn text(row: &PgRow, column: usize) -> Option<String> {
    row.try_get::<Option<String>, _>(column).ok().flatten()
}
