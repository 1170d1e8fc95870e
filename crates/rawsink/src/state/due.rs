//! Selects the sealed runs of a logical partition that need a verdict.

use super::{Record, Status, transition::is_reason_of};
use crate::partition::RunId;

/// Returns the runs of `sealed`, sorted by run id, that need a verdict, oldest first.
///
/// | record | due runs |
/// |---|---|
/// | none, or pending | every sealed run |
/// | success or failed | every sealed run newer than both the run that the record names and the run in its `error_message` |
///
/// The record holds one verdict, not all of them, so runs are validated oldest first. A run that is
/// not newer than the last validated one has been validated, or has been skipped. If the newest run
/// passes, it gets authority. If it fails, the newest run that passed before keeps authority, and the
/// record gets the reason. Every verdict removes a run from the result, so a loop over it ends. A
/// failed run is validated again after an operator sets the record to pending.
pub fn due<'runs>(record: Option<&Record>, sealed: &'runs [RunId]) -> &'runs [RunId] {
    let Some(record) = record.filter(|record| record.status != Status::Pending) else {
        return sealed;
    };
    let validated = |run: &RunId| {
        record.current_run_id.as_ref().is_some_and(|current| run <= current)
            || record.error_message.as_ref().is_some_and(|reason| is_reason_of(reason, run))
    };
    let last = sealed.iter().rposition(validated);
    &sealed[last.map_or(0, |last| last + 1)..]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::state::{Outcome, Verdict, transition};

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

    #[test]
    fn due_runs_for_every_kind_of_record() {
        use Status::{Failed, Pending, Success};
        let sealed = runs(&["r1", "r2", "r3"]);
        for (record, expected) in [
            (None, &["r1", "r2", "r3"][..]),
            (Some(record(Pending, None, None)), &["r1", "r2", "r3"]),
            // An operator set it to pending: the failed run is validated again.
            (Some(record(Pending, Some("r1"), Some("run r3: bad"))), &["r1", "r2", "r3"]),
            (Some(record(Success, Some("r1"), None)), &["r2", "r3"]),
            (Some(record(Success, Some("r3"), None)), &[]),
            // A newer run failed; the older one keeps authority.
            (Some(record(Success, Some("r1"), Some("run r2: bad"))), &["r3"]),
            (Some(record(Success, Some("r1"), Some("run r3: bad"))), &[]),
            // An older run was validated late.
            (Some(record(Success, Some("r2"), Some("run r1: bad"))), &["r3"]),
            (Some(record(Failed, None, Some("run r1: bad"))), &["r2", "r3"]),
            (Some(record(Failed, None, Some("run r3: bad"))), &[]),
            (Some(record(Failed, Some("r2"), Some("run r2: bad"))), &["r3"]),
            (Some(record(Failed, Some("r2"), Some("run r1: bad"))), &["r3"]),
            // The reason is from other software, or about a run that is not sealed.
            (Some(record(Failed, None, Some("bad"))), &["r1", "r2", "r3"]),
            (Some(record(Failed, None, None)), &["r1", "r2", "r3"]),
            (Some(record(Failed, Some("r1"), Some("bad"))), &["r2", "r3"]),
            (Some(record(Failed, None, Some("run r9: not there"))), &["r1", "r2", "r3"]),
            // The run that has authority is not in the storage.
            (Some(record(Success, Some("r2x"), None)), &["r3"]),
            (Some(record(Success, Some("r9"), None)), &[]),
            (Some(record(Success, None, None)), &["r1", "r2", "r3"]),
        ] {
            assert_eq!(due(record.as_ref(), &sealed), runs(expected), "{record:?}");
        }
        assert_eq!(due(None, &[]), []);
    }

    #[test]
    fn run_ids_with_a_common_prefix_are_distinguished() {
        let failed = record(Status::Failed, None, Some("run r1: x: bad"));
        assert_eq!(due(Some(&failed), &runs(&["r", "r1", "r1: x", "r2"])), runs(&["r2"]));
        let failed = record(Status::Failed, None, Some("run r10: bad"));
        assert_eq!(due(Some(&failed), &runs(&["r1", "r10", "r2"])), runs(&["r2"]));
    }

    /// For all verdicts: validating the due runs ends with none due, and the newest run that passed has
    /// authority.
    #[test]
    fn validating_due_runs_gives_authority_to_the_newest_good_run() {
        let sealed = runs(&["r1", "r2", "r3", "r4"]);
        for good in 0..16_u8 {
            let passes = |run: &RunId| {
                sealed.iter().position(|one| one == run).is_some_and(|at| good >> at & 1 == 1)
            };
            let mut record: Option<Record> = None;
            let mut validated = Vec::new();
            // Validation happens after 2, 3 and 4 runs have landed.
            for landed in [2, 3, 4] {
                while let Some(run) = due(record.as_ref(), &sealed[..landed]).first() {
                    let outcome = if passes(run) {
                        Outcome::Passed { schema_version: None, record_count: 1 }
                    } else {
                        Outcome::Failed("bad".into())
                    };
                    let verdict = Verdict { run_id: run.clone(), outcome };
                    record = Some(transition(record.as_ref(), &verdict, Timestamp::UNIX_EPOCH));
                    validated.push(run.clone());
                }
            }
            let record = record.unwrap();
            assert_eq!(validated, sealed, "each once, oldest first");
            assert_eq!(record.attempt_count, 4);
            let newest = sealed.iter().rev().find(|run| passes(run));
            assert_eq!(record.authoritative_run(), newest, "{good:04b}");
        }
    }
}
