//! Which sealed runs of a logical partition wait for a verdict.

use super::{Record, Status, transition::is_reason_of};
use crate::key::RunId;

/// Returns the runs that wait for a verdict, oldest first, of all sealed ones, sorted by run id.
///
/// | record | what waits |
/// |---|---|
/// | none, or pending | every sealed run |
/// | success or failed | every sealed run newer than both the run that the record names and the one whose failure it tells |
///
/// The record remembers one verdict, not all of them, so runs are judged oldest first: then
/// whatever is not newer than the last one judged has been judged, too, or has been passed over.
/// A success of the newest ends with it in authority, a failure with the newest one that passed
/// before, and the reason. A verdict on a run, whichever it is, makes it wait no longer, so that
/// repeating ends; what failed is judged again when an operator sets it back to pending.
pub fn due<'runs>(record: Option<&Record>, sealed: &'runs [RunId]) -> &'runs [RunId] {
    let Some(record) = record.filter(|record| record.status != Status::Pending) else {
        return sealed;
    };
    let judged = |run: &RunId| {
        record.current_run_id.as_ref().is_some_and(|current| run <= current)
            || record.error_message.as_ref().is_some_and(|told| is_reason_of(told, run))
    };
    let last = sealed.iter().rposition(judged);
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

    fn record(status: Status, current: Option<&str>, told: Option<&str>) -> Record {
        Record {
            status,
            current_run_id: current.map(|run| run.parse().unwrap()),
            error_message: told.map(str::to_owned),
            ..Record::pending()
        }
    }

    #[test]
    fn the_whole_table_of_what_waits() {
        use Status::{Failed, Pending, Success};
        let sealed = runs(&["r1", "r2", "r3"]);
        for (record, expected) in [
            (None, &["r1", "r2", "r3"][..]),
            (Some(record(Pending, None, None)), &["r1", "r2", "r3"]),
            // Set back by an operator: what failed is to be judged again.
            (Some(record(Pending, Some("r1"), Some("run r3: bad"))), &["r1", "r2", "r3"]),
            (Some(record(Success, Some("r1"), None)), &["r2", "r3"]),
            (Some(record(Success, Some("r3"), None)), &[]),
            // A newer one failed, and took nothing away.
            (Some(record(Success, Some("r1"), Some("run r2: bad"))), &["r3"]),
            (Some(record(Success, Some("r1"), Some("run r3: bad"))), &[]),
            // An older one was judged late.
            (Some(record(Success, Some("r2"), Some("run r1: bad"))), &["r3"]),
            (Some(record(Failed, None, Some("run r1: bad"))), &["r2", "r3"]),
            (Some(record(Failed, None, Some("run r3: bad"))), &[]),
            (Some(record(Failed, Some("r2"), Some("run r2: bad"))), &["r3"]),
            (Some(record(Failed, Some("r2"), Some("run r1: bad"))), &["r3"]),
            // Told by other software, or about a run that is not sealed: judged once, then named.
            (Some(record(Failed, None, Some("bad"))), &["r1", "r2", "r3"]),
            (Some(record(Failed, None, None)), &["r1", "r2", "r3"]),
            (Some(record(Failed, Some("r1"), Some("bad"))), &["r2", "r3"]),
            (Some(record(Failed, None, Some("run r9: not there"))), &["r1", "r2", "r3"]),
            // The run in authority is not in the storage.
            (Some(record(Success, Some("r2x"), None)), &["r3"]),
            (Some(record(Success, Some("r9"), None)), &[]),
            (Some(record(Success, None, None)), &["r1", "r2", "r3"]),
        ] {
            assert_eq!(due(record.as_ref(), &sealed), runs(expected), "{record:?}");
        }
        assert_eq!(due(None, &[]), []);
    }

    #[test]
    fn a_run_is_told_from_one_whose_name_begins_like_it() {
        let told = record(Status::Failed, None, Some("run r1: x: bad"));
        assert_eq!(due(Some(&told), &runs(&["r", "r1", "r1: x", "r2"])), runs(&["r2"]));
        let told = record(Status::Failed, None, Some("run r10: bad"));
        assert_eq!(due(Some(&told), &runs(&["r1", "r10", "r2"])), runs(&["r2"]));
    }

    /// Whatever the record was and however the verdicts are: judging what waits ends, after which
    /// nothing waits, and the newest run that passed has authority.
    #[test]
    fn judging_what_waits_ends_with_the_newest_good_run_in_authority() {
        let sealed = runs(&["r1", "r2", "r3", "r4"]);
        for good in 0..16_u8 {
            let passes = |run: &RunId| {
                sealed.iter().position(|one| one == run).is_some_and(|at| good >> at & 1 == 1)
            };
            let mut record: Option<Record> = None;
            let mut judged = Vec::new();
            // Runs are sealed one after the other, two at a time, with judging in between or not.
            for landed in [2, 3, 4] {
                while let Some(run) = due(record.as_ref(), &sealed[..landed]).first() {
                    let outcome = if passes(run) {
                        Outcome::Passed { schema_version: None, record_count: 1 }
                    } else {
                        Outcome::Failed("bad".into())
                    };
                    let verdict = Verdict { run_id: run.clone(), outcome };
                    record = Some(transition(record.as_ref(), &verdict, Timestamp::UNIX_EPOCH));
                    judged.push(run.clone());
                }
            }
            let record = record.unwrap();
            assert_eq!(judged, sealed, "each once, oldest first");
            assert_eq!(record.attempt_count, 4);
            let newest = sealed.iter().rev().find(|run| passes(run));
            assert_eq!(record.authoritative_run(), newest, "{good:04b}");
        }
    }
}
