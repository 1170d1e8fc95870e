//! Every exploration and every planted bug: seconds.

use std::{fs, path::Path};

use super::{Planted, report};

#[test]
fn g13_g14_and_the_others_hold_and_the_page_shows_the_results() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/proof.md")).unwrap();
    let (section, is_expected) = report::section();
    assert!(is_expected, "{section}");
    assert!(page.contains(&section), "docs/proof.md is outdated (run `make model`):\n{section}");
}

#[test]
fn every_planted_bug_is_noticed_and_only_because_it_is_planted() {
    for bug in Planted::BUGS {
        assert!(report::counter_example(bug).is_some(), "{bug:?}");
    }
    assert_eq!(report::counter_example(Planted::Nothing), None);
}
