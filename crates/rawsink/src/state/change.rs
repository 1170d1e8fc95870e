//! What may change a record: a verdict, or an operator's explicit command (G12).

use jiff::Timestamp;

use super::{Event, History, LogEntry, Outcome, Record, Status, Verdict, transition::transition};
use crate::partition::RunId;

/// A change of one logical partition. No other exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A validator's verdict, see [`transition`]. Changes nothing if the run is withdrawn.
    Verdict(Verdict),
    /// As [`Verdict`](Self::Verdict), but changes nothing if the run is no longer
    /// [due](History::due).
    VerdictIfDue(Verdict),
    /// An operator's command: sets a failed record to pending and keeps any other. Run, reason and
    /// attempts are kept. A record with a [mark](Record::mark) of other software is kept.
    Retry,
    /// As [`Retry`](Self::Retry), also for a record with a mark.
    RetryMarked,
    /// An operator's command: creates a pending record if none exists.
    Backfill,
    /// A record that other software decided: it is stored as given, except that the attempts never
    /// decrease. The log has no digests for it, unless the run passed with as many rows before. Changes nothing
    /// if it gives authority to a withdrawn run.
    Store(Record),
    /// An operator's command: no consumer may read this run.
    Withdraw {
        /// The run.
        run_id: RunId,
        /// Why.
        reason: String,
    },
    /// An operator's command: ends the withdrawal of this run, which is due then.
    Restore {
        /// The run.
        run_id: RunId,
    },
}

/// What a change does: the record after it, and the new entries of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The record after the change.
    pub record: Record,
    /// The entries to append, in their order.
    pub entries: Vec<LogEntry>,
}

impl Change {
    /// Returns what the change does; `None` if it changes nothing.
    ///
    /// If other software set the record to pending since the newest entry, the first new entry says so.
    pub fn apply(&self, history: &History, now: Timestamp) -> Option<Effect> {
        let mut effect = self.effect(history, now)?;
        if history.situation().is_requeued_elsewhere() && !effect.entries.is_empty() {
            let before = history.record().cloned().unwrap_or_else(Record::pending);
            effect.entries.insert(0, LogEntry::new(Event::Requeued, None, &before, now));
        }
        Some(effect)
    }

    fn effect(&self, history: &History, now: Timestamp) -> Option<Effect> {
        let previous = history.record();
        match self {
            Self::VerdictIfDue(verdict) if !history.is_due(&verdict.run_id) => None,
            Self::Verdict(verdict) | Self::VerdictIfDue(verdict) => {
                apply_verdict(history, verdict, now)
            }
            Self::Retry if previous.is_some_and(|record| record.mark().is_some()) => None,
            Self::Retry | Self::RetryMarked => {
                let failed = previous.filter(|record| record.status == Status::Failed)?.clone();
                let record = Record { status: Status::Pending, updated_at: Some(now), ..failed };
                let entry = LogEntry::new(Event::Requeued, None, &record, now);
                Some(Effect { record, entries: vec![entry] })
            }
            Self::Backfill if previous.is_some() => None,
            Self::Backfill => Some(Effect { record: pending_since(now), entries: Vec::new() }),
            Self::Store(record) => {
                let is_withdrawn = |run| history.withdrawal(run).is_some();
                let refused = record.authoritative_run().is_some_and(is_withdrawn);
                (!refused).then(|| store(history, record, now))
            }
            Self::Withdraw { run_id, .. } if history.is_withdrawn_and_unnamed(run_id) => None,
            Self::Withdraw { run_id, reason } => {
                let record = without(history, run_id, now);
                let entry = LogEntry::new(Event::Withdrawn, Some(run_id), &record, now);
                let entry = LogEntry { reason: Some(reason.clone()), ..entry };
                Some(Effect { record, entries: vec![entry] })
            }
            Self::Restore { run_id } => {
                history.withdrawal(run_id)?;
                let record = previous.cloned().unwrap_or_else(|| pending_since(now));
                let entry = LogEntry::new(Event::Restored, Some(run_id), &record, now);
                Some(Effect { record, entries: vec![entry] })
            }
        }
    }

    /// Returns whether the change needs the log: without one it cannot be remembered.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
    pub(super) fn needs_log(&self) -> bool {
        matches!(self, Self::Withdraw { .. } | Self::Restore { .. })
    }
}

/// Returns the record that the entries of a log lead to; `None` without an entry.
///
/// This is the record of a partition that only this software changed, and that was not created by a
/// backfill or [stored](Change::Store).
pub fn replay(entries: &[LogEntry]) -> Option<Record> {
    let mut history = History::new(None, Some(Vec::new()));
    for entry in entries {
        let now = entry.judged_at.unwrap_or_default();
        let previous = history.record();
        let record = match (entry.event, &entry.run_id) {
            (Event::Passed | Event::Failed, Some(run_id)) => {
                transition(previous, &verdict_of(run_id, entry), now)
            }
            (Event::Withdrawn, Some(run_id)) => without(&history, run_id, now),
            (Event::Requeued, _) => {
                let record = previous.cloned().unwrap_or_else(Record::pending);
                Record { status: Status::Pending, updated_at: Some(now), ..record }
            }
            _ => previous.cloned().unwrap_or_else(|| pending_since(now)),
        };
        let record = Record { attempt_count: entry.attempt, ..record };
        history.set_record(record);
        history.append(entry.clone());
    }
    history.record().cloned()
}

fn apply_verdict(history: &History, verdict: &Verdict, now: Timestamp) -> Option<Effect> {
    let run_id = &verdict.run_id;
    if history.withdrawal(run_id).is_some() {
        return None;
    }
    let record = transition(history.record(), verdict, now);
    let entry = |event| LogEntry {
        evidence: verdict.evidence.clone(),
        ..LogEntry::new(event, Some(run_id), &record, now)
    };
    let entry = match &verdict.outcome {
        Outcome::Passed { schema_version, record_count } => LogEntry {
            schema_version: schema_version.clone(),
            record_count: Some(*record_count),
            ..entry(Event::Passed)
        },
        Outcome::Failed(reason) => {
            LogEntry { reason: Some(reason.clone()), ..entry(Event::Failed) }
        }
    };
    Some(Effect { record, entries: vec![entry] })
}

/// Stores a record that other software decided.
fn store(history: &History, given: &Record, now: Timestamp) -> Effect {
    let attempts = history.record().map_or(0, |previous| previous.attempt_count);
    let record = Record { attempt_count: given.attempt_count.max(attempts), ..given.clone() };
    let run = record.current_run_id.as_ref();
    let entry = match (record.status, run) {
        (Status::Success, Some(run)) => {
            let known =
                history.passed(run).filter(|entry| entry.record_count == record.record_count);
            Some(LogEntry {
                evidence: known.map(|entry| entry.evidence.clone()).unwrap_or_default(),
                record_count: record.record_count,
                schema_version: record.schema_version.clone(),
                ..LogEntry::new(Event::Passed, Some(run), &record, now)
            })
        }
        (Status::Failed, Some(run)) => Some(LogEntry {
            reason: record.error_message.clone(),
            ..LogEntry::new(Event::Failed, Some(run), &record, now)
        }),
        (Status::Pending, _) => Some(LogEntry::new(Event::Requeued, None, &record, now)),
        // A verdict names a run.
        (_, None) => None,
    };
    Effect { record, entries: entry.into_iter().collect() }
}

fn verdict_of(run_id: &RunId, entry: &LogEntry) -> Verdict {
    let outcome = if entry.event == Event::Passed {
        Outcome::Passed {
            schema_version: entry.schema_version.clone(),
            record_count: entry.record_count.unwrap_or_default(),
        }
    } else {
        Outcome::Failed(entry.reason.clone().unwrap_or_default())
    };
    Verdict::new(run_id.clone(), outcome)
}

/// Returns the record after the withdrawal of a run.
fn without(history: &History, run_id: &RunId, now: Timestamp) -> Record {
    let Some(record) = history.record().cloned() else { return pending_since(now) };
    if record.current_run_id.as_ref() != Some(run_id) {
        return record;
    }
    let record = Record {
        status: Status::Pending,
        current_run_id: None,
        schema_version: None,
        record_count: None,
        updated_at: Some(now),
        ..record
    };
    match history.successor(run_id) {
        None => record,
        Some(successor) => Record {
            status: Status::Success,
            current_run_id: successor.run_id.clone(),
            schema_version: successor.schema_version.clone(),
            record_count: successor.record_count,
            ..record
        },
    }
}

fn pending_since(now: Timestamp) -> Record {
    Record { updated_at: Some(now), ..Record::pending() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: Status) -> Record {
        Record {
            status,
            current_run_id: Some("r1".parse().unwrap()),
            schema_version: Some("v1".into()),
            record_count: Some(7),
            updated_at: Some(Timestamp::UNIX_EPOCH),
            error_message: Some("run r1: bad".into()),
            attempt_count: 5,
        }
    }

    fn with(record: Option<Record>) -> History {
        History::new(record, Some(Vec::new()))
    }

    fn now() -> Timestamp {
        "2024-06-04T00:00:00Z".parse().unwrap()
    }

    fn events(effect: &Effect) -> Vec<Event> {
        effect.entries.iter().map(|entry| entry.event).collect()
    }

    #[test]
    fn retry_sets_failed_to_pending_and_keeps_the_rest() {
        let retried = Change::Retry.apply(&with(Some(record(Status::Failed))), now()).unwrap();
        let expected = Record { updated_at: Some(now()), ..record(Status::Pending) };
        assert_eq!((events(&retried), retried.record), (vec![Event::Requeued], expected));
    }

    #[test]
    fn g13_retry_keeps_success() {
        for previous in [None, Some(record(Status::Success)), Some(record(Status::Pending))] {
            for change in [Change::Retry, Change::RetryMarked] {
                assert_eq!(change.apply(&with(previous.clone()), now()), None, "{previous:?}");
            }
        }
    }

    #[test]
    fn retry_keeps_a_mark_of_other_software() {
        let marked = "[terminal] no such customer".to_owned();
        let failed = Record { error_message: Some(marked), ..record(Status::Failed) };
        assert_eq!(failed.mark(), Some("[terminal]"));
        assert_eq!(Change::Retry.apply(&with(Some(failed.clone())), now()), None);
        let retried = Change::RetryMarked.apply(&with(Some(failed)), now()).unwrap().record;
        assert_eq!((retried.status, retried.mark()), (Status::Pending, Some("[terminal]")));
    }

    #[test]
    fn backfill_creates_missing_records_and_changes_no_other() {
        let created = Change::Backfill.apply(&with(None), now()).unwrap();
        assert_eq!(created.record, Record { updated_at: Some(now()), ..Record::pending() });
        for status in [Status::Pending, Status::Success, Status::Failed] {
            assert_eq!(Change::Backfill.apply(&with(Some(record(status))), now()), None);
        }
    }

    #[test]
    fn verdict_applies_the_transition() {
        let outcome = Outcome::Failed("bad".into());
        let verdict = Verdict::new("r1".parse().unwrap(), outcome);
        let previous = record(Status::Success);
        let changed = Change::Verdict(verdict.clone()).apply(&with(Some(previous.clone())), now());
        assert_eq!(changed.unwrap().record, transition(Some(&previous), &verdict, now()));
    }
}
