//! What may happen to a record: a verdict, or an operator's explicit command (G12).

use jiff::Timestamp;

use super::{Record, Status, Verdict, transition};

/// A change of one logical partition's record. No other exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A validator's verdict, see [`transition`].
    Verdict(Verdict),
    /// An operator's command: a record that says failed becomes pending, any other stays. Run,
    /// reason and attempts are kept.
    Retry,
    /// An operator's command: where there is no record, one is made that says pending.
    Backfill,
}

impl Change {
    /// Returns the record after the change; `None` where it changes nothing.
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
    fn a_retry_makes_failed_pending_and_keeps_the_rest() {
        let retried = Change::Retry.apply(Some(&record(Status::Failed)), now()).unwrap();
        let expected = Record { updated_at: Some(now()), ..record(Status::Pending) };
        assert_eq!(retried, expected);
    }

    #[test]
    fn g13_a_retry_takes_no_success_away() {
        for previous in [None, Some(record(Status::Success)), Some(record(Status::Pending))] {
            assert_eq!(Change::Retry.apply(previous.as_ref(), now()), None, "{previous:?}");
        }
    }

    #[test]
    fn a_backfill_makes_what_is_missing_and_touches_nothing_else() {
        let made = Change::Backfill.apply(None, now()).unwrap();
        assert_eq!(made, Record { updated_at: Some(now()), ..Record::pending() });
        for status in [Status::Pending, Status::Success, Status::Failed] {
            assert_eq!(Change::Backfill.apply(Some(&record(status)), now()), None);
        }
    }

    #[test]
    fn a_verdict_is_the_transition() {
        let outcome = Outcome::Failed("bad".into());
        let verdict = Verdict { run_id: "r1".parse().unwrap(), outcome };
        let previous = record(Status::Success);
        let changed = Change::Verdict(verdict.clone()).apply(Some(&previous), now());
        assert_eq!(changed, Some(transition(Some(&previous), &verdict, now())));
    }
}
