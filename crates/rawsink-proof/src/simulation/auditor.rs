//! Who knows everything, and looks after every step whether the guarantees hold.

mod attempts;
mod cleaning;
mod observers;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use rawsink::ErrorKind;

use self::{attempts::Attempt, runs::Run};
use super::{
    options::{Lateness, Options},
    plan::Plan,
};

pub(super) use self::{
    attempts::Told,
    observers::{Judged, Seen},
};

/// Which attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttemptId(pub(super) usize);

/// Knows what everybody wrote, was told and read.
#[derive(Debug)]
pub(super) struct Auditor {
    attempts: Vec<Attempt>,
    /// Whose token it is.
    tokens: BTreeMap<String, AttemptId>,
    runs: Vec<Run>,
    /// The authority of each logical partition, and how often it was judged.
    authority: BTreeMap<String, observers::Authority>,
    lateness: Lateness,
    /// Kinds of errors that are no surprise.
    expected: Vec<ErrorKind>,
    violation: Option<String>,
}

impl Auditor {
    pub(super) fn new(plan: &Plan, options: Options) -> Self {
        Self {
            attempts: Vec::new(),
            tokens: BTreeMap::new(),
            runs: plan.runs.iter().map(|run| Run::new(&run.prefix)).collect(),
            authority: BTreeMap::new(),
            lateness: options.lateness,
            expected: plan.weather.refusals(),
            violation: None,
        }
    }

    /// Returns the first guarantee that was broken, and how.
    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Notes that a guarantee was broken; the first one counts.
    pub(super) fn violate(&mut self, how: String) {
        self.violation.get_or_insert(how);
    }

    /// Tells whether an error means that something is set up wrong, where nothing is.
    fn is_surprise(&self, kind: ErrorKind) -> bool {
        let of_setup = [ErrorKind::Denied, ErrorKind::Unsupported, ErrorKind::Invalid];
        of_setup.contains(&kind) && !self.expected.contains(&kind)
    }

    fn run(&self, prefix: &str) -> &Run {
        let mut runs = self.runs.iter();
        runs.find(|run| run.prefix == prefix).expect("every run is in the plan")
    }

    fn run_mut(&mut self, prefix: &str) -> &mut Run {
        let mut runs = self.runs.iter_mut();
        runs.find(|run| run.prefix == prefix).expect("every run is in the plan")
    }
}

/// Returns the run that a key belongs to, as what its keys start with.
fn run_of(key: &str) -> &str {
    key.rfind('/').map_or(key, |at| &key[..=at])
}

/// Returns the rows of an attempt as a payload.
pub(super) fn payload(lines: &[String]) -> Bytes {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into()
}
