//! The guarantees hold, every fault and outcome is met, and a broken assumption is noticed.

use std::num::NonZero;

use super::{
    Coverage, Kind, Lateness, Lie, Options, Telling, faults::FAULTS, simulate, simulate_all,
};

const THREADS: NonZero<usize> = NonZero::new(2).unwrap();

fn assert_met(coverage: &Coverage, kind: Kind, names: &[&str]) {
    let missing: Vec<_> = names.iter().filter(|name| coverage.count(kind, name) == 0).collect();
    assert!(missing.is_empty(), "{kind:?} without {missing:?}\n{coverage}");
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    let options = Options { telling: Telling::Every, ..Options::default() };
    let mut digests = std::collections::BTreeSet::new();
    for seed in 1..=300 {
        let (first, second) = (simulate(seed, options), simulate(seed, options));
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.digest, simulate(seed, Options::default()).digest, "silent, seed {seed}");
        digests.insert(first.digest);
    }
    assert_eq!(digests.len(), 300, "other seeds tell other stories");
}

/// G01 to G06, G08 to G10, G12 to G15 and G18, by the auditor.
#[test]
fn g03_g04_g05_g06_and_the_others_hold_while_every_fault_and_every_outcome_is_met() {
    let summary = simulate_all(1..5001, Options::default(), THREADS);
    assert_eq!(summary.violation, None);
    let met = |kind, names: &[&str]| assert_met(&summary.coverage, kind, names);
    met(Kind::Fault, &FAULTS.map(|fault| fault.name));
    met(Kind::Fault, &["outage, closed", "outage, 503", "time of 400", "time of 403"]);
    met(Kind::Fault, &["time of 404", "time of 501", "client gave up", "state busy"]);
    met(Kind::Fault, &["killed before a request", "killed after a request", "killed at any time"]);
    met(Kind::Fault, &["suspended", "stopped", "closed while standing still", "sleep ends early"]);
    met(Kind::Fault, &["ended by a lifecycle rule", "ended and listed again"]);
    met(Kind::Fault, &["sealed payload vandalised", "garbage collection"]);
    met(Kind::Path, &["waited for the grace", "ended another's upload"]);
    met(Kind::Path, &["went the multipart way after a single PUT"]);
    met(Kind::Writer, &["sealed", "AlreadySealed", "Conflict", "Unavailable", "Unknown"]);
    met(Kind::Writer, &["Denied", "Invalid", "Unsupported", "ended by itself", "killed"]);
    met(Kind::Reader, &["read", "listed", "NotFound", "NotSealed", "Corrupt", "Unavailable"]);
    met(Kind::Validator, &["passed", "failed", "missing recorded", "NotFound", "NotSealed"]);
    met(Kind::Validator, &["Unavailable", "killed"]);
    met(Kind::Consumer, &["consumed", "NotFound", "Unavailable"]);
    met(Kind::Cleaner, &["removed", "gone", "young", "shown", "completed", "in use"]);
    met(Kind::Cleaner, &["Unavailable", "Denied", "killed"]);
    met(Kind::Fault, &["completed and still listed"]);
}

#[test]
fn g05_nobody_is_told_sealed_wrongly_however_late_a_request_is_applied() {
    let options = Options { lateness: Lateness::Unbounded, ..Options::default() };
    let summary = simulate_all(5001..10_001, options, THREADS);
    assert_eq!(summary.violation, None);
    let late = "corrupt by a request that was applied too late";
    assert_met(&summary.coverage, Kind::Path, &[late]);
}

/// Returns how many seeds it takes until a lie is noticed, and what was noticed.
fn noticed(lie: Lie, seeds: u64) -> (u64, String) {
    let options = Options { lie: Some(lie), ..Options::default() };
    let summary = simulate_all(1..seeds + 1, options, THREADS);
    summary.violation.unwrap_or_else(|| panic!("{lie:?} is not noticed in {seeds} seeds"))
}

#[test]
fn a_server_that_breaks_an_assumption_is_noticed() {
    for lie in Lie::ALL {
        let (seed, violation) = noticed(lie, 10_000);
        assert!(violation.starts_with('G'), "{lie:?} breaks a guarantee: {violation}");
        println!("{lie:?} is noticed at seed {seed}: {violation}");
    }
}
