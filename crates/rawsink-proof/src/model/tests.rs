//! Every small exploration and every broken variant: seconds.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    Configuration, OnLeftover, RequestDelay, ServerKind, Variant, WriterResult,
    cases::{self, Exploration, ExplorationSize},
    counter_examples,
    properties::ALL,
    report::{self, ExplorationResult, explore},
};

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/proof.md")).unwrap()
}

/// Explores the selected small cases, and compares the results with the expected ones and with the page.
fn check(wanted: impl Fn(&Configuration) -> bool) -> Vec<(Exploration, ExplorationResult)> {
    let page = page();
    let mut all = Vec::new();
    for case in cases::cases() {
        if case.size != ExplorationSize::Small || !wanted(&case.configuration) {
            continue;
        }
        let found = explore(case.configuration.clone(), 1);
        assert!(found.broken.iter().eq(case.breaks), "{case:?}: {found:?}");
        let row = report::counted(&case.configuration, &found);
        assert!(page.contains(&row), "docs/proof.md is outdated (run `make model`): {row}");
        all.push((case, found));
    }
    assert!(!all.is_empty());
    all
}

fn check_two(store: ServerKind, leftovers: OnLeftover) {
    let cases = check(|configuration| {
        (configuration.writers, configuration.store, configuration.leftovers)
            == (2, store, leftovers)
    });
    let late = |(case, _): &&(Exploration, ExplorationResult)| {
        case.configuration.requests == RequestDelay::MayOutliveGrace
    };
    assert!(cases.iter().any(|case| late(&case)) && !cases.iter().all(|case| late(&case)));
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_enforced_and_leftovers_refused() {
    check_two(ServerKind::Enforcing, OnLeftover::Refused);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_enforced_and_leftovers_replaced() {
    check_two(ServerKind::Enforcing, OnLeftover::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_ignored_and_leftovers_refused() {
    check_two(ServerKind::Ignoring, OnLeftover::Refused);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_ignored_and_leftovers_replaced() {
    check_two(ServerKind::Ignoring, OnLeftover::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_aborted_uploads_are_listed_again() {
    check_two(ServerKind::Echoing, OnLeftover::Refused);
    check_two(ServerKind::Echoing, OnLeftover::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_an_abort_breaks_a_complete_and_requests_end_in_time() {
    check_two(ServerKind::Ruining, OnLeftover::Refused);
    check_two(ServerKind::Ruining, OnLeftover::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_between_three_writers() {
    check(|configuration| configuration.writers == 3);
}

#[test]
fn g09_a_lone_writer_has_no_rival() {
    for (_, found) in check(|configuration| configuration.writers == 1) {
        let strange = [WriterResult::AlreadySealed, WriterResult::Corrupt];
        assert!(
            found.results.contains(&WriterResult::Sealed)
                && strange.iter().all(|t| !found.results.contains(t))
        );
    }
    let plain = Configuration { writers: 1, ..Configuration::PLAIN };
    assert_eq!(explore(plain, 1).results, [WriterResult::Sealed], "where nothing goes wrong");
}

#[test]
fn counter_examples_name_functions_of_the_protocol() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rawsink/src/store/s3");
    let mut files = vec![root.join("protocol.rs"), root.join("upload.rs")];
    files.extend(fs::read_dir(root.join("protocol")).unwrap().map(|file| file.unwrap().path()));
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let page = page();
    let events = page.lines().filter_map(|row| row.split(" | ").nth(2)?.split_once(": "));
    let names: BTreeSet<_> = events
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    let unknown: Vec<_> =
        names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_result_occurs_where_requests_are_applied_at_any_time() {
    let all = cases::cases().into_iter().filter(|case| {
        let configuration = &case.configuration;
        case.size == ExplorationSize::Small
            && configuration.requests == RequestDelay::MayOutliveGrace
            && (configuration.store, configuration.leftovers)
                == (ServerKind::Enforcing, OnLeftover::Replaced)
    });
    for case in all {
        assert_eq!(explore(case.configuration, 1).results, WriterResult::ALL);
    }
}

#[test]
fn every_broken_variant_is_detected_and_only_because_it_is_broken() {
    let broken = counter_examples::broken();
    assert_eq!(broken.len(), Variant::BROKEN.len());
    let mut noticed = BTreeSet::new();
    for counter_examples::BrokenVariant { configuration, property } in broken {
        let variant = configuration.variant;
        let sound = report::counter_example(report::unbroken(&configuration), property);
        assert_eq!(sound, None, "{variant:?} is not to blame for {property}");
        let story = report::counter_example(configuration, property);
        assert!(story.is_some(), "{variant:?} does not break {property}");
        noticed.insert(property);
    }
    // G02 fails together with the others.
    assert!(ALL.iter().all(|property| noticed.contains(property) || property.starts_with("G02")));
}

#[test]
fn the_page_shows_the_results_of_violated_assumptions() {
    let page = page();
    for counter_examples::OutsideAssumption { title, configuration, property } in
        counter_examples::outside()
    {
        let story = report::counter_example(configuration, property).unwrap();
        assert!(page.contains(&story), "{title}: docs/proof.md is outdated\n{story}");
    }
}
