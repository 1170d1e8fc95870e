//! The verdict log: what happened to each run, and which runs are due.
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

use super::{Record, Status, reason::is_reason_of};
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    pub(super) fn new(event: Event, run_id: Option<&RunId>, attempt: u64, now: Timestamp) -> Self {
        Self {
            run_id: run_id.cloned(),
            event,
            evidence: Evidence::default(),
            record_count: None,
            schema_version: None,
            reason: None,
            attempt,
            sink_uri: None,
            judged_at: Some(now),
            judged_by: None,
        }
    }
}

/// The record of a logical partition and its verdict log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    record: Option<Record>,
    /// `None` if the database has no log and this role cannot create it.
    log: Option<Vec<LogEntry>>,
}

/// What the log says of one run.
#[derive(Debug, Default)]
struct RunSummary {
    is_withdrawn: bool,
    /// The run was restored and has no verdict since.
    is_restored: bool,
    /// The run has a verdict, and neither a requeue nor a restore since.
    has_verdict: bool,
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

    /// Returns the newest verdict on a run, even if it does not count any more.
    pub fn verdict(&self, run: &RunId) -> Option<&LogEntry> {
        self.of_run(run).rfind(|entry| entry.event.is_verdict())
    }

    /// Returns the newest entry that says that a run passed.
    pub fn passed(&self, run: &RunId) -> Option<&LogEntry> {
        self.of_run(run).rfind(|entry| entry.event == Event::Passed)
    }

    /// Returns the runs of `sealed`, sorted by run id, that need a verdict, oldest first.
    ///
    /// A sealed run is due if it is not withdrawn, has no verdict since it was last requeued or
    /// restored, and
    ///
    /// - the record is pending or missing, or
    /// - the run was restored, or
    /// - the run is newer than the run that the record names.
    ///
    /// So each run is validated once, the newest run that passes has authority in the end, and a run
    /// that was superseded before it had a verdict needs none. Without a log the reason in the record
    /// is the only trace of a failure: runs up to the one it names count as validated.
    pub fn due<'runs>(&self, sealed: &'runs [RunId]) -> Vec<&'runs RunId> {
        let named = if self.log.is_none() {
            sealed.iter().rposition(|run| self.is_failure_in_record(run))
        } else {
            None
        };
        let open = named.map_or(sealed, |named| &sealed[named + 1..]);
        open.iter().filter(|run| self.is_due(run)).collect()
    }

    /// Returns whether a sealed run needs a verdict; see [`due`](Self::due).
    pub fn is_due(&self, run: &RunId) -> bool {
        let summary = self.summary(run);
        if summary.is_withdrawn || summary.has_verdict {
            return false;
        }
        match self.record.as_ref().filter(|record| record.status != Status::Pending) {
            None => true,
            Some(record) => {
                let current = record.current_run_id.as_ref();
                summary.is_restored || current.is_none_or(|current| run > current)
            }
        }
    }

    /// Returns whether other software set the record to pending, or deleted it, after our last verdict.
    pub(super) fn is_requeued_elsewhere(&self) -> bool {
        let is_pending = self.record.as_ref().is_none_or(|record| record.status == Status::Pending);
        is_pending && self.entries().last().is_some_and(|newest| newest.event.is_verdict())
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

    fn summary(&self, run: &RunId) -> RunSummary {
        if self.log.is_none() {
            return RunSummary {
                has_verdict: self.is_failure_in_record(run),
                ..RunSummary::default()
            };
        }
        let mut summary = RunSummary::default();
        for entry in self.entries() {
            match entry.event {
                Event::Requeued => summary.has_verdict = false,
                _ if entry.run_id.as_ref() != Some(run) => {}
                Event::Passed | Event::Failed => {
                    (summary.has_verdict, summary.is_restored) = (true, false);
                }
                Event::Withdrawn => (summary.is_withdrawn, summary.is_restored) = (true, false),
                Event::Restored => {
                    summary = RunSummary { is_restored: true, ..RunSummary::default() };
                }
            }
        }
        if self.is_requeued_elsewhere() {
            summary.has_verdict = false;
        }
        summary
    }

    /// Returns whether the record is not pending and holds the reason why this run failed.
    fn is_failure_in_record(&self, run: &RunId) -> bool {
        let record = self.record.as_ref().filter(|record| record.status != Status::Pending);
        let reason = record.and_then(|record| record.error_message.as_ref());
        reason.is_some_and(|reason| is_reason_of(reason, run))
    }

    fn of_run(&self, run: &RunId) -> impl DoubleEndedIterator<Item = &LogEntry> {
        self.entries().iter().filter(move |entry| entry.run_id.as_ref() == Some(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, Outcome, Verdict};

    fn runs(names: &[&str]) -> Vec<RunId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn record(status: Status, current: Option<&str>, reason: Option<&str>) -> Record {
        Record {
            status,
            current_run_id: current.map(|run| run.parse().unwrap()),
            error_message: reason.map(str::to_owned),
            ..Record::pending()
        }
    }

    fn entry(event: Event, run: Option<&str>) -> LogEntry {
        let run: Option<RunId> = run.map(|run| run.parse().unwrap());
        LogEntry::new(event, run.as_ref(), 0, Timestamp::UNIX_EPOCH)
    }

    fn due(record: Option<Record>, log: Option<Vec<LogEntry>>, sealed: &[RunId]) -> Vec<RunId> {
        History::new(record, log).due(sealed).into_iter().cloned().collect()
    }

    #[test]
    fn due_runs_for_every_kind_of_record_without_entries() {
        use Status::{Failed, Pending, Success};
        let sealed = runs(&["r1", "r2", "r3"]);
        let all = &["r1", "r2", "r3"][..];
        for (record, expected, without_log) in [
            (None, all, all),
            (Some(record(Pending, None, None)), all, all),
            (Some(record(Pending, Some("r1"), Some("run r3: bad"))), all, all),
            (Some(record(Success, Some("r1"), None)), &["r2", "r3"], &["r2", "r3"]),
            (Some(record(Success, Some("r3"), None)), &[], &[]),
            // A failure that only the record knows is judged once more, if a log will remember it.
            (Some(record(Success, Some("r1"), Some("run r2: bad"))), &["r2", "r3"], &["r3"]),
            (Some(record(Success, Some("r1"), Some("run r3: bad"))), &["r2", "r3"], &[]),
            (Some(record(Success, Some("r2"), Some("run r1: bad"))), &["r3"], &["r3"]),
            (Some(record(Failed, None, Some("run r1: bad"))), all, &["r2", "r3"]),
            (Some(record(Failed, None, Some("run r3: bad"))), all, &[]),
            (Some(record(Failed, None, Some("[terminal] run r3: bad"))), all, &[]),
            (Some(record(Failed, Some("r2"), Some("run r2: bad"))), &["r3"], &["r3"]),
            // The reason is from other software, or about a run that is not sealed.
            (Some(record(Failed, None, Some("bad"))), all, all),
            (Some(record(Failed, Some("r1"), Some("bad"))), &["r2", "r3"], &["r2", "r3"]),
            (Some(record(Failed, None, Some("run r9: not there"))), all, all),
            // The run that has authority is not in the storage.
            (Some(record(Success, Some("r2x"), None)), &["r3"], &["r3"]),
            (Some(record(Success, Some("r9"), None)), &[], &[]),
            (Some(record(Success, None, None)), all, all),
        ] {
            let found = due(record.clone(), Some(Vec::new()), &sealed);
            assert_eq!(found, runs(expected), "{record:?}");
            assert_eq!(due(record.clone(), None, &sealed), runs(without_log), "{record:?}");
        }
        assert_eq!(due(None, None, &[]), []);
    }

    #[test]
    fn due_runs_for_every_kind_of_entry() {
        use Event::{Failed, Passed, Requeued, Restored, Withdrawn};
        let sealed = runs(&["r1", "r2", "r3"]);
        let success = |current| Some(record(Status::Success, Some(current), None));
        let (failed, pending) =
            (Some(record(Status::Failed, None, None)), Some(record(Status::Pending, None, None)));
        let (r1, r2, r3) = (Some("r1"), Some("r2"), Some("r3"));
        for (record, log, expected) in [
            (success("r1"), vec![(Passed, r1), (Failed, r2)], &["r3"][..]),
            (failed.clone(), vec![(Failed, r3)], &["r1", "r2"]),
            (failed.clone(), vec![(Failed, r1), (Failed, r2), (Failed, r3)], &[]),
            // A run that was superseded without a verdict needs none.
            (success("r3"), vec![(Passed, r3)], &[]),
            // An operator set the record to pending, or other software did.
            (pending.clone(), vec![(Failed, r3), (Requeued, None)], &["r1", "r2", "r3"]),
            (pending.clone(), vec![(Failed, r3)], &["r1", "r2", "r3"]),
            (None, vec![(Passed, r3)], &["r1", "r2", "r3"]),
            (pending.clone(), vec![(Requeued, None), (Withdrawn, r3), (Failed, r1)], &["r1", "r2"]),
            // A withdrawal leaves no run that passed.
            (pending.clone(), vec![(Failed, r1), (Passed, r2), (Withdrawn, r2)], &["r3"]),
            (success("r1"), vec![(Passed, r1), (Passed, r2), (Withdrawn, r2)], &["r3"]),
            (success("r3"), vec![(Passed, r1), (Withdrawn, r1), (Restored, r1)], &["r1"]),
            (success("r3"), vec![(Withdrawn, r1), (Restored, r1), (Failed, r1)], &[]),
            (success("r3"), vec![(Withdrawn, r1), (Restored, r1), (Withdrawn, r1)], &[]),
        ] {
            let entries = log.iter().map(|(event, run)| entry(*event, *run)).collect();
            assert_eq!(
                due(record.clone(), Some(entries), &sealed),
                runs(expected),
                "{record:?} {log:?}"
            );
        }
    }

    #[test]
    fn run_ids_with_a_common_prefix_are_distinguished() {
        let failed = record(Status::Failed, None, Some("run r1: x: bad"));
        assert_eq!(due(Some(failed), None, &runs(&["r", "r1", "r1: x", "r2"])), runs(&["r2"]));
        let failed = record(Status::Failed, None, Some("run r10: bad"));
        assert_eq!(due(Some(failed), None, &runs(&["r1", "r10", "r2"])), runs(&["r2"]));
    }

    /// For all verdicts: validating the due runs ends with none due, and the newest run that passed has
    /// authority.
    #[test]
    fn validating_due_runs_gives_authority_to_the_newest_good_run() {
        let sealed = runs(&["r1", "r2", "r3", "r4"]);
        for (good, has_log) in (0..16_u8).flat_map(|good| [(good, true), (good, false)]) {
            let passes = |run: &RunId| {
                sealed.iter().position(|one| one == run).is_some_and(|at| good >> at & 1 == 1)
            };
            let mut history = History::new(None, has_log.then(Vec::new));
            let mut validated = Vec::new();
            // Validation happens after 2, 3 and 4 runs have landed.
            for landed in [2, 3, 4] {
                while let Some(run) = history.due(&sealed[..landed]).first().copied().cloned() {
                    let outcome = if passes(&run) {
                        Outcome::Passed { schema_version: None, record_count: 1 }
                    } else {
                        Outcome::Failed("bad".into())
                    };
                    let change = Change::VerdictIfDue(Verdict::new(run.clone(), outcome));
                    let effect = change.apply(&history, Timestamp::UNIX_EPOCH).unwrap();
                    history.set_record(effect.record);
                    effect.entries.into_iter().for_each(|entry| history.append(entry));
                    validated.push(run);
                }
            }
            let record = history.record().unwrap();
            assert_eq!(validated, sealed, "each once, oldest first");
            assert_eq!(record.attempt_count, 4);
            let newest = sealed.iter().rev().find(|run| passes(run));
            assert_eq!(record.authoritative_run(), newest, "{good:04b}");
        }
    }
}
