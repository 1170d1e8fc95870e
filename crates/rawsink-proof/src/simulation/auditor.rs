//! The auditor: it knows everything, and checks the guarantees after every event.

mod attempts;
mod cleaning;
mod observers;
mod repairs;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fake_s3::UploadId;
use rawsink::ErrorKind;

use self::{attempts::AttemptRecord, observers::AuthorityHistory, runs::RunRecord};
use super::{
    ids::AttemptId,
    options::{Lateness, Options},
    plan::SeedPlan,
};

pub(super) use self::{
    attempts::WriterOutcome,
    observers::{ReadResult, StateChange},
};

/// Everything that processes wrote, were told and read.
#[derive(Debug)]
pub(super) struct Auditor {
    attempts: Vec<AttemptRecord>,
    /// The owner of each token.
    tokens: BTreeMap<String, AttemptId>,
    /// The tokens of repairs.
    repair_tokens: BTreeSet<String>,
    /// Uploads whose Complete a repair sent.
    repair_completes: BTreeSet<UploadId>,
    runs: Vec<RunRecord>,
    /// The history of each logical partition.
    authority: BTreeMap<String, AuthorityHistory>,
    lateness: Lateness,
    /// Kinds of errors that the plan causes.
    expected: Vec<ErrorKind>,
    violation: Option<String>,
}

impl Auditor {
    pub(super) fn new(plan: &SeedPlan, options: Options) -> Self {
        Self {
            attempts: Vec::new(),
            tokens: BTreeMap::new(),
            repair_tokens: BTreeSet::new(),
            repair_completes: BTreeSet::new(),
            runs: plan.runs.iter().map(|run| RunRecord::new(&run.prefix)).collect(),
            authority: BTreeMap::new(),
            lateness: options.lateness,
            expected: plan.mishaps.refusals(),
            violation: None,
        }
    }

    /// Returns the first violation of a guarantee.
    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Notes a violation of a guarantee; the first one is kept.
    pub(super) fn violate(&mut self, how: String) {
        self.violation.get_or_insert(how);
    }

    /// Returns whether an error blames settings that are right.
    fn is_surprise(&self, kind: ErrorKind) -> bool {
        let of_setup = [ErrorKind::Denied, ErrorKind::Unsupported, ErrorKind::Invalid];
        of_setup.contains(&kind) && !self.expected.contains(&kind)
    }

    fn run(&self, prefix: &str) -> &RunRecord {
        let mut runs = self.runs.iter();
        runs.find(|run| run.prefix == prefix).expect("every run is in the plan")
    }

    fn run_mut(&mut self, prefix: &str) -> &mut RunRecord {
        let mut runs = self.runs.iter_mut();
        runs.find(|run| run.prefix == prefix).expect("every run is in the plan")
    }
}

/// Returns the prefix of the run of a key.
fn run_of(key: &str) -> &str {
    key.rfind('/').map_or(key, |at| &key[..=at])
}

/// Returns the rows of an attempt as a payload.
pub(super) fn payload(lines: &[String]) -> Bytes {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into()
}
