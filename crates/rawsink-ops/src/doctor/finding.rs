//! The findings of an examination, and the diagnosis that follows from them.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::checks::{self, Check, Guarantee};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Information; no action needed.
    Note,
    /// Can become a fault under other conditions.
    Warning,
    /// The check gave no result, so its guarantees are undetermined.
    Unknown,
    /// The store cannot support the guarantees of this check.
    Fault,
}

impl Severity {
    /// Returns the name of the severity.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Fault => "fault",
        }
    }
}

/// A variable to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    #[serde(flatten)]
    pub check: &'static Check,
    /// How bad it is.
    pub outcome: Severity,
    /// The observations, without a full stop at the end.
    pub seen: String,
    /// A setting that solves the problem or saves requests.
    pub set: Option<Setting>,
    /// Other advice.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn new(id: &str, outcome: Severity, seen: impl Into<String>) -> Self {
        Self { check: checks::find(id), outcome, seen: seen.into(), set: None, advice: None }
    }

    pub(super) fn ok(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Severity::Ok, seen)
    }

    pub(super) fn note(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Severity::Note, seen)
    }

    pub(super) fn warning(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, seen)
    }

    pub(super) fn unknown(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Severity::Unknown, seen)
    }

    /// Creates an unknown finding that a second examination may resolve.
    pub(super) fn inconclusive(id: &str, seen: impl Into<String>) -> Self {
        Self::unknown(id, seen).advise("run doctor again")
    }

    pub(super) fn fault(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Severity::Fault, seen)
    }

    pub(super) fn set(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.set = Some(Setting { name, value: value.to_string() });
        self
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Returns the stable id of the check.
    pub fn id(&self) -> &'static str {
        self.check.id
    }
}

/// Whether a store supports its guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Soundness {
    /// The store supports every guarantee that depends on it.
    Sound,
    /// A check that a guarantee depends on gave no result.
    Undetermined,
    /// The store cannot support at least one guarantee.
    Unsound,
}

impl Soundness {
    /// Returns the name of the soundness.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Undetermined => "undetermined",
            Self::Unsound => "unsound",
        }
    }
}

/// All findings, and the conclusion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Whether the store supports its guarantees.
    #[serde(rename = "diagnosis")]
    pub soundness: Soundness,
    /// The store as text for people, without secrets.
    pub store: String,
    /// The guarantees that depend on the store and that it supports.
    pub kept: BTreeSet<Guarantee>,
    /// The guarantees without a result.
    pub undetermined: BTreeSet<Guarantee>,
    /// The guarantees that the store cannot support.
    pub broken: BTreeSet<Guarantee>,
    /// The one setting to change: that of the worst finding with a setting. `None` if a fault has no
    /// setting that fixes it.
    pub set: Option<Setting>,
    /// Scratch data that could not be deleted.
    pub leftovers: Vec<String>,
    /// The findings, in the order of the examination.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn new(store: String, findings: Vec<Finding>, leftovers: Vec<String>) -> Self {
        let affected = |matches: &dyn Fn(Severity) -> bool| -> BTreeSet<Guarantee> {
            let found = findings.iter().filter(|finding| matches(finding.outcome));
            found.flat_map(|finding| finding.check.guarantees.iter().copied()).collect()
        };
        let broken = affected(&|severity| severity == Severity::Fault);
        let unknown = affected(&|severity| severity == Severity::Unknown);
        let undetermined = &unknown - &broken;
        let kept = &(&affected(&|_| true) - &broken) - &undetermined;
        let soundness = if !broken.is_empty() {
            Soundness::Unsound
        } else if !undetermined.is_empty() {
            Soundness::Undetermined
        } else {
            Soundness::Sound
        };
        let is_unfixable =
            |finding: &Finding| finding.outcome == Severity::Fault && finding.set.is_none();
        let set = if findings.iter().any(is_unfixable) {
            None
        } else {
            let rank = |finding: &&Finding| std::cmp::Reverse(finding.outcome);
            // The first of equally bad findings.
            findings.iter().filter(|finding| finding.set.is_some()).min_by_key(rank)
        };
        let set = set.and_then(|finding| finding.set.clone());
        Self { soundness, store, kept, undetermined, broken, set, leftovers, findings }
    }

    /// Returns the finding of a check.
    pub fn finding(&self, id: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(findings: Vec<Finding>) -> Diagnosis {
        Diagnosis::new("store".to_owned(), findings, Vec::new())
    }

    fn numbers(guarantees: &BTreeSet<Guarantee>) -> String {
        guarantees.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_fault_breaks_all_guarantees_of_its_check() {
        let diagnosis = diagnosis(vec![
            Finding::ok("create-only-put", ""),
            Finding::fault("read-back", ""),
            Finding::unknown("user-metadata", ""),
            Finding::warning("list-after-write", ""),
        ]);
        assert_eq!(diagnosis.soundness, Soundness::Unsound);
        assert_eq!(numbers(&diagnosis.broken), "G03 G05");
        assert_eq!(numbers(&diagnosis.undetermined), "G07");
        assert_eq!(numbers(&diagnosis.kept), "G01 G04 G09");
    }

    #[test]
    fn unknown_findings_are_not_sound() {
        let diagnosis = diagnosis(vec![Finding::ok("sync", ""), Finding::unknown("lock", "")]);
        assert_eq!(diagnosis.soundness, Soundness::Undetermined);
        let unknown = Finding::unknown("request-rate", "");
        assert_eq!(self::diagnosis(vec![unknown]).soundness, Soundness::Sound, "no guarantee");
    }

    #[test]
    fn the_setting_is_that_of_the_worst_finding() {
        let note = Finding::note("complete-conditions", "").set("RAW_SINK_A", "note");
        let warning = Finding::warning("request-rate", "").set("RAW_SINK_B", 1);
        let fault = Finding::fault("abort-complete", "").set("RAW_SINK_C", 2);
        let of = |findings: &[&Finding]| {
            let found = diagnosis(findings.iter().map(|finding| (*finding).clone()).collect());
            found.set.map(|set| set.to_string())
        };
        assert_eq!(of(&[&note, &warning, &fault]).as_deref(), Some("RAW_SINK_C=2"));
        assert_eq!(of(&[&note, &warning]).as_deref(), Some("RAW_SINK_B=1"));
        assert_eq!(of(&[&note]).as_deref(), Some("RAW_SINK_A=note"));
        assert_eq!(of(&[&Finding::ok("clock", "")]), None);
        assert_eq!(of(&[&fault, &Finding::fault("user-metadata", "")]), None, "it would not help");
    }

    #[test]
    fn check_ids_are_unique() {
        let checks = checks::BUCKET.iter().chain(&checks::DIRECTORY).chain([&checks::SCRATCH]);
        let ids: Vec<&str> = checks.map(|check| check.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }
}
