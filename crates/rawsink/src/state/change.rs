//! The changes of a record: a verdict, or an operator's explicit command (G12).

use jiff::Timestamp;

use super::{Record, Status, Verdict, transition};

/// A change of one logical partition's record. No other exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A validator's verdict, see [`transition`].
    Verdict(Verdict),
    /// An operator's command: sets a failed record to pending and keeps any other. Run, reason and
    /// attempts are kept.
    Retry,
    /// An operator's command: creates a pending record if none exists.
    Backfill,
}

impl Change {
    /// Returns the record after the change; `None` if it changes nothing.
    pub fn apply(&self, previous: Option<&Record>, now: Timestamp) -> Option<Record> {
        match self {
            Self::Verdict(verdict) => Some(transition(previous, verdict, now)),
            Self::Retry => {
                let failed = previous.filter(|record| record.status == Status::Failed)?;
                let updated_at = Some(now);
                Some(Record { status: Status::Pending, updated_at, ..failed.clone() })
            }
            Self::Backfill if previous.is_some() => None,
            Self::Backfill => Some(Record { updated_at: Some(now), ..Record::pending() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Outcome;

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

    fn now() -> Timestamp {
        "2024-06-04T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn retry_sets_failed_to_pending_and_keeps_the_rest() {
        let retried = Change::Retry.apply(Some(&record(Status::Failed)), now()).unwrap();
        let expected = Record { updated_at: Some(now()), ..record(Status::Pending) };
        assert_eq!(retried, expected);
    }

    #[test]
    fn g13_retry_keeps_success() {
        for previous in [None, Some(record(Status::Success)), Some(record(Status::Pending))] {
            assert_eq!(Change::Retry.apply(previous.as_ref(), now()), None, "{previous:?}");
        }
    }

    #[test]
    fn backfill_creates_missing_records_and_changes_no_other() {
        let created = Change::Backfill.apply(None, now()).unwrap();
        assert_eq!(created, Record { updated_at: Some(now()), ..Record::pending() });
        for status in [Status::Pending, Status::Success, Status::Failed] {
            assert_eq!(Change::Backfill.apply(Some(&record(status)), now()), None);
        }
    }

    #[test]
    fn verdict_applies_the_transition() {
        let outcome = Outcome::Failed("bad".into());
        let verdict = Verdict { run_id: "r1".parse().unwrap(), outcome };
        let previous = record(Status::Success);
        let changed = Change::Verdict(verdict.clone()).apply(Some(&previous), now());
        assert_eq!(changed, Some(transition(Some(&previous), &verdict, now())));
    }
}
