//! What an examination found, and what follows from all of it, as data.

use std::{collections::BTreeSet, fmt};

use serde::{Serialize, Serializer};

use super::checks::{self, Check};

/// The number of a guarantee, as `docs/semantics.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guarantee(pub(super) u8);

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "G{:02}", self.0)
    }
}

impl Serialize for Guarantee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// May become a fault under conditions that were not met.
    Warning,
    /// Could not be found out, so that the guarantees are open.
    Unknown,
    /// The guarantees that it touches cannot be kept.
    Fault,
}

impl Outcome {
    /// Returns the word for it.
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

/// A variable to be set.
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

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was asked.
    #[serde(flatten)]
    pub check: &'static Check,
    /// How bad it is.
    pub outcome: Outcome,
    /// What was seen, one sentence or a few without a full stop at the end.
    pub seen: String,
    /// What to set, where a setting helps or saves.
    pub set: Option<Setting>,
    /// What to do besides.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn new(id: &str, outcome: Outcome, seen: impl Into<String>) -> Self {
        Self { check: checks::find(id), outcome, seen: seen.into(), set: None, advice: None }
    }

    pub(super) fn ok(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Outcome::Ok, seen)
    }

    pub(super) fn note(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Outcome::Note, seen)
    }

    pub(super) fn warning(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Outcome::Warning, seen)
    }

    pub(super) fn unknown(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Outcome::Unknown, seen)
    }

    pub(super) fn fault(id: &str, seen: impl Into<String>) -> Self {
        Self::new(id, Outcome::Fault, seen)
    }

    pub(super) fn set(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.set = Some(Setting { name, value: value.to_string() });
        self
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Returns the finding's stable name.
    pub fn id(&self) -> &'static str {
        self.check.id
    }
}

/// Whether a store can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Soundness {
    /// Every guarantee that depends on the store can be kept.
    Sound,
    /// Something that a guarantee depends on could not be found out.
    Undetermined,
    /// At least one guarantee cannot be kept.
    Unsound,
}

impl Soundness {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Undetermined => "undetermined",
            Self::Unsound => "unsound",
        }
    }
}

/// All findings, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Whether the store can be relied on.
    #[serde(rename = "diagnosis")]
    pub soundness: Soundness,
    /// The store, for a person: no secret.
    pub store: String,
    /// Guarantees that depend on the store and can be kept.
    pub kept: BTreeSet<Guarantee>,
    /// Guarantees that could not be judged.
    pub undetermined: BTreeSet<Guarantee>,
    /// Guarantees that cannot be kept.
    pub broken: BTreeSet<Guarantee>,
    /// The one setting to change, if any: of the worst finding that has one, unless there is a fault
    /// that no setting mends.
    pub set: Option<Setting>,
    /// What of the scratch could not be taken away.
    pub leftovers: Vec<String>,
    /// What was found, in the order of the examination.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn new(store: String, findings: Vec<Finding>, leftovers: Vec<String>) -> Self {
        let touched = |worst: &dyn Fn(Outcome) -> bool| -> BTreeSet<Guarantee> {
            let found = findings.iter().filter(|finding| worst(finding.outcome));
            found.flat_map(|finding| finding.check.guarantees.iter().copied()).collect()
        };
        let broken = touched(&|outcome| outcome == Outcome::Fault);
        let open = touched(&|outcome| outcome == Outcome::Unknown);
        let undetermined = &open - &broken;
        let kept = &(&touched(&|_| true) - &broken) - &undetermined;
        let soundness = if !broken.is_empty() {
            Soundness::Unsound
        } else if !undetermined.is_empty() {
            Soundness::Undetermined
        } else {
            Soundness::Sound
        };
        let helpless =
            |finding: &Finding| finding.outcome == Outcome::Fault && finding.set.is_none();
        let set = if findings.iter().any(helpless) {
            None
        } else {
            let rank = |finding: &&Finding| std::cmp::Reverse(finding.outcome);
            // The first of those that are equally bad.
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
    fn a_fault_breaks_what_it_touches_whatever_else_is_fine() {
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
    fn what_is_not_known_is_not_sound() {
        let diagnosis = diagnosis(vec![Finding::ok("sync", ""), Finding::unknown("lock", "")]);
        assert_eq!(diagnosis.soundness, Soundness::Undetermined);
        let unknown = Finding::unknown("request-rate", "");
        assert_eq!(self::diagnosis(vec![unknown]).soundness, Soundness::Sound, "touches nothing");
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
    fn every_name_of_a_check_is_its_own() {
        let checks = checks::BUCKET.iter().chain(&checks::DIRECTORY).chain([&checks::SCRATCH]);
        let ids: Vec<&str> = checks.map(|check| check.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }
}
