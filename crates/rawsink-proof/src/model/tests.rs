//! What takes seconds: every small exploration, and every broken variant.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    Configuration, Leftovers, Requests, Store, Told, Variant,
    cases::{self, Case, Size},
    properties::ALL,
    report::{self, Found, explore},
};

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/proof.md")).unwrap()
}

/// Explores the small cases that are wanted, and compares what was found with what is expected and
/// with what the page says.
fn check(wanted: impl Fn(&Configuration) -> bool) -> Vec<(Case, Found)> {
    let page = page();
    let mut all = Vec::new();
    for case in cases::cases() {
        if case.size != Size::Small || !wanted(&case.configuration) {
            continue;
        }
        let found = explore(case.configuration.clone(), 1);
        assert!(found.broken.iter().eq(case.breaks), "{case:?}: {found:?}");
        let row = report::counted(&case.configuration, &found);
        assert!(page.contains(&row), "docs/proof.md is old (`make model` tells): {row}");
        all.push((case, found));
    }
    assert!(!all.is_empty());
    all
}

fn check_two(store: Store, leftovers: Leftovers) {
    let cases = check(|configuration| {
        (configuration.writers, configuration.store, configuration.leftovers)
            == (2, store, leftovers)
    });
    let late =
        |(case, _): &&(Case, Found)| case.configuration.requests == Requests::MayOutliveGrace;
    assert!(cases.iter().any(|case| late(&case)) && !cases.iter().all(|case| late(&case)));
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_enforced_and_leftovers_refused() {
    check_two(Store::Enforcing, Leftovers::Refused);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_enforced_and_leftovers_replaced() {
    check_two(Store::Enforcing, Leftovers::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_ignored_and_leftovers_refused() {
    check_two(Store::Ignoring, Leftovers::Refused);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_conditions_are_ignored_and_leftovers_replaced() {
    check_two(Store::Ignoring, Leftovers::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_ended_uploads_are_listed_again() {
    check_two(Store::Echoing, Leftovers::Refused);
    check_two(Store::Echoing, Leftovers::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_where_an_abort_ruins_a_complete_and_requests_end_in_time() {
    check_two(Store::Ruining, Leftovers::Refused);
    check_two(Store::Ruining, Leftovers::Replaced);
}

#[test]
fn g03_g04_g05_g06_g07_g08_g09_hold_between_three_writers() {
    check(|configuration| configuration.writers == 3);
}

#[test]
fn g09_a_lone_writer_meets_nobody() {
    for (_, found) in check(|configuration| configuration.writers == 1) {
        let strange = [Told::AlreadySealed, Told::Corrupt];
        assert!(
            found.told.contains(&Told::Sealed) && strange.iter().all(|t| !found.told.contains(t))
        );
    }
    let plain = Configuration { writers: 1, ..Configuration::PLAIN };
    assert_eq!(explore(plain, 1).told, [Told::Sealed], "where nothing goes wrong");
}

#[test]
fn every_outcome_is_told_where_requests_are_applied_at_any_time() {
    let all = cases::cases().into_iter().filter(|case| {
        let configuration = &case.configuration;
        case.size == Size::Small
            && configuration.requests == Requests::MayOutliveGrace
            && (configuration.store, configuration.leftovers)
                == (Store::Enforcing, Leftovers::Replaced)
    });
    for case in all {
        assert_eq!(explore(case.configuration, 1).told, Told::ALL);
    }
}

#[test]
fn every_broken_variant_is_noticed_and_only_because_it_is_broken() {
    let broken = cases::broken();
    assert_eq!(broken.len(), Variant::BROKEN.len());
    let mut noticed = BTreeSet::new();
    for cases::Broken { configuration, property } in broken {
        let variant = configuration.variant;
        let sound = report::counter_example(report::unbroken(&configuration), property);
        assert_eq!(sound, None, "{variant:?} is not to blame for {property}");
        let story = report::counter_example(configuration, property);
        assert!(story.is_some(), "{variant:?} does not break {property}");
        noticed.insert(property);
    }
    // G02 falls with each of the others that it stands on.
    assert!(ALL.iter().all(|property| noticed.contains(property) || property.starts_with("G02")));
}

#[test]
fn what_is_outside_the_assumptions_is_found_and_told_on_the_page() {
    let page = page();
    for cases::Outside { title, configuration, property } in cases::outside() {
        let story = report::counter_example(configuration, property).unwrap();
        assert!(page.contains(&story), "{title}: docs/proof.md is old\n{story}");
    }
}
