//! Applies a verdict to a record: one pure function for every backend.

use jiff::Timestamp;

use super::{Evidence, Record, Status, reason::about};
use crate::partition::RunId;

/// The result of validating a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The run that was validated.
    pub run_id: RunId,
    /// Whether it passed.
    pub outcome: Outcome,
    /// The bytes that were validated.
    pub evidence: Evidence,
}

impl Verdict {
    /// Creates a verdict without evidence.
    pub fn new(run_id: RunId, outcome: Outcome) -> Self {
        Self { run_id, outcome, evidence: Evidence::default() }
    }

    /// Sets the bytes that were validated.
    #[must_use]
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }
}

/// Whether a run passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The run is complete and correct.
    Passed {
        /// The schema version in its metadata.
        schema_version: Option<String>,
        /// Number of its rows.
        record_count: u64,
    },
    /// The run must not be read, for this reason.
    Failed(String),
}

/// Returns the record after a verdict.
///
/// | previous record | the run passed | the run failed |
/// |---|---|---|
/// | success, a newer run | kept | kept (with the reason) |
/// | success, the same run | success, that run | failed, the named run is kept |
/// | success, an older run | success, that run | kept (with the reason) |
/// | failed, pending or none | success, that run | failed, the named run is kept |
///
/// "Kept" applies to status, run, schema version and record count (G13). Every verdict adds one
/// attempt and sets `updated_at`. It sets `error_message` to the reason of a failure, after the
/// [mark](Record::mark) of other software if there is one, and clears it when the run passed.
pub fn transition(previous: Option<&Record>, verdict: &Verdict, now: Timestamp) -> Record {
    let run = &verdict.run_id;
    let authority = previous.and_then(Record::authoritative_run);
    let mut next = previous.cloned().unwrap_or_else(Record::pending);
    match &verdict.outcome {
        Outcome::Passed { schema_version, record_count } => {
            next.error_message = None;
            if authority.is_none_or(|current| current <= run) {
                next.status = Status::Success;
                next.current_run_id = Some(run.clone());
                next.schema_version.clone_from(schema_version);
                next.record_count = Some(*record_count);
            }
        }
        Outcome::Failed(reason) => {
            let mark = next.mark().map(|mark| format!("{mark} ")).unwrap_or_default();
            next.error_message = Some(format!("{mark}{}{reason}", about(run)));
            if authority.is_none_or(|current| current == run) {
                next.status = Status::Failed;
            }
        }
    }
    next.updated_at = Some(now);
    next.attempt_count += 1;
    next
}

impl Record {
    /// Returns the record that a missing record stands for.
    pub fn pending() -> Self {
        Self {
            status: Status::Pending,
            current_run_id: None,
            schema_version: None,
            record_count: None,
            updated_at: None,
            error_message: None,
            attempt_count: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "2024-06-01T00:00:00.000Z";
    const MID: &str = "2024-06-02T00:00:00.000Z";
    const NEW: &str = "2024-06-03T00:00:00.000Z";

    fn record(status: Status, run: Option<&str>) -> Record {
        Record {
            status,
            current_run_id: run.map(|run| run.parse().unwrap()),
            schema_version: run.map(|_| "v0".to_owned()),
            record_count: run.map(|_| 7),
            updated_at: Some(Timestamp::UNIX_EPOCH),
            error_message: (status == Status::Failed).then(|| "run x: earlier".to_owned()),
            attempt_count: 5,
        }
    }

    fn judge(previous: Option<&Record>, passed: bool) -> Record {
        let outcome = if passed {
            Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 }
        } else {
            Outcome::Failed("bad".into())
        };
        let now = "2024-06-04T00:00:00Z".parse().unwrap();
        let verdict = Verdict::new(MID.parse().unwrap(), outcome);
        let next = transition(previous, &verdict, now);
        assert_eq!(next.updated_at, Some(now));
        assert_eq!(next.attempt_count, previous.map_or(0, |record| record.attempt_count) + 1);
        assert_eq!(next.error_message, (!passed).then(|| format!("run {MID}: bad")));
        next
    }

    /// Returns status, run and record count, and checks that the last two travel together.
    fn shown(record: &Record) -> (&'static str, Option<&str>, Option<u64>) {
        let schema = record.schema_version.as_deref();
        assert_eq!(schema, record.record_count.map(|rows| if rows == 7 { "v0" } else { "v1" }));
        (
            record.status.as_str(),
            record.current_run_id.as_ref().map(RunId::as_str),
            record.record_count,
        )
    }

    #[test]
    fn g13_every_transition() {
        use Status::{Failed, Pending, Success};
        let taken = ("success", Some(MID), Some(3));
        let none_failed = ("failed", None, None);
        for (previous, passed, failed) in [
            (None, taken, none_failed),
            (Some(record(Pending, None)), taken, none_failed),
            (Some(record(Pending, Some(OLD))), taken, ("failed", Some(OLD), Some(7))),
            (Some(record(Pending, Some(MID))), taken, ("failed", Some(MID), Some(7))),
            (Some(record(Pending, Some(NEW))), taken, ("failed", Some(NEW), Some(7))),
            (Some(record(Failed, None)), taken, none_failed),
            (Some(record(Failed, Some(OLD))), taken, ("failed", Some(OLD), Some(7))),
            (Some(record(Failed, Some(MID))), taken, ("failed", Some(MID), Some(7))),
            (Some(record(Failed, Some(NEW))), taken, ("failed", Some(NEW), Some(7))),
            (Some(record(Success, None)), taken, none_failed),
            (Some(record(Success, Some(OLD))), taken, ("success", Some(OLD), Some(7))),
            (Some(record(Success, Some(MID))), taken, ("failed", Some(MID), Some(7))),
            (
                Some(record(Success, Some(NEW))),
                ("success", Some(NEW), Some(7)),
                ("success", Some(NEW), Some(7)),
            ),
        ] {
            assert_eq!(shown(&judge(previous.as_ref(), true)), passed, "passed after {previous:?}");
            assert_eq!(
                shown(&judge(previous.as_ref(), false)),
                failed,
                "failed after {previous:?}"
            );
        }
    }
}
