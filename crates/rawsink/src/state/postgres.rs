//! The state in a PostgreSQL database.
//!
//! The table is the contract's; one that other software made works unchanged, with or without a
//! primary key, whatever types its columns declare. Reading never makes a table. A change locks
//! the record's row, so that no host's update is lost (G14).

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

use self::{
    connect::{Connections, within},
    fault::Fault,
    table::{FoundTable, Uniqueness},
};
use super::{Change, Entry, Filter, PartitionState, Record, Table, row, sql};
use crate::{
    config::PostgresSettings,
    error::{Error, Result},
    key::PartitionKey,
};

/// How long a server, or a record that others change, is waited for, unless set otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a change is tried again that lost against another one.
const REPEATS: usize = 5;

/// Keeps other writers from adding the same key, where no constraint does.
const LOCK_TABLE: &str = "LOCK TABLE partition_state IN SHARE ROW EXCLUSIVE MODE";

/// Makes a statement, with its parameters, for the table as it is.
type Statement<'a> = dyn Fn(&FoundTable) -> (String, Vec<Option<String>>) + Sync + 'a;

/// The state in one PostgreSQL database.
pub struct PostgresState {
    connections: Connections,
    /// What is known of the table, once it is there.
    table: Mutex<Option<Arc<FoundTable>>>,
}

impl PostgresState {
    /// Makes a state kept in the table `partition_state` of a database; the first change makes the
    /// table where it is missing. Connects when it is used, at most four times at once.
    pub fn new(settings: &PostgresSettings) -> Self {
        let connections = Connections::new(settings.clone(), BUSY_TIMEOUT);
        Self { connections, table: Mutex::default() }
    }

    /// Sets how long a server, or a record that others change, is waited for, before
    /// `Unavailable`; 30 s unless set.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.connections.busy_timeout = timeout;
        self
    }

    /// Returns what is known of the table; `None` where there is none.
    async fn table(&self, connection: &mut PgConnection) -> Result<Option<Arc<FoundTable>>, Fault> {
        if let Some(known) = self.known_table().clone() {
            return Ok(Some(known));
        }
        let found = table::look(connection).await?.map(Arc::new);
        self.known_table().clone_from(&found);
        Ok(found)
    }

    fn known_table(&self) -> MutexGuard<'_, Option<Arc<FoundTable>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether somebody has changed the table since it was looked at; it is looked at again
    /// then. Nothing was done.
    fn is_outdated(&self, fault: &Fault) -> bool {
        let is_outdated = fault.is_of_another_table();
        if is_outdated {
            *self.known_table() = None;
        }
        is_outdated
    }

    /// Returns what is known of the table, which is made where it is missing.
    async fn made(&self, connection: &mut PgConnection) -> Result<(Arc<FoundTable>, Table), Fault> {
        if let Some(found) = self.table(connection).await? {
            return Ok((found, Table::Found));
        }
        let made = match table::make(connection, self.connections.begin()).await {
            Err(fault) if !fault.is_refusal() => return Err(fault),
            made => made,
        };
        // How the server refuses the later of two depends on how far the other is: whoever finds the
        // table now has lost nothing.
        match (self.table(connection).await?, made) {
            (Some(found), Ok(())) => Ok((found, Table::Made)),
            (Some(found), Err(_)) => Ok((found, Table::Found)),
            (None, Err(fault)) => Err(fault),
            (None, Ok(())) => Err(Fault::table("was dropped just now")),
        }
    }

    async fn make(&self) -> Result<Table, Fault> {
        let mut lease = self.connections.lease().await?;
        let made = self.made(&mut lease.connection);
        let (_, made) = within(self.connections.patience(), made).await?;
        self.connections.keep(lease);
        Ok(made)
    }

    async fn read(&self, key: &PartitionKey) -> Result<Option<Record>, Fault> {
        let mut lease = self.connections.lease().await?;
        let read = async {
            let Some(table) = self.table(&mut lease.connection).await? else { return Ok(None) };
            one(&mut lease.connection, sql::select_one(&*table), key).await
        };
        let found = within(self.connections.patience(), read).await?;
        self.connections.keep(lease);
        Ok(found)
    }

    /// Hands over all records of a statement, which is made for the table as it is.
    async fn read_each(
        &self,
        statement: &Statement<'_>,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<(), Fault> {
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

    /// The same, on the table as it is now.
    async fn read_each_now(
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
    ) -> Result<Option<Record>, Fault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let apply = self.apply(&mut lease.connection, key, change);
        let (transaction, next) = within(patience, apply).await?;
        within(patience, transaction.commit()).await.map_err(Fault::of_commit)?;
        self.connections.keep(lease);
        Ok(next)
    }

    /// Changes a record in a transaction that is left open.
    async fn apply<'lease>(
        &self,
        connection: &'lease mut PgConnection,
        key: &PartitionKey,
        change: &(dyn Fn(Option<&Record>) -> Option<Record> + Sync),
    ) -> Result<(Transaction<'lease, Postgres>, Option<Record>), Fault> {
        let (table, _) = self.made(connection).await?;
        let begin = AssertSqlSafe(self.connections.begin());
        let mut transaction = connection.begin_with(begin).await?;
        let select = sql::select_one(&*table) + " FOR UPDATE";
        let insert = match table.uniqueness {
            Uniqueness::Kept => sql::insert_unless_there(&*table),
            Uniqueness::Unknown => {
                sqlx::query(LOCK_TABLE).execute(&mut *transaction).await?;
                sql::insert(&*table)
            }
        };
        for _ in 0..REPEATS {
            let previous = one(&mut transaction, select.clone(), key).await?;
            let Some(next) = change(previous.as_ref()) else { return Ok((transaction, None)) };
            let sql = if previous.is_some() { sql::update(&*table) } else { insert.clone() };
            let done = bound(sql, row::values(key, &next)?).execute(&mut *transaction).await?;
            if done.rows_affected() > 0 {
                return Ok((transaction, Some(next)));
            }
            // Another host has just made the record: look again.
        }
        Err(Fault::table("keeps the record from being written"))
    }
}

#[async_trait]
impl PartitionState for PostgresState {
    async fn init(&self) -> Result<Table> {
        self.make().await.map_err(|fault| self.error(fault))
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>> {
        let mut read = self.read(key).await;
        if read.as_ref().is_err_and(|fault| self.is_outdated(fault)) {
            read = self.read(key).await;
        }
        read.map_err(|fault| self.error(fault))
    }

    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>> {
        let parameters = super::wanted(keys)?;
        let mut entries = Vec::new();
        if keys.is_empty() {
            return Ok(entries);
        }
        let statement =
            |table: &FoundTable| (sql::select_many(table, keys.len()), parameters.clone());
        self.read_each_now(&statement, &mut |found| entries.push(found)).await?;
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
        self.read_each_now(&statement, take).await
    }

    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let apply = |previous: Option<&Record>| change.apply(previous, now);
        let mut repeats = 0..REPEATS;
        loop {
            match self.write(key, &apply).await {
                Err(fault)
                    if (fault.may_pass() || self.is_outdated(&fault))
                        && repeats.next().is_some() => {}
                outcome => return outcome.map_err(|fault| self.error(fault)),
            }
        }
    }
}

impl PostgresState {
    fn error(&self, fault: Fault) -> Error {
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
) -> Result<Option<Record>, Fault> {
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
