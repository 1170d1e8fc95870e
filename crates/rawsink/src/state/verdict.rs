//! The verdict log: what happened to each run.
//!
//! Beside `partition_state` stands a table of our own, `run_verdict`: append only, ordered by `seq`. It
//! never gives authority; the record alone does. It binds a verdict to the bytes that were validated
//! (G19), and it remembers every run, where a record remembers one.
//!
//! | event | entry | record |
//! |---|---|---|
//! | a run passed or failed | `passed`, `failed` | see [`transition`](super::transition) |
//! | an operator withdrew the run that the record names | `withdrawn` | the newest other run whose last verdict is `passed` gets authority; without one: pending, without a run |
//! | an operator withdrew another run | `withdrawn` | kept |
//! | an operator restored a withdrawn run | `restored` | kept; the run is due |
//! | an operator set a failed record to pending | `requeued`, for all runs | pending |
//! | other software set the record to pending or deleted it | `requeued`, before the next verdict | kept |
//! | other software recorded a success | none | kept |

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::Serialize;

use super::{Record, Status};
use crate::{
    error::{Error, Result},
    partition::RunId,
};

/// What a log entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The run was validated and passed.
    Passed,
    /// The run was validated and failed.
    Failed,
    /// An operator withdrew the run: it must not be read.
    Withdrawn,
    /// An operator restored the withdrawn run: it is due.
    Restored,
    /// All runs of the partition need a new verdict.
    Requeued,
}

impl Event {
    const ALL: [Self; 5] =
        [Self::Passed, Self::Failed, Self::Withdrawn, Self::Restored, Self::Requeued];

    /// Returns the event as the table stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Restored => "restored",
            Self::Requeued => "requeued",
        }
    }

    fn is_verdict(self) -> bool {
        matches!(self, Self::Passed | Self::Failed)
    }
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|event| event.as_str() == text);
        known.ok_or_else(|| Error::invalid(format!("unknown verdict {text:?}")))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The bytes that a validation read. A field is `None` if they could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[non_exhaustive]
pub struct Evidence {
    /// SHA-256 of `metadata.json`, 64 lower-case hex digits.
    pub seal_sha256: Option<String>,
    /// Length of `metadata.json` in bytes.
    pub seal_bytes: Option<u64>,
    /// Token of the attempt that sealed the run; `None` if other software sealed it.
    pub seal_writer: Option<String>,
    /// SHA-256 of the payload, 64 lower-case hex digits.
    pub payload_sha256: Option<String>,
    /// Length of the payload in bytes.
    pub payload_bytes: Option<u64>,
}

/// One entry of the verdict log, without its partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// The run; `None` for all runs of the partition.
    pub run_id: Option<RunId>,
    /// What happened.
    #[serde(rename = "verdict")]
    pub event: Event,
    /// The bytes that were validated.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Number of rows of a run that passed.
    pub record_count: Option<u64>,
    /// The schema version in the metadata of a run that passed.
    pub schema_version: Option<String>,
    /// Why the run failed, or why an operator withdrew it.
    pub reason: Option<String>,
    /// The `attempt_count` of the record after the event.
    pub attempt: u64,
    /// The status of the record after the event.
    pub status: Status,
    /// URI of the sink that was validated.
    pub sink_uri: Option<String>,
    /// When it happened, by the clock of the host; `None` if other software changed it to a value that
    /// is not a time.
    pub judged_at: Option<Timestamp>,
    /// The host on which it happened.
    pub judged_by: Option<String>,
}

impl LogEntry {
    /// Creates the entry of an event.
    pub(super) fn new(
        event: Event,
        run_id: Option<&RunId>,
        after: &Record,
        now: Timestamp,
    ) -> Self {
        Self {
            run_id: run_id.cloned(),
            event,
            evidence: Evidence::default(),
            record_count: None,
            schema_version: None,
            reason: None,
            attempt: after.attempt_count,
            status: after.status,
            sink_uri: None,
            judged_at: Some(now),
            judged_by: None,
        }
    }
}

/// The record of a logical partition and its verdict log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct History {
    record: Option<Record>,
    /// `None` if the database has no log and this role cannot create it.
    log: Option<Vec<LogEntry>>,
}

impl History {
    /// Combines a record and the entries of its log, oldest first; `None` without a log.
    pub fn new(record: Option<Record>, log: Option<Vec<LogEntry>>) -> Self {
        Self { record, log }
    }

    /// Returns the record; `None` means pending.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Returns the entries of the log, oldest first.
    pub fn entries(&self) -> &[LogEntry] {
        self.log.as_deref().unwrap_or_default()
    }

    /// Returns whether the database keeps a log, or can keep one.
    pub fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Returns the withdrawal of a run that is withdrawn.
    pub fn withdrawal(&self, run: &RunId) -> Option<&LogEntry> {
        let mut decisions = self.of_run(run).filter(|entry| !entry.event.is_verdict());
        decisions.next_back().filter(|entry| entry.event == Event::Withdrawn)
    }

    /// Returns the withdrawn run that was withdrawn last, with its withdrawal.
    pub fn newest_withdrawal(&self) -> Option<(&RunId, &LogEntry)> {
        let withdrawals =
            self.entries().iter().rev().filter(|entry| entry.event == Event::Withdrawn);
        withdrawals
            .filter_map(|entry| entry.run_id.as_ref())
            .find_map(|run| self.withdrawal(run).map(|entry| (run, entry)))
    }

    /// Returns whether a run is withdrawn, and the record does not name it. The record may name a withdrawn
    /// run if other software wrote it since.
    pub fn is_withdrawn_and_unnamed(&self, run: &RunId) -> bool {
        let named = self.record().and_then(|record| record.current_run_id.as_ref());
        self.withdrawal(run).is_some() && named != Some(run)
    }

    /// Returns the newest verdict on a run, even if it does not count any more.
    pub fn verdict(&self, run: &RunId) -> Option<&LogEntry> {
        self.of_run(run).rfind(|entry| entry.event.is_verdict())
    }

    /// Returns the newest entry that says that a run passed.
    pub fn passed(&self, run: &RunId) -> Option<&LogEntry> {
        self.of_run(run).rfind(|entry| entry.event == Event::Passed)
    }

    /// Returns the newest passed entry among all runs but `except`: the run that gets authority if
    /// `except` loses it.
    pub(super) fn successor(&self, except: &RunId) -> Option<&LogEntry> {
        let runs = self.entries().iter().filter_map(|entry| entry.run_id.as_ref());
        let others = runs.filter(|run| *run != except && self.withdrawal(run).is_none());
        let passed =
            others.filter_map(|run| self.verdict(run).filter(|entry| entry.event == Event::Passed));
        passed.max_by(|one, other| one.run_id.cmp(&other.run_id))
    }

    /// Sets the record.
    pub fn set_record(&mut self, record: Record) {
        self.record = Some(record);
    }

    /// Appends an entry to the log, if there is one.
    pub fn append(&mut self, entry: LogEntry) {
        if let Some(log) = &mut self.log {
            log.push(entry);
        }
    }

    fn of_run(&self, run: &RunId) -> impl DoubleEndedIterator<Item = &LogEntry> {
        self.entries().iter().filter(move |entry| entry.run_id.as_ref() == Some(run))
    }
}
