//! The state in a PostgreSQL database.
//!
//! The table is that of the contract. A table that other software created works unchanged, with or
//! without a primary key and with any column types. Reading never creates a table. A change locks
//! the record's row, so that no host's update is lost (G14).

mod config;
mod connect;
mod fault;
mod table;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    table::{FoundTable, Uniqueness},
};
use super::{Change, Entry, Filter, PartitionState, Record, Table, row, sql};
use crate::{
    error::{Error, Result},
    partition::PartitionKey,
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
}

impl PostgresState {
    /// Creates a state that is stored in the table `partition_state` of a database. The first change
    /// creates a missing table. Connects on first use, with at most four connections.
    pub fn new(config: &PostgresConfig) -> Self {
        let connections = Connections::new(config.clone(), BUSY_TIMEOUT);
        Self { connections, table: Mutex::default() }
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
        }
        is_outdated
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

    async fn write(
        &self,
        key: &PartitionKey,
        change: &(dyn Fn(Option<&Record>) -> Option<Record> + Sync),
    ) -> Result<Option<Record>, PgFault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let apply = self.apply(&mut lease.connection, key, change);
        let (transaction, next) = within(patience, apply).await?;
        within(patience, transaction.commit()).await.map_err(PgFault::of_commit)?;
        self.connections.keep(lease);
        Ok(next)
    }

    /// Changes a record and returns the open transaction.
    async fn apply<'lease>(
        &self,
        connection: &'lease mut PgConnection,
        key: &PartitionKey,
        change: &(dyn Fn(Option<&Record>) -> Option<Record> + Sync),
    ) -> Result<(Transaction<'lease, Postgres>, Option<Record>), PgFault> {
        let (table, _) = self.ensure_table(connection).await?;
        let begin = AssertSqlSafe(self.connections.begin());
        let mut transaction = connection.begin_with(begin).await?;
        let select = sql::select_one(&*table) + " FOR UPDATE";
        let insert = match table.uniqueness {
            Uniqueness::Kept => sql::insert_unless_exists(&*table),
            Uniqueness::Unknown => {
                sqlx::query(LOCK_TABLE).execute(&mut *transaction).await?;
                sql::insert(&*table)
            }
        };
        for _ in 0..RETRIES {
            let previous = one(&mut transaction, select.clone(), key).await?;
            let Some(next) = change(previous.as_ref()) else { return Ok((transaction, None)) };
            let sql = if previous.is_some() { sql::update(&*table) } else { insert.clone() };
            let done = bound(sql, row::values(key, &next)?).execute(&mut *transaction).await?;
            if done.rows_affected() > 0 {
                return Ok((transaction, Some(next)));
            }
            // Another host has just created the record: read it.
        }
        Err(PgFault::table("accepts neither an insert nor an update of the record"))
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

    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let apply = |previous: Option<&Record>| change.apply(previous, now);
        let mut retries = 0..RETRIES;
        loop {
            match self.write(key, &apply).await {
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
    row::entry(|column| row.try_get::<Option<String>, _>(column).ok().flatten())
}
