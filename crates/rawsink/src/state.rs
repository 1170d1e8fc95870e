//! `PartitionState`: which run of a logical partition has authority.
//!
//! Owns the record, and in `change` and `transition` the pure functions that say how it changes.
//! Backends only make that change atomic. Must not know sinks or stores: only the validator, and an
//! operator's explicit command, change a state (G12).

mod change;
mod due;
mod plan;
mod postgres;
mod row;
mod sql;
mod sqlite;
mod transition;

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

pub use self::{
    change::Change,
    due::due,
    plan::{Applied, Days, Plan, Series, execute, plan_backfill, plan_retry},
    postgres::PostgresState,
    sqlite::SqliteState,
    transition::{Outcome, Verdict, is_reason_of, transition},
};
use crate::{
    config::{Settings, StateUrl},
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId, Selection},
};

/// What is known of a logical partition. No other status exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No verdict counts.
    Pending,
    /// `current_run_id` was validated: consumers read it.
    Success,
    /// The last verdict that counts is a failure.
    Failed,
}

impl Status {
    /// Returns the status as it stands in the table.
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
            Error::invalid(format!("{text:?} is no status (pending, success, failed)"))
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
    /// What is known.
    pub status: Status,
    /// The run that consumers read when the status is success.
    pub current_run_id: Option<RunId>,
    /// Copied from that run's metadata.
    pub schema_version: Option<String>,
    /// Rows of that run.
    pub record_count: Option<u64>,
    /// When the record last changed; `None` where other software wrote what is no time.
    pub updated_at: Option<Timestamp>,
    /// Why the last validation failed; `None` when it passed.
    pub error_message: Option<String>,
    /// Validations tried; only grows.
    pub attempt_count: u64,
}

impl Record {
    /// Returns the run that consumers read: only with success (contract of consumers).
    pub fn authoritative_run(&self) -> Option<&RunId> {
        self.current_run_id.as_ref().filter(|_| self.status == Status::Success)
    }
}

/// A record with the key that it belongs to.
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

/// Whether a table was made or was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// It was made.
    Made,
    /// It was there, with every column of the contract.
    Found,
}

/// So many records are found at once at most (a statement's parameters are limited).
pub const FIND_AT_ONCE: usize = 1_000;

/// The authority: one record a logical partition.
///
/// Every method may fail with `Unavailable` (busy, or not to be reached), `Denied` (credentials,
/// permissions), `Invalid` (a setting, or a table that is not the contract's) and `Corrupt` (a
/// record that makes no sense).
#[async_trait]
pub trait PartitionState: fmt::Debug + Send + Sync {
    /// Makes the table where it is missing; one that is there is not changed. The first
    /// [`change`](Self::change) does the same by itself.
    async fn init(&self) -> Result<Table>;

    /// Returns a partition's record; `None` means pending.
    async fn get(&self, key: &PartitionKey) -> Result<Option<Record>>;

    /// Returns the records of these partitions that are there, in any order. A record that makes no sense is an error of its own, as in [`list`](Self::list). At most
    /// [`FIND_AT_ONCE`] partitions.
    ///
    /// # Errors
    /// `Invalid` for more.
    async fn find(&self, keys: &[PartitionKey]) -> Result<Vec<Result<Entry>>>;

    /// Returns the records that pass the filter, sorted by key. A record that makes no sense is an
    /// error of its own, `Corrupt`, which names it; the others are there all the same.
    async fn list(&self, filter: &Filter) -> Result<Vec<Result<Entry>>> {
        let mut entries = Vec::new();
        self.scan(filter, &mut |found| entries.push(found)).await?;
        Ok(entries)
    }

    /// Hands over what [`list`](Self::list) returns one after the other, so that memory does not grow
    /// with the number of records.
    async fn scan(
        &self,
        filter: &Filter,
        take: &mut (dyn FnMut(Result<Entry>) + Send),
    ) -> Result<()>;

    /// Reads the record, applies a change and writes, as one atomic step among all processes and
    /// hosts (G14). Returns the record as it is now; `None` where the change changed nothing.
    ///
    /// # Errors
    /// `Unknown` where the connection to the database was lost while the change was committed: it
    /// may have happened. Every other error means that it has not.
    async fn change(
        &self,
        key: &PartitionKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>>;

    /// Records a verdict: a [`change`](Self::change) that always changes something.
    async fn judge(&self, key: &PartitionKey, verdict: &Verdict, now: Timestamp) -> Result<Record> {
        let changed = self.change(key, &Change::Verdict(verdict.clone()), now).await?;
        changed.ok_or_else(|| Error::new(ErrorKind::Internal, "a verdict changed no record"))
    }
}

/// Checks how many records are to be found, and returns the parameters that name them.
fn wanted(keys: &[PartitionKey]) -> Result<Vec<Option<String>>> {
    if keys.len() > FIND_AT_ONCE {
        let message = format!("{} records are more than {FIND_AT_ONCE} at once", keys.len());
        return Err(Error::invalid(message));
    }
    Ok(keys.iter().flat_map(row::key_values).map(Some).collect())
}

/// Opens the state that the settings name. Touches nothing yet.
///
/// # Errors
/// `Invalid` for a URL that names no usable place.
pub fn open(settings: &Settings) -> Result<Box<dyn PartitionState>> {
    match &settings.state_url {
        StateUrl::Sqlite(path) => Ok(Box::new(SqliteState::new(path))),
        StateUrl::Postgres(postgres) => Ok(Box::new(PostgresState::new(postgres))),
    }
}
