//! Which runs are due: the only place that knows the rule.
//!
//! Two facts decide: the [`Situation`] of the partition, from its record, and the [`RunSummary`] of each
//! run, folded from the verdict log. Both are small, so that coverage can keep millions of them.

use std::num::NonZeroU32;

use super::{Event, History, Record, Status, reason::is_reason_of};
use crate::partition::RunId;

/// What the log says of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunSummary {
    /// The log has an entry about this run.
    pub is_named: bool,
    /// The run has a verdict, and neither a requeue nor a restore since.
    pub has_verdict: bool,
    /// The number of the entry by which it passed; `None` if it never did, or failed since.
    passed_at: Option<NonZeroU32>,
    decision: Decision,
}

/// What an operator decided about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Decision {
    /// Nothing, or the run was restored and has a verdict since.
    #[default]
    None,
    Withdrawn,
    Restored,
}

impl RunSummary {
    /// Adds the next entry about this run or about all runs. Entries of the partition have ascending numbers.
    pub fn add(&mut self, number: NonZeroU32, event: Event) {
        self.is_named |= event != Event::Requeued;
        match event {
            Event::Requeued => self.has_verdict = false,
            Event::Passed | Event::Failed => {
                self.has_verdict = true;
                self.passed_at = (event == Event::Passed).then_some(number);
                if self.is_restored() {
                    self.decision = Decision::None;
                }
            }
            Event::Withdrawn => self.decision = Decision::Withdrawn,
            Event::Restored => (self.has_verdict, self.decision) = (false, Decision::Restored),
        }
    }

    /// Returns whether an operator withdrew the run.
    pub fn is_withdrawn(self) -> bool {
        self.decision == Decision::Withdrawn
    }

    /// Returns whether the run was restored and has no verdict since.
    pub fn is_restored(self) -> bool {
        self.decision == Decision::Restored
    }
}

/// The record of a partition, as far as it decides which runs are due.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The status; pending without a record.
    pub status: Status,
    /// The run that the record names.
    pub current: Option<&'a RunId>,
    /// `error_message` of the record.
    pub reason: Option<&'a str>,
    /// The newest entry of the log.
    pub newest: Newest,
}

/// The newest entry of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// The database has no log, and this role cannot create it.
    NoLog,
    /// The log has no entry.
    Nothing,
    /// After the newest entry the record had this status.
    Entry(Status),
}

impl Situation<'_> {
    /// Returns the runs of `sealed`, sorted by run id, that need a verdict, oldest first.
    ///
    /// A sealed run is due if it is not withdrawn, has no verdict since it was last requeued or
    /// restored, and
    ///
    /// - the record is pending or missing, or
    /// - the run was restored, or
    /// - the run is newer than the run that the record names, or it is this run and the status is failed:
    ///   after a requeue, an older run may fail before it.
    ///
    /// So each run is validated once, the newest run that passes has authority in the end, and a run
    /// that was superseded before it had a verdict needs none. Without a log the reason in the record
    /// is the only trace of a failure: runs up to the one it names count as validated.
    pub fn due<'runs>(
        &self,
        sealed: impl IntoIterator<Item = &'runs RunId>,
        summary: impl Fn(&RunId) -> RunSummary,
    ) -> Vec<&'runs RunId> {
        let mut due = Vec::new();
        for run in sealed {
            if self.is_due(run, summary(run)) {
                due.push(run);
            } else if self.newest == Newest::NoLog && self.is_failure_in_record(run) {
                due.clear();
            }
        }
        due
    }

    /// Returns whether a sealed run needs a verdict; see [`due`](Self::due).
    pub fn is_due(&self, run: &RunId, summary: RunSummary) -> bool {
        let has_verdict = match self.newest {
            Newest::NoLog => self.is_failure_in_record(run),
            _ => summary.has_verdict && !self.is_requeued_elsewhere(),
        };
        if summary.is_withdrawn() || has_verdict {
            return false;
        }
        let is_newer = self.current.is_none_or(|current| {
            run > current || (run == current && self.status == Status::Failed)
        });
        self.status == Status::Pending || summary.is_restored() || is_newer
    }

    /// Returns the newest run of `sealed`, sorted by run id, that the run with authority keeps from it:
    /// an older run that is not withdrawn and has no verdict, or passed after the run with authority did.
    ///
    /// That is as it should be, unless the id of the run with authority is a time
    /// [in the future](crate::RawSink::is_future): runs of today wait for it in vain.
    pub fn held_back<'runs>(
        &self,
        sealed: impl IntoIterator<Item = &'runs RunId>,
        summary: impl Fn(&RunId) -> RunSummary,
    ) -> Option<&'runs RunId> {
        let holder = self.current.filter(|_| self.status == Status::Success)?;
        let since = summary(holder).passed_at;
        let waits = |run: &&RunId| {
            let summary = summary(run);
            let passed_since = since.is_some() && summary.passed_at > since;
            *run < holder && !summary.is_withdrawn() && (!summary.has_verdict || passed_since)
        };
        sealed.into_iter().filter(waits).last()
    }

    /// Returns whether other software set the record to pending, or deleted it, after our last change.
    pub(super) fn is_requeued_elsewhere(&self) -> bool {
        self.status == Status::Pending
            && matches!(self.newest, Newest::Entry(status) if status != Status::Pending)
    }

    /// Returns whether the record is not pending and holds the reason why this run failed.
    fn is_failure_in_record(&self, run: &RunId) -> bool {
        self.status != Status::Pending
            && self.reason.is_some_and(|reason| is_reason_of(reason, run))
    }
}

impl Record {
    /// Returns whether no run can be due, unless one was restored: a run has authority, and no sealed run
    /// is newer.
    pub fn is_settled(&self, newest_sealed: &RunId) -> bool {
        self.status == Status::Success
            && self.current_run_id.as_ref().is_some_and(|current| newest_sealed <= current)
    }
}

impl History {
    /// Returns the runs of `sealed`, sorted by run id, that need a verdict, oldest first; see
    /// [`Situation::due`].
    pub fn due<'runs>(&self, sealed: &'runs [RunId]) -> Vec<&'runs RunId> {
        self.situation().due(sealed, |run| self.summary(run))
    }

    /// Returns whether a sealed run needs a verdict; see [`due`](Self::due).
    pub fn is_due(&self, run: &RunId) -> bool {
        self.situation().is_due(run, self.summary(run))
    }

    /// Returns the newest run of `sealed` that the run with authority keeps from it; see
    /// [`Situation::held_back`].
    pub fn held_back<'runs>(&self, sealed: &'runs [RunId]) -> Option<&'runs RunId> {
        self.situation().held_back(sealed, |run| self.summary(run))
    }

    /// Returns what the log says of a run.
    pub fn summary(&self, run: &RunId) -> RunSummary {
        let mut summary = RunSummary::default();
        for (number, entry) in numbers().zip(self.entries()) {
            if entry.run_id.as_ref().is_none_or(|about| about == run) {
                summary.add(number, entry.event);
            }
        }
        summary
    }

    /// Returns the record as far as it decides which runs are due.
    pub(super) fn situation(&self) -> Situation<'_> {
        let record = self.record();
        Situation {
            status: record.map_or(Status::Pending, |record| record.status),
            current: record.and_then(|record| record.current_run_id.as_ref()),
            reason: record.and_then(|record| record.error_message.as_deref()),
            newest: match self.entries().last() {
                Some(entry) => Newest::Entry(entry.status),
                None if self.has_log() => Newest::Nothing,
                None => Newest::NoLog,
            },
        }
    }
}

/// Returns the numbers of the entries of a log.
fn numbers() -> impl Iterator<Item = NonZeroU32> {
    (1..).filter_map(NonZeroU32::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::state::{Change, LogEntry, Outcome, Verdict};

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
        // The status after a withdrawal depends on the entries before it; these tests have pending.
        let status = match event {
            Event::Passed => Status::Success,
            Event::Failed => Status::Failed,
            Event::Withdrawn | Event::Restored | Event::Requeued => Status::Pending,
        };
        let after = Record { status, ..Record::pending() };
        LogEntry::new(event, run.as_ref(), &after, Timestamp::UNIX_EPOCH)
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
            (Some(record(Failed, Some("r2"), Some("run r2: bad"))), &["r2", "r3"], &["r3"]),
            // The reason is from other software, or about a run that is not sealed.
            (Some(record(Failed, None, Some("bad"))), all, all),
            (Some(record(Failed, Some("r1"), Some("bad"))), all, all),
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
        let failed_r3 = Some(record(Status::Failed, Some("r3"), None));
        let (r1, r2, r3) = (Some("r1"), Some("r2"), Some("r3"));
        for (record, log, expected) in [
            (success("r1"), vec![(Passed, r1), (Failed, r2)], &["r3"][..]),
            (failed.clone(), vec![(Failed, r3)], &["r1", "r2"]),
            // After a requeue an older run failed first.
            (failed_r3.clone(), vec![(Passed, r3), (Requeued, None), (Failed, r2)], &["r3"]),
            (failed_r3.clone(), vec![(Passed, r3), (Failed, r3)], &[]),
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
    fn runs_that_the_run_with_authority_holds_back() {
        use Event::{Failed, Passed, Requeued, Restored, Withdrawn};
        let sealed = runs(&["r1", "r2", "r3", "r9"]);
        let (r1, r2, r3, r9) = (Some("r1"), Some("r2"), Some("r3"), Some("r9"));
        for (log, expected) in [
            (vec![(Passed, r9)], Some("r3")),
            (vec![(Passed, r9), (Withdrawn, r3)], Some("r2")),
            // They were superseded by it.
            (vec![(Passed, r1), (Passed, r2), (Passed, r3), (Passed, r9)], None),
            (vec![(Passed, r1), (Passed, r9), (Passed, r2), (Failed, r3)], Some("r2")),
            (
                vec![(Passed, r9), (Passed, r2), (Passed, r3), (Failed, r3), (Failed, r1)],
                Some("r2"),
            ),
            (vec![(Failed, r1), (Failed, r2), (Failed, r3), (Passed, r9)], None),
            // A restored run is due, and waits too.
            (
                vec![(Passed, r1), (Passed, r2), (Passed, r3), (Passed, r9), (Restored, r1)],
                Some("r1"),
            ),
            // Only the record says that the run with authority passed: nothing is known of the order.
            (vec![(Passed, r1), (Passed, r2), (Passed, r3)], None),
            (vec![(Passed, r9), (Requeued, None), (Passed, r9), (Failed, r3)], Some("r2")),
        ] {
            let entries = log.iter().map(|(event, run)| entry(*event, *run)).collect();
            let history = History::new(Some(record(Status::Success, r9, None)), Some(entries));
            assert_eq!(history.held_back(&sealed).map(RunId::as_str), expected, "{log:?}");
            let entries = log.iter().map(|(event, run)| entry(*event, *run)).collect();
            let failed = History::new(Some(record(Status::Failed, r9, None)), Some(entries));
            assert_eq!(failed.held_back(&sealed), None);
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
