//! The explorations of authority and their results in Markdown.

use std::{collections::BTreeSet, fmt::Write as _};

use stateright::{Checker, HasDiscoveries, Model};

use super::{Authority, Bounds, G13, G14, JUDGED_ONCE, NEWEST, Planted, REPLAY, WITHDRAWN};
use crate::words::thousands;

/// All properties.
const ALL: [&str; 6] = [G13, G14, JUDGED_ONCE, WITHDRAWN, REPLAY, NEWEST];

const PLAIN: Bounds = Bounds {
    runs: &[true, true],
    batches: 2,
    explicit: 0,
    withdrawals: 1,
    restores: 1,
    retries: 0,
    resets: 0,
    planted: Planted::Nothing,
};

/// Returns every exploration.
pub fn explorations() -> Vec<Bounds> {
    let none = Bounds { withdrawals: 0, restores: 0, ..PLAIN };
    vec![
        PLAIN,
        Bounds { runs: &[true, false], explicit: 1, retries: 1, ..none.clone() },
        Bounds { explicit: 1, withdrawals: 2, restores: 2, ..PLAIN },
        Bounds { withdrawals: 1, restores: 1, resets: 2, ..PLAIN },
        Bounds { runs: &[true, false, true], explicit: 1, withdrawals: 2, ..PLAIN },
        Bounds {
            runs: &[true, false, true],
            resets: 1,
            retries: 1,
            withdrawals: 1,
            ..none.clone()
        },
        Bounds { runs: &[true, false], batches: 3, explicit: 1, retries: 1, resets: 1, ..PLAIN },
        Bounds { runs: &[false, true, true], explicit: 1, resets: 2, retries: 1, ..none },
    ]
}

/// Returns the exploration that notices a planted bug.
pub fn planted(bug: Planted) -> Bounds {
    Bounds { planted: bug, ..PLAIN }
}

/// Explores, and returns the row of the table and the properties that do not hold.
pub fn explore(bounds: &Bounds) -> (String, BTreeSet<&'static str>) {
    let checker = Authority::new(bounds.clone()).checker().spawn_dfs().join();
    let broken: BTreeSet<_> = checker.discoveries().into_keys().collect();
    let runs: Vec<_> =
        bounds.runs.iter().map(|passes| if *passes { "good" } else { "bad" }).collect();
    let Bounds { batches, explicit, withdrawals, restores, retries, resets, .. } = bounds;
    let counts = [
        (batches, "validate --all"),
        (explicit, "validate RUN"),
        (withdrawals, "withdraw"),
        (restores, "restore"),
        (retries, "retry"),
        (resets, "set to pending by other software"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| **count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let (states, transitions) =
        (thousands(checker.unique_state_count()), thousands(checker.state_count()));
    let found = if broken.is_empty() {
        "-".to_owned()
    } else {
        broken.iter().copied().collect::<Vec<_>>().join("; ")
    };
    let row = format!(
        "| {} | {} | {states} | {transitions} | {found} |\n",
        runs.join(", "),
        counts.join(", ")
    );
    (row, broken)
}

/// Returns the shortest steps that break a property under a planted bug; `None` if nothing breaks.
pub fn counter_example(bug: Planted) -> Option<(&'static str, usize)> {
    let finish = HasDiscoveries::AnyOf(ALL.into());
    let checker = Authority::new(planted(bug)).checker().finish_when(finish).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let steps = |path: &stateright::Path<_, _>| path.clone().into_actions().len();
    discoveries
        .iter()
        .map(|(property, path)| (*property, steps(path)))
        .min_by_key(|(property, steps)| (*steps, *property))
}

/// Returns the section of the page, and whether everything is as expected.
pub fn section() -> (String, bool) {
    let (mut text, mut is_expected) = (String::new(), true);
    for property in ALL {
        writeln!(text, "- {property}").expect("a string takes it");
    }
    text.push_str(
        "\n| runs | calls | states | transitions | does not hold |\n|---|---|--:|--:|---|\n",
    );
    for bounds in explorations() {
        let (row, broken) = explore(&bounds);
        is_expected &= broken.is_empty();
        text.push_str(&row);
    }
    text.push_str("\n| planted bug | breaks | after steps |\n|---|---|--:|\n");
    for bug in Planted::BUGS {
        let found = counter_example(bug);
        is_expected &= found.is_some();
        let (property, steps) = found.unwrap_or(("not noticed", 0));
        writeln!(text, "| {} | {property} | {steps} |", bug.description())
            .expect("a string takes it");
    }
    (text, is_expected)
}
