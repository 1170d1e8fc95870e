//! The results of readers, validators and consumers: G01, G05, G10, G13, G14, G15.

use rawsink::{
    ErrorKind, RunId,
    state::{Outcome, Record, Status, Verdict},
};

use super::{Auditor, runs::RunRecord};
use crate::simulation::ids::AttemptId;

/// The history of a logical partition's state.
#[derive(Debug, Default)]
pub(super) struct AuthorityHistory {
    /// The number of verdicts.
    verdicts: u64,
    /// The runs that had authority, in order; `None` for none.
    history: Vec<Option<RunId>>,
}

/// A change of the state by a verdict.
#[derive(Debug)]
pub(in crate::simulation) struct StateChange<'j> {
    /// The true record before.
    pub(in crate::simulation) before: Option<&'j Record>,
    pub(in crate::simulation) verdict: &'j Verdict,
    pub(in crate::simulation) after: &'j Record,
}

/// A moment to which later results are compared.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct Snapshot {
    sealed: bool,
    /// The number of changes of authority so far.
    changes: usize,
    /// Whether the run may be corrupt.
    corrupt: bool,
    /// How often software outside the protocol changed the run.
    vandalisms: u64,
}

/// What a reader got.
#[derive(Debug)]
pub(in crate::simulation) struct ReadResult<'s> {
    pub(in crate::simulation) prefix: &'s str,
    /// The token in the seal.
    pub(in crate::simulation) token: &'s str,
    /// The attempt that the metadata names.
    pub(in crate::simulation) attempt: Option<u64>,
    pub(in crate::simulation) payload: &'s [u8],
}

impl Snapshot {
    /// Returns whether the run was sealed then.
    pub(in crate::simulation) fn sealed(self) -> bool {
        self.sealed
    }

    /// Returns whether software outside the protocol has changed the run since then.
    pub(super) fn is_changed(self, run: &RunRecord) -> bool {
        run.vandalisms > self.vandalisms
    }
}

impl Auditor {
    /// Returns the current moment.
    pub(in crate::simulation) fn snapshot(&self, prefix: &str, partition: &str) -> Snapshot {
        let history = self.authority.get(partition).map_or(0, |known| known.history.len());
        let (run, corrupt) = (self.run(prefix), self.may_be_corrupt(prefix));
        let (sealed, vandalisms) = (run.seal.is_some(), run.vandalisms);
        Snapshot { sealed, changes: history, corrupt, vandalisms }
    }

    /// Returns whether a run may have been corrupt since a moment; a repair may have ended that.
    pub(super) fn may_have_been_corrupt(&self, prefix: &str, since: Snapshot) -> bool {
        let changed = since.is_changed(self.run(prefix));
        since.corrupt || changed || self.may_be_corrupt(prefix)
    }

    /// Checks the rows that a reader got without an error.
    pub(in crate::simulation) fn read(&mut self, seen: &ReadResult<'_>) {
        let run = self.run(seen.prefix);
        let Some(seal) = &run.seal else {
            return self.violate(format!("G01: {} was read and is not sealed", seen.prefix));
        };
        if seal.token != seen.token {
            return self.violate(format!("G10: the seal of {} was shown as another", seen.prefix));
        }
        let Some(AttemptId(id)) = seal.attempt else { return };
        if self.attempts[id].payload != seen.payload {
            return self.violate(format!("G10: wrong rows of {} were shown as right", seen.prefix));
        }
        if seen.attempt != Some(id as u64) {
            self.violate(format!("G05: other metadata of {} was shown", seen.prefix));
        }
    }

    /// Checks the error of a reader.
    pub(in crate::simulation) fn refused(
        &mut self,
        prefix: &str,
        since: Snapshot,
        kind: ErrorKind,
        misled: bool,
    ) {
        match kind {
            ErrorKind::NotFound | ErrorKind::NotSealed if since.sealed => {
                self.violate(format!("G01: {prefix} is sealed, and a reader got {kind}"));
            }
            ErrorKind::Corrupt if !misled && !self.may_have_been_corrupt(prefix, since) => {
                self.violate(format!("G05: {prefix} is sealed, and a reader got Corrupt"));
            }
            ErrorKind::Internal | ErrorKind::Closed | ErrorKind::Unknown => {
                self.violate(format!("a reader of {prefix} got {kind}"));
            }
            _ if self.is_surprise(kind) => {
                self.violate(format!("a reader of {prefix} got {kind}"));
            }
            _ => {}
        }
    }

    /// Checks a listing of a run.
    pub(in crate::simulation) fn listed(&mut self, prefix: &str, since: Snapshot, sealed: bool) {
        let now = self.run(prefix).seal.is_some();
        if sealed && !now || !sealed && since.sealed {
            self.violate(format!("G01: {prefix} was listed as sealed: {sealed}; it is: {now}"));
        }
    }

    /// Checks a change of the state.
    pub(in crate::simulation) fn judged(
        &mut self,
        partition: &str,
        prefix: &str,
        judged: &StateChange<'_>,
    ) {
        let (before, after) = (judged.before, judged.after);
        let run = &judged.verdict.run_id;
        let known = self.authority.entry(partition.to_owned()).or_default();
        known.verdicts += 1;
        let authority = before.and_then(Record::authoritative_run).cloned();
        let next = after.authoritative_run().cloned();
        known.history.push(next.clone());
        let verdicts = known.verdicts;
        if after.attempt_count != verdicts {
            let count = after.attempt_count;
            return self.violate(format!("G14: {verdicts} verdicts on {partition}, {count} kept"));
        }
        let (passed, mut keeps) = match &judged.verdict.outcome {
            Outcome::Passed { .. } => (true, authority.as_ref().is_some_and(|now| now > run)),
            Outcome::Failed(_) => (false, authority.as_ref().is_some_and(|now| now != run)),
        };
        // A failure gives no authority.
        keeps |= !passed && authority.is_none();
        let right = if keeps {
            next == authority
        } else {
            next == passed.then(|| run.clone()) && (passed || after.status == Status::Failed)
        };
        if !right {
            return self.violate(format!("G13: {before:?} became {after:?} by {judged:?}"));
        }
        if passed && self.run(prefix).seal.is_none() {
            self.violate(format!("G12: {run} passed and is not sealed"));
        }
    }

    /// Checks a validation that failed.
    pub(in crate::simulation) fn failed(
        &mut self,
        prefix: &str,
        since: Snapshot,
        misled: bool,
        faults: &[String],
    ) {
        if !misled && !self.may_have_been_corrupt(prefix, since) {
            self.violate(format!("G05: {prefix} did not pass: {faults:?}"));
        }
    }

    /// Checks the run that a consumer got; `None` for none.
    pub(in crate::simulation) fn consumed(
        &mut self,
        partition: &str,
        since: Snapshot,
        run: Option<&RunId>,
    ) {
        let known = self.authority.get(partition).map_or(&[][..], |known| &known.history);
        let at_first = since.changes.checked_sub(1).and_then(|last| known.get(last));
        let mut possible = at_first.into_iter().chain(&known[since.changes..]);
        let none_at_first = at_first.is_none() && run.is_none();
        if !none_at_first && !possible.any(|authority| authority.as_ref() == run) {
            self.violate(format!("G15: {run:?} was consumed, {known:?} had authority"));
        }
    }
}
