//! Random landings: every cell matches directory and table, and plans lead
//! to a landing in which everything is validated.

use std::{collections::BTreeSet, fs};

use super::oracle::{Asked, Key, execute, expected};
use crate::{
    landing::Landing,
    random::{Random, rounds},
};

const SERIES: [[&str; 3]; 5] = [
    ["ads", "1", "a"],
    ["ads", "1", "b c"],
    ["ads", "o'brien & \"<!--\" $HOME", "a"],
    ["bing", "1-2", "<script>\u{2028}q"],
    // An expected customer without data.
    ["bing", "1", "<script>\u{2028}q"],
];
const DAYS: [&str; 5] = ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"];
const RUNS: [&str; 3] =
    ["2024-03-03T00:00:00.000Z", "2024-03-03T00:00:00.000Z-again", "2024-03-04"];

fn path([source, customer, query, day]: &Key) -> String {
    format!("{source}/customer_id={customer}/query_name={query}/logical_date={day}")
}

/// Returns the request for oracle and program.
fn asked(
    source: Option<&str>,
    customers: &[&str],
    queries: &[&str],
    days: [Option<&str>; 2],
) -> Asked {
    let owned = |text: &str| text.to_owned();
    let [since, until] = days.map(|day| day.map(owned));
    Asked {
        source: source.map(owned),
        customers: customers.iter().copied().map(owned).collect(),
        queries: queries.iter().copied().map(owned).collect(),
        since,
        until,
    }
}

fn args(asked: &Asked) -> Vec<String> {
    let mut args = vec!["coverage".to_owned()];
    args.extend(asked.source.clone());
    let joined = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(",");
    let sets = [("--customers", joined(&asked.customers)), ("--queries", joined(&asked.queries))];
    let days = [("--since", &asked.since), ("--until", &asked.until)];
    let days = days.map(|(name, day)| (name, day.clone().unwrap_or_default()));
    for (name, value) in sets.into_iter().chain(days).filter(|(_, value)| !value.is_empty()) {
        args.extend([name.to_owned(), value]);
    }
    args
}

fn below(random: &mut Random, limit: u64) -> usize {
    usize::try_from(random.below(limit)).unwrap()
}

/// Lands one run of a partition or a part of it, and validates it or not.
fn draw_run(landing: &Landing, random: &mut Random, key: &Key, run: &str) {
    let place = format!("{}/run_id={run}", path(key));
    match random.below(6) {
        0 | 1 => {}
        2 => {
            landing.file(&format!("data/raw/{place}/payload.jsonl"), "{}\n");
        }
        _ => {
            landing.feed(["write", &place], "{}\n".repeat(1 + below(random, 3))).exits(0);
            match random.below(4) {
                0 => {}
                1 => drop(landing.rawsink(["validate", &place, "--strict"]).exits(1)),
                _ => drop(landing.rawsink(["validate", &place])),
            }
        }
    }
}

/// Applies other changes than landing and validation.
fn mishap(landing: &Landing, random: &mut Random, key: &Key) {
    let dir = landing.dir().join("data/raw").join(path(key));
    let [source, customer, query, day] = key.clone().map(|part| part.replace('\'', "''"));
    let row = format!(
        "source = '{source}' AND customer_id = '{customer}' AND query_name = '{query}' AND logical_date = '{day}'"
    );
    match random.below(10) {
        // Deletes all runs, one run, or its seal.
        0 if dir.exists() => fs::remove_dir_all(dir).unwrap(),
        1 | 2 => {
            let run = dir.join(format!("run_id={}", RUNS[below(random, 3)]));
            let _ = fs::remove_dir_all(run);
        }
        3 => {
            let run = dir.join(format!("run_id={}", RUNS[below(random, 3)]));
            let _ = fs::remove_file(run.join("metadata.json"));
        }
        // Deletes the record, or creates one without a run.
        4 => execute(landing, &format!("DELETE FROM partition_state WHERE {row}")),
        5 => drop(landing.rawsink(["state", "backfill", &path(key)])),
        6 => drop(landing.rawsink(["state", "retry", &path(key)])),
        7 => {
            let run = format!("{}/run_id={}", path(key), RUNS[below(random, 3)]);
            landing.rawsink(["state", "withdraw", &run, "--reason", "wrong"]);
            if random.below(2) == 0 {
                landing.rawsink(["state", "restore", &run]);
            }
        }
        _ => {}
    }
}

fn drawn(random: &mut Random) -> Landing {
    let landing = Landing::new();
    landing.rawsink(["state", "init"]).exits(0);
    for [source, customer, query] in &SERIES[..4] {
        // A day in the middle without data of any customer.
        for day in DAYS.iter().filter(|day| **day != DAYS[2]) {
            let key = [source, customer, query, day].map(|part| (*part).to_owned());
            if random.below(5) > 0 {
                for run in RUNS {
                    draw_run(&landing, random, &key, run);
                }
                mishap(&landing, random, &key);
            }
        }
    }
    // The last day of one of them always exists.
    let last =
        SERIES[0].iter().chain([&DAYS[4]]).map(|part| (*part).to_owned()).collect::<Vec<_>>();
    landing.feed(["write", &path(&last.try_into().unwrap()), "--run-id", "9"], "{}\n").exits(0);
    landing
}

#[track_caller]
fn check(landing: &Landing, asked: &Asked) {
    let expected = expected(landing, asked);
    let answer = landing.rawsink([args(asked), vec!["--json".to_owned()]].concat());
    let cells = answer.json();
    for (cell, expected) in cells.iter().zip(&expected.cells) {
        assert_eq!(cell, expected, "{asked:?}");
    }
    assert_eq!(cells.len(), expected.cells.len(), "{asked:?}");
    assert_eq!(answer.stderr, expected.summary, "{asked:?}");
    answer.exits(expected.code);
}

/// Executes plans, with a stub as the extractor, until a plan is empty.
fn follow_plans(landing: &Landing, asked: &Asked) {
    let plan = || landing.rawsink([args(asked), vec!["--plan".to_owned()]].concat()).stdout;
    let mut rounds = 0;
    loop {
        let plan = plan();
        if plan.is_empty() {
            break;
        }
        rounds += 1;
        // Reset, validate, land, validate again.
        assert!(rounds <= 4, "after {rounds} rounds there is still {plan}");
        let lines = plan.lines().map(|line| match line.strip_prefix("# ") {
            Some(line) => line.replace("EXTRACT", "echo '{}'"),
            None => line.to_owned(),
        });
        landing.shell(&format!("set -eu\n{}", lines.collect::<Vec<_>>().join("\n"))).exits(0);
    }
}

#[test]
fn cells_match_directory_and_table_and_plans_complete_the_landing() {
    let mut random = Random::seeded("coverage");
    for _ in 0..rounds(2) {
        let landing = drawn(&mut random);
        let all = asked(None, &[], &[], [None; 2]);
        check(&landing, &all);
        let (one, other) = (DAYS[below(&mut random, 5)], DAYS[below(&mut random, 5)]);
        let [since, until] = if one < other { [one, other] } else { [other, one] };
        let names = asked(Some("ads"), &["1", "7"], &["a", "z"], [Some(since), Some(until)]);
        check(&landing, &names);
        check(
            &landing,
            &asked(
                Some("bing"),
                &["1", "1-2"],
                &["<script>\u{2028}q"],
                [Some("2024-02-26"), Some("2024-03-03")],
            ),
        );
        check(&landing, &asked(Some("ads"), &[], &[], [None, Some("2024-03-05")]));
        check(&landing, &asked(None, &[SERIES[2][1], "1"], &[], [None; 2]));
        let whole = asked(Some("ads"), &["1", "2"], &["a", "b c"], [Some(DAYS[0]), Some(DAYS[4])]);
        landing.rawsink(args(&whole)).exits(1);
        follow_plans(&landing, &whole);
        check(&landing, &whole);
        let answer = landing.rawsink(args(&whole)).exits(0);
        let answer =
            answer.says(&["validated, 0 sealed only, 0 unsealed, 0 failed, 0 missing, 0 lost"]);
        // A plan lands no partition of which an operator withdrew every run.
        let count = |what: &str| -> u32 {
            let before = answer.stderr.split(what).next().unwrap_or_default();
            before.rsplit(' ').next().unwrap_or_default().parse().unwrap()
        };
        assert_eq!(count(" validated") + count(" withdrawn"), 20, "{answer:?}");
    }
}
