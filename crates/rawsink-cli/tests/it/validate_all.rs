//! `validate --all`: selection, concurrency, exit codes.

use std::{
    io::{BufRead, BufReader},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    landing::{Answer, Landing, RUN},
    running::Running,
};

/// Stores a run as other software would seal it; its metadata declares one row.
fn put(landing: &Landing, customer: &str, day: u32, rows: &str) {
    let path = path(customer, day);
    landing.file(&format!("data/raw/{path}/payload.jsonl"), rows);
    landing.file(&format!("data/raw/{path}/metadata.json"), r#"{"record_count":1}"#);
}

fn path(customer: &str, day: u32) -> String {
    format!("ads/customer_id={customer}/query_name=q/logical_date=2024-06-{day:02}/run_id={RUN}")
}

fn verdicts(answer: &Answer) -> Vec<(String, bool)> {
    let mut judged: Vec<_> = answer
        .json()
        .iter()
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line["passed"].as_bool().unwrap()))
        .collect();
    judged.sort();
    judged
}

fn states(landing: &Landing) -> Vec<Value> {
    landing.rawsink(["state", "list", "--json"]).exits(0).json()
}

fn attempts(landing: &Landing) -> Vec<u64> {
    states(landing).iter().map(|state| state["attempt_count"].as_u64().unwrap()).collect()
}

#[test]
fn every_verdict_is_a_line_and_the_exit_code_is_the_worst() {
    let landing = Landing::new();
    assert_eq!(landing.rawsink(["validate", "--all"]).exits(0).stdout, "");
    for (customer, rows) in [("1", "{}\n"), ("2", "{}\n{}\n"), ("3", "{}\n")] {
        put(&landing, customer, 1, rows);
    }
    let answer = landing.rawsink(["validate", "--all", "--json"]).exits(1);
    let expected = [(path("1", 1), true), (path("2", 1), false), (path("3", 1), true)];
    assert_eq!(verdicts(&answer), expected);
    assert!(answer.json()[0]["state"]["attempt_count"] == 1, "{answer:?}");
    answer.says(&[
        &format!("fault: {}: the payload has 2 rows", path("2", 1)),
        "3 partitions compared, 3 runs validated: 2 passed, 1 failed (3 with warnings)",
    ]);
    let again = landing.rawsink(["validate", "--all"]).exits(0);
    assert_eq!(again.stdout, "");
    again.says(&["3 partitions compared, 0 runs validated"]);
    // A run sealed by newer software cannot be validated: this is worse than a failed run.
    put(&landing, "4", 1, "not a row\n");
    put(&landing, "5", 1, "{}\n");
    landing.file(&format!("data/raw/{}/metadata.json", path("5", 1)), r#"{"_seal":{"format":2}}"#);
    let answer = landing.rawsink(["validate", "--all"]).exits(4);
    assert_eq!(answer.stdout, format!("{}\tfailed\n", path("4", 1)));
    answer.says(&[
        &format!("error[Unsupported]: {}: ", path("5", 1)),
        "error[Unsupported]: not all runs were validated: 1 error, see above",
    ]);
    assert_eq!(attempts(&landing), [1, 1, 1, 1]);
}

#[test]
fn only_selected_runs_are_validated() {
    let landing = Landing::new();
    for customer in ["1", "2"] {
        for day in 1..=3 {
            put(&landing, customer, day, "{}\n");
        }
    }
    for (args, expected) in [
        (&["--since", "2024-06-03"][..], vec![path("1", 3), path("2", 3)]),
        (&["ads/customer_id=2", "--until", "2024-06-01"], vec![path("2", 1)]),
        (&["--customer", "2", "--query", "other"], vec![]),
        (&["data/raw/ads/customer_id=2/query_name=q"], vec![path("2", 2)]),
        (&["--customer", "1", "--jobs", "1"], vec![path("1", 1), path("1", 2)]),
        (&[], vec![]),
    ] {
        let answer = landing.rawsink([&["validate", "--all", "--json"], args].concat()).exits(0);
        let paths: Vec<_> = verdicts(&answer).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, expected, "{args:?}");
    }
}

#[test]
fn a_call_with_too_few_or_too_many_arguments_changes_nothing() {
    let landing = Landing::new();
    put(&landing, "1", 1, "{}\n");
    let run = path("1", 1);
    for args in [
        &["validate"][..],
        &["validate", &run, "--since", "2024-06-01"],
        &["validate", &run, "--shard", "1/2"],
        &["validate", "--all", &run],
        &["validate", "--all", "--latest"],
        &["validate", "--all", "--jobs", "0"],
        &["validate", "--all", "--shard", "3/2"],
        &["validate", "--all", "ads/customer_id=1", "--customer", "1"],
    ] {
        landing.rawsink(args).exits(2);
    }
    assert_eq!(states(&landing), [] as [Value; 0]);
}

/// Lets eight processes validate sixty partitions in parallel, one shard each; then all of them. Each run
/// gets one verdict.
pub(crate) fn processes(landing: &Landing) {
    for customer in 0..20 {
        for day in 1..=3 {
            put(landing, &customer.to_string(), day, "{}\n");
        }
    }
    let all = |shard: Option<usize>| {
        let shard = shard.map(|number| format!("--shard={number}/8"));
        let args = ["validate", "--all", "--json"].map(str::to_owned).into_iter().chain(shard);
        verdicts(&Running::start(landing.command(args)).finish().exits(0))
    };
    let together = |sharded: bool| {
        thread::scope(|scope| {
            let start = |number| scope.spawn(move || all(sharded.then_some(number)));
            let processes: Vec<_> = (1..=8).map(start).collect();
            processes.into_iter().flat_map(|process| process.join().unwrap()).collect::<Vec<_>>()
        })
    };
    let mut told = together(true);
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 60, "each is in one share");
    assert_eq!(attempts(landing), [1; 60]);
    for customer in 0..20 {
        for day in 11..=13 {
            put(landing, &customer.to_string(), day, "{}\n");
        }
    }
    let told = together(false);
    assert_eq!(told.len(), 60, "each verdict is printed by the process that recorded it");
    assert_eq!(attempts(landing), [1; 120]);
}

#[test]
fn g14_processes_that_validate_all_in_parallel_lose_no_update() {
    processes(&Landing::new());
}

#[test]
fn a_signal_leaves_the_rest_for_the_next_call() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let landing = Landing::new();
        for customer in 0..1_000 {
            for day in 1..=2 {
                put(&landing, &customer.to_string(), day, "{}\n");
            }
        }
        let mut running = Running::start(landing.command(["validate", "--all"]));
        let mut first = String::new();
        let mut stdout = BufReader::new(running.child().stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        running.signal(signal);
        let told = 1 + stdout.lines().count();
        running.end().exits(code).says(&["interrupted by a signal; ", "partitions compared"]);
        assert!(told < 2_000, "it was over before the signal");
        assert_eq!(states(&landing).len(), told, "everything that is recorded is printed");
        let next = landing.rawsink(["validate", "--all"]).exits(0);
        assert_eq!(next.stdout.lines().count(), 2_000 - told);
        assert_eq!(attempts(&landing), [1; 2_000]);
    }
}
