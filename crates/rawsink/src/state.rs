//! `PartitionState`: which run of a logical partition has authority.
//!
//! Owns the record; the pure functions in `change` and `transition` decide how it changes. Backends
//! only make that change atomic. Must not know sinks or stores: only the validator, and an
//! operator's explicit command, change a state (G12).

mod change;
mod due;
#[cfg(feature = "test-util")]
mod memory;
mod plan;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod row;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transition;

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

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
    change::Change,
    due::due,
    plan::{Applied, Days, Plan, Series, execute, plan_backfill, plan_retry},
    transition::{Outcome, Verdict, is_reason_of, transition},
};
use crate::{
    error::{Error, ErrorKind, Result},
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// Maximum number of records to find in one call: a statement's parameters are limited.
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

    /// Reads the record, applies a change and writes, as one atomic step across all processes and
    /// hosts (G14). Returns the new record; `None` if nothing changed.
    ///
    /// # Errors
    /// `Unknown` if the connection to the database was lost during the commit: the change may have
    /// happened. After any other error it has not.
    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>>;

    /// Records a verdict: a [`change`](Self::change) that always changes the record.
    async fn judge(&self, key: &PartitionKey, verdict: &Verdict, now: Timestamp) -> Result<Record> {
        let changed = self.change(key, &Change::Verdict(verdict.clone()), now).await?;
        changed.ok_or_else(|| Error::new(ErrorKind::Internal, "a verdict changed no record"))
    }
}

/// Refuses more keys than one call may find.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
fn check_count(keys: &[PartitionKey]) -> Result<()> {
    if keys.len() <= FIND_AT_ONCE {
        return Ok(());
    }
    let message = format!("cannot find {} records in one call: limit {FIND_AT_ONCE}", keys.len());
    Err(Error::invalid(message))
}

/// Returns the statement parameters that select these keys.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn key_parameters(keys: &[PartitionKey]) -> Result<Vec<Option<String>>> {
    check_count(keys)?;
    Ok(keys.iter().flat_map(row::key_values).map(Some).collect())
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

/// Opens the state of a configuration, without connecting yet.
pub fn open(config: &StateConfig) -> Arc<dyn PartitionState> {
    match *config {
        #[cfg(feature = "sqlite")]
        StateConfig::Sqlite(ref path) => Arc::new(SqliteState::new(path)),
        #[cfg(feature = "postgres")]
        StateConfig::Postgres(ref postgres) => Arc::new(PostgresState::new(postgres)),
    }
}
