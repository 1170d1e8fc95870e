//! The guarantees hold, every mishap and result occurs, and the auditor detects broken assumptions.

use std::num::NonZero;

use super::{
    EncounterKind, Encounters, Lateness, Lie, Options, TraceLevel, mishaps::MISHAPS, simulate,
    simulate_all,
};

const THREADS: NonZero<usize> = NonZero::new(2).unwrap();

fn assert_met(encounters: &Encounters, kind: EncounterKind, names: &[&str]) {
    let missing: Vec<_> = names.iter().filter(|name| encounters.count(kind, name) == 0).collect();
    assert!(missing.is_empty(), "{kind:?} without {missing:?}\n{encounters}");
}

#[test]
fn a_seed_has_the_same_result_every_time() {
    let options = Options { trace: TraceLevel::Every, ..Options::default() };
    let mut digests = std::collections::BTreeSet::new();
    for seed in 1..=300 {
        let (first, second) = (simulate(seed, options), simulate(seed, options));
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.digest, simulate(seed, Options::default()).digest, "silent, seed {seed}");
        digests.insert(first.digest);
    }
    assert_eq!(digests.len(), 300, "different seeds have different results");
}

/// The auditor checks G01 to G06, G08 to G10, G12 to G15 and G18.
#[test]
fn g03_g04_g05_g06_and_the_others_hold_under_every_mishap_and_result() {
    let summary = simulate_all(1..5001, Options::default(), THREADS);
    assert_eq!(summary.violation, None);
    let met = |kind, names: &[&str]| assert_met(&summary.encounters, kind, names);
    met(EncounterKind::Mishap, &MISHAPS.map(|mishap| mishap.name));
    met(EncounterKind::Mishap, &["outage, closed", "outage, 503", "time of 400", "time of 403"]);
    met(EncounterKind::Mishap, &["time of 404", "time of 501", "client gave up", "state busy"]);
    met(
        EncounterKind::Mishap,
        &["killed before a request", "killed after a request", "killed at any time"],
    );
    met(
        EncounterKind::Mishap,
        &["suspended", "stopped", "closed while paused", "sleep ends early"],
    );
    met(EncounterKind::Mishap, &["aborted by a lifecycle rule", "aborted and listed again"]);
    met(EncounterKind::Mishap, &["sealed payload vandalised", "garbage collection"]);
    met(EncounterKind::Path, &["waited for the grace", "aborted another's upload"]);
    met(EncounterKind::Path, &["went the multipart way after a single PUT"]);
    met(EncounterKind::Writer, &["sealed", "AlreadySealed", "Conflict", "Unavailable", "Unknown"]);
    met(EncounterKind::Writer, &["Denied", "Invalid", "Unsupported", "ended by itself", "killed"]);
    met(
        EncounterKind::Reader,
        &["read", "listed", "NotFound", "NotSealed", "Corrupt", "Unavailable"],
    );
    met(
        EncounterKind::Validator,
        &["passed", "failed", "missing recorded", "NotFound", "NotSealed"],
    );
    met(EncounterKind::Validator, &["Unavailable", "killed"]);
    met(EncounterKind::Consumer, &["consumed", "NotFound", "Unavailable"]);
    met(EncounterKind::Cleaner, &["removed", "gone", "young", "shown", "completed", "in use"]);
    met(EncounterKind::Cleaner, &["Unavailable", "Denied", "killed"]);
    met(EncounterKind::Mishap, &["completed and still listed", "seal vandalised"]);
    met(EncounterKind::Repairer, &["repaired", "intact", "Corrupt", "Unavailable", "killed"]);
}

#[test]
fn g05_no_writer_wrongly_succeeds_with_requests_of_any_delay() {
    let options = Options { lateness: Lateness::Unbounded, ..Options::default() };
    let summary = simulate_all(5001..10_001, options, THREADS);
    assert_eq!(summary.violation, None);
    let late = "corrupt by a request that was applied too late";
    assert_met(&summary.encounters, EncounterKind::Path, &[late]);
}

/// Returns the first seed in which the auditor detects a lie, and the violation.
fn detected(lie: Lie, seeds: u64) -> (u64, String) {
    let options = Options { lie: Some(lie), ..Options::default() };
    let summary = simulate_all(1..seeds + 1, options, THREADS);
    summary.violation.unwrap_or_else(|| panic!("{lie:?} is not noticed in {seeds} seeds"))
}

#[test]
fn every_broken_assumption_is_detected() {
    for lie in Lie::ALL {
        let (seed, violation) = detected(lie, 10_000);
        assert!(violation.starts_with('G'), "{lie:?} breaks a guarantee: {violation}");
        println!("{lie:?} is noticed at seed {seed}: {violation}");
    }
}
