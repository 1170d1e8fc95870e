//! `PartitionState`: which run of a logical partition has authority.
//!
//! Owns the record and the verdict log; the pure functions in `change`, `transition` and `due`
//! decide how they change and which runs are due. Backends only make a change atomic. Must not know
//! sinks or stores: only the validator, and an operator's explicit command, change a state (G12).

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
mod batch;
mod change;
mod due;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod log;
#[cfg(feature = "test-util")]
mod memory;
mod page;
mod plan;
#[cfg(feature = "postgres")]
mod postgres;
mod reason;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod row;
mod series;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transition;
mod verdict;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::collections::BTreeMap;
use std::{collections::BTreeSet, fmt, num::NonZeroUsize, path::PathBuf, str::FromStr, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

#[cfg(feature = "test-util")]
pub use self::memory::MemoryState;
#[cfg(all(feature = "postgres", feature = "env"))]
pub(crate) use self::postgres::parse_url as postgres_config;
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresConfig, PostgresState, TlsMode};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteState;
pub use self::{
    change::{Change, Effect, replay},
    due::{Newest, RunSummary, Situation},
    page::{Cursor, Page},
    plan::{Applied, Days, Marked, Plan, Series, execute, plan_backfill, plan_retry},
    series::latest_before,
    transition::{Outcome, Verdict, transition},
    verdict::{Event, Evidence, History, LogEntry},
};
use crate::{
    error::{Error, Result},
    internal::Internal,
    partition::{PartitionKey, RunId, Selection},
};

/// The status of a logical partition. No other status exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No verdict applies.
    Pending,
    /// `current_run_id` was validated: consumers read it.
    Success,
    /// The last verdict that applies is a failure.
    Failed,
}

impl Status {
    /// Returns the status as the table stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Pending, Self::Success, Self::Failed];
        let known = all.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| {
            Error::invalid(format!("unknown status {text:?}: expected pending, success or failed"))
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The record of one logical partition; no record means pending.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Record {
    /// The status.
    pub status: Status,
    /// The run that consumers read when the status is success.
    pub current_run_id: Option<RunId>,
    /// The schema version in that run's metadata.
    pub schema_version: Option<String>,
    /// Number of rows of that run.
    pub record_count: Option<u64>,
    /// When the record last changed; `None` if other software wrote a value that is not a time.
    pub updated_at: Option<Timestamp>,
    /// Why the last validation failed; `None` when it passed.
    pub error_message: Option<String>,
    /// Number of validations tried; never decreases.
    pub attempt_count: u64,
}

impl Record {
    /// Returns the run that consumers read; `None` unless the status is success.
    pub fn authoritative_run(&self) -> Option<&RunId> {
        self.current_run_id.as_ref().filter(|_| self.status == Status::Success)
    }
}

/// A record and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The logical partition.
    pub key: PartitionKey,
    /// Its record.
    pub record: Record,
}

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The logical partitions.
    pub partitions: Selection,
    /// The status; `None` does not filter.
    pub status: Option<Status>,
}

impl From<Selection> for Filter {
    fn from(partitions: Selection) -> Self {
        Self { partitions, status: None }
    }
}

/// Whether a table was created or existed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// It was created.
    Created,
    /// It existed, with every column of the contract.
    Found,
}

/// Maximum number of records to find or change in one call: a statement's parameters are limited.
pub const FIND_AT_ONCE: usize = 1_000;

/// The authority: one record per logical partition.
///
/// Every method may fail with `Unavailable` (busy or unreachable), `Denied` (credentials,
/// permissions), `Invalid` (a setting, or a table that does not match the contract) and `Corrupt`
/// (a malformed record).
#[async_trait]
pub trait PartitionState: Internal + fmt::Debug + Send + Sync {
    /// Creates the table if it does not exist; does not change an existing one. The first
    /// [`change`](Self::change) does the same.
    async fn init(&self) -> Result<Table>;

    /// Returns a partition's record; `None` means pending.
    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>>;

    /// Returns the existing records of at most [`FIND_AT_ONCE`] partitions, in any order. A
    /// malformed record is an item with an error, as in [`list`](Self::list).
    ///
    /// # Errors
    /// `Invalid` for more partitions.
    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>>;

    /// Returns the records that pass the filter, sorted by key. A malformed record is an item with
    /// a `Corrupt` error that names it; the others are returned as usual.
    async fn list(&self, filter: &Filter) -> Result<Vec<Result<Entry>>> {
        let mut entries = Vec::new();
        self.scan(filter, &mut |found| entries.push(found)).await?;
        Ok(entries)
    }

    /// Passes the items of [`list`](Self::list) to `take` one by one, so that memory does not grow with
    /// the number of records.
    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()>;

    /// Returns up to `limit` records that pass the filter, sorted by key, from a position on; `None` is
    /// the beginning. No transaction stays open between pages: a record that appears, changes or
    /// disappears meanwhile is found as it is when its page is read. Malformed records are items with
    /// an error, as in [`list`](Self::list). Of several records of one partition, which only a table
    /// without a unique key can hold, at least one is found.
    async fn list_page(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<Page>;

    /// Returns record and verdict log of at most [`FIND_AT_ONCE`] partitions, in the order of `keys`. A
    /// malformed record or log is an item with a `Corrupt` error that names it.
    ///
    /// # Errors
    /// `Invalid` for more partitions; `Denied` if a log exists and this role may not read it.
    async fn histories(&self, keys: &[PartitionKey]) -> Result<Vec<Result<History>>>;

    /// Returns record and verdict log of one partition.
    ///
    /// # Errors
    /// As [`histories`](Self::histories); `Corrupt` for a malformed record or log.
    async fn history(&self, key: &PartitionKey) -> Result<History> {
        let found = self.histories(std::slice::from_ref(key)).await?.pop();
        found.unwrap_or_else(|| Ok(History::default()))
    }

    /// Returns which of at most [`FIND_AT_ONCE`] partitions have a run that was ever restored. In most
    /// databases none has, and this costs less than their [`histories`](Self::histories).
    ///
    /// # Errors
    /// As [`histories`](Self::histories); a malformed log counts as one with a restored run.
    async fn with_restored(&self, keys: &[PartitionKey]) -> Result<BTreeSet<PartitionKey>> {
        let histories = self.histories(keys).await?;
        let is_restored = |history: &Result<History>| match history {
            Ok(history) => history.entries().iter().any(|entry| entry.event == Event::Restored),
            Err(_) => true,
        };
        let found = keys.iter().zip(&histories).filter(|(_, history)| is_restored(history));
        Ok(found.map(|(key, _)| key.clone()).collect())
    }

    /// Passes the log entries of a selection to `take`, in the order in which they were added, so that
    /// memory does not grow with the log. Entries have only run, event, status and lengths. Returns whether the
    /// database keeps a log, or can keep one. A malformed entry is an item with a `Corrupt` error.
    ///
    /// # Errors
    /// `Denied` if a log exists and this role may not read it.
    async fn scan_log(
        &self,
        partitions: &Selection,
        take: &mut (dyn FnMut(Result<(PartitionKey, LogEntry)>) + Send),
    ) -> Result<bool>;

    /// Reads the records and logs, applies the changes in their order and writes, as one atomic step
    /// across all processes and hosts (G14). Returns the record after each change; `None` if it changed
    /// nothing. A malformed record is an item with a `Corrupt` error, and the others are changed.
    ///
    /// # Errors
    /// `Invalid` for more than [`FIND_AT_ONCE`] changes. `Unsupported` for a withdrawal or a restore in
    /// a database that keeps no log. `Unknown` if the connection to the database was lost during the
    /// commit: the changes may have happened. After any other error none has.
    async fn change_many(
        &self,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Record>>>>;

    /// Makes one change, see [`change_many`](Self::change_many).
    ///
    /// # Errors
    /// As [`change_many`](Self::change_many); `Corrupt` for a malformed record.
    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let changed = self.change_many(&[(key.clone(), change.clone())], now).await?.pop();
        changed.unwrap_or(Ok(None))
    }

    /// Records a verdict.
    ///
    /// # Errors
    /// As [`change`](Self::change); `Invalid` if the run is withdrawn.
    async fn judge(&self, key: &PartitionKey, verdict: &Verdict, now: Timestamp) -> Result<Record> {
        let changed = self.change(key, &Change::Verdict(verdict.clone()), now).await?;
        changed.ok_or_else(|| run_withdrawn(None))
    }
}

/// The error of a run that an operator withdrew.
pub fn run_withdrawn(withdrawal: Option<&LogEntry>) -> Error {
    let reason = withdrawal.and_then(|entry| entry.reason.as_ref());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Error::invalid(format!("an operator withdrew this run{reason}"))
        .because(StateFault::RunWithdrawn)
}

/// The cause of an error, if a further step can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFault {
    /// An operator withdrew the run: a restore makes it due again.
    RunWithdrawn,
    /// The database has no log, and this role may not create it.
    NoLog,
}

impl StateFault {
    /// Returns the cause of an error of this module.
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }
}

impl fmt::Display for StateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RunWithdrawn => "the run is withdrawn",
            Self::NoLog => "the database has no verdict log",
        })
    }
}

impl std::error::Error for StateFault {}

/// Who changes a state, for the verdict log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// URI of the sink whose runs are validated.
    pub sink_uri: Option<String>,
    /// The host.
    pub judged_by: Option<String>,
}

impl Origin {
    /// Returns the origin of changes on this host.
    pub fn of_host(sink_uri: Option<String>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { sink_uri, judged_by: Some(host) }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
impl Origin {
    /// Adds the origin to a new entry.
    fn sign(&self, entry: LogEntry) -> LogEntry {
        let Self { sink_uri, judged_by } = self.clone();
        LogEntry { sink_uri, judged_by, ..entry }
    }
}

/// Refuses more keys than one call may find.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
fn check_count<T>(keys: &[T]) -> Result<()> {
    if keys.len() <= FIND_AT_ONCE {
        return Ok(());
    }
    let message =
        format!("cannot find or change {} records in one call: limit {FIND_AT_ONCE}", keys.len());
    Err(Error::invalid(message))
}

/// Returns the statement parameters that select these keys.
#[cfg(feature = "sqlite")]
fn key_parameters(keys: &[PartitionKey]) -> Result<Vec<Option<String>>> {
    check_count(keys)?;
    Ok(keys.iter().flat_map(page::key_values).map(Some).collect())
}

/// Adds an entry to the log that is being read, unless an earlier one is malformed.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn add_entry(log: &mut Result<Vec<LogEntry>>, entry: Result<LogEntry>) {
    match (&mut *log, entry) {
        (Ok(entries), Ok(entry)) => entries.push(entry),
        (Ok(_), Err(error)) => *log = Err(error),
        (Err(_), _) => {}
    }
}

/// Combines records and logs; `logs` is `None` if the database keeps no log.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn combined(
    keys: &[PartitionKey],
    mut records: BTreeMap<PartitionKey, Result<Record>>,
    mut logs: Option<BTreeMap<PartitionKey, Result<Vec<LogEntry>>>>,
) -> BTreeMap<PartitionKey, Result<History>> {
    let mut history = |key: &PartitionKey| {
        let record = records.remove(key).transpose()?;
        let log = logs.as_mut().map(|logs| logs.remove(key).unwrap_or(Ok(Vec::new())));
        Ok(History::new(record, log.transpose()?))
    };
    keys.iter().map(|key| (key.clone(), history(key))).collect()
}

/// Returns the histories in the order of `keys`.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn in_order(
    keys: &[PartitionKey],
    histories: &mut BTreeMap<PartitionKey, Result<History>>,
) -> Vec<Result<History>> {
    let missing = || Err(Error::new(crate::ErrorKind::Internal, "a partition was asked for twice"));
    keys.iter().map(|key| histories.remove(key).unwrap_or_else(missing)).collect()
}

/// Where the state is stored. `Display` is its URL without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateConfig {
    /// An SQLite database file.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresConfig),
}

impl StateConfig {
    /// Creates the configuration of an SQLite file; `None` in a build without SQLite.
    pub fn sqlite(path: impl Into<PathBuf>) -> Option<Self> {
        #[cfg(feature = "sqlite")]
        return Some(Self::Sqlite(path.into()));
        #[cfg(not(feature = "sqlite"))]
        {
            drop(path.into());
            None
        }
    }
}

impl fmt::Display for StateConfig {
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(unused_variables, reason = "no state exists")
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(ref path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(ref postgres) => postgres.fmt(f),
        }
    }
}

/// Opens the state of a configuration, without connecting yet. The verdict log names the origin.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(unused_variables, reason = "no state exists")
)]
pub fn open(config: &StateConfig, origin: &Origin) -> Arc<dyn PartitionState> {
    match *config {
        #[cfg(feature = "sqlite")]
        StateConfig::Sqlite(ref path) => Arc::new(SqliteState::new(path).origin(origin.clone())),
        #[cfg(feature = "postgres")]
        StateConfig::Postgres(ref postgres) => {
            Arc::new(PostgresState::new(postgres).origin(origin.clone()))
        }
    }
}
