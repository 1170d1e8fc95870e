//! `scrub`: lines, hints, exit codes, samples, interruptions.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    landing::{Answer, Landing, PARTITION, RUN, replace, run_path},
    running::Running,
};

const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n";

/// Returns the path of a partition of a customer.
fn partition(customer: &str) -> String {
    PARTITION.replace("123", customer)
}

/// Lands and validates a run for each customer.
fn validated(customers: &[&str]) -> Landing {
    let landing = Landing::new();
    for customer in customers {
        let path = partition(customer);
        landing.feed(["write", &path, "--run-id", RUN, "--then-validate"], ROWS).exits(0);
    }
    landing
}

/// Returns the path of an object of a customer's run.
fn object(landing: &Landing, customer: &str, name: &str) -> std::path::PathBuf {
    landing
        .run_dir(RUN)
        .join(name)
        .to_str()
        .unwrap()
        .replace("=123", &format!("={customer}"))
        .into()
}

/// Damages the runs of some customers, each in another way.
fn damage(landing: &Landing) {
    let payload = |customer: &str| object(landing, customer, "payload.jsonl");
    let seal = |customer: &str| object(landing, customer, "metadata.json");
    replace(payload("1"), ROWS.replace('2', "3"));
    replace(payload("2"), &ROWS[..8]);
    fs::remove_file(payload("3")).unwrap();
    replace(seal("4"), "{");
    fs::remove_file(seal("5")).unwrap();
    // The same run again, as long as before, with other rows.
    fs::remove_file(seal("6")).unwrap();
    landing.feed(["write", &partition("6"), "--run-id", RUN], ROWS.replace('2', "3")).exits(0);
    fs::remove_dir_all(payload("7").parent().unwrap()).unwrap();
}

const CUSTOMERS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];

/// Returns customer and damage of each line, sorted.
fn damages(answer: &Answer) -> Vec<(String, String)> {
    let customer = |path: &str| path.split(['=', '/']).nth(2).unwrap().to_owned();
    let mut damages: Vec<_> = answer
        .json()
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (customer(&text("path")), text("damage"))
        })
        .collect();
    damages.sort();
    damages
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[test]
fn intact_runs_are_counted_and_print_no_line() {
    let landing = Landing::new();
    let answer = landing.rawsink(["scrub"]).exits(0);
    assert_eq!(answer.stdout, "");
    answer.says(&["nothing to scrub; RAW_SINK_ROOT="]);
    landing
        .rawsink(["scrub", "--current"])
        .exits(0)
        .says(&["no run has authority; RAW_SINK_STATE_URL="]);
    let landing = validated(&["1", "2"]);
    landing.land("2024-06-03T00:00:00.000Z", ROWS);
    let before = landing.snapshot();
    for (args, summary) in [
        (&["scrub"][..], "3 runs, 48 B read: 3 intact\n"),
        (&["scrub", "--current"], "2 runs, 32 B read: 2 intact\n"),
        (&["scrub", "google_ads/customer_id=2"], "1 run, 16 B read: 1 intact\n"),
        (&["scrub", "--customer", "2", "--current"], "1 run, 16 B read: 1 intact\n"),
    ] {
        let answer = landing.rawsink(args).exits(0);
        assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", summary), "{args:?}");
    }
    assert!(landing.snapshot() == before, "a scrub writes nothing");
}

#[test]
fn each_damaged_run_is_a_line_with_a_hint() {
    let landing = validated(&CUSTOMERS);
    damage(&landing);
    let before = landing.snapshot();
    let answer = landing.rawsink(["scrub", "--json"]).exits(5);
    let mut expected = pairs(&[
        ("1", "payload_differs"),
        ("2", "payload_differs"),
        ("3", "payload_missing"),
        ("4", "seal_unreadable"),
        ("5", "lost"),
        ("6", "seal_replaced"),
    ]);
    assert_eq!(damages(&answer), expected);
    for line in answer.json() {
        assert_eq!((&line["has_authority"], &line["recorded"]), (&true.into(), &false.into()));
        assert!(line["hint"].as_str().unwrap().contains("rawsink "), "{line}");
    }
    answer.says(&[
        "7 runs, ",
        ": 1 intact, 2 payload_differs, 1 payload_missing, 1 seal_unreadable, 1 seal_replaced, 1 lost\n",
        "\"message\":\"6 runs are damaged or lost, see above\"",
    ]);
    // A run without any file is known from the state alone.
    let answer = landing.rawsink(["scrub", "--current", "--json"]).exits(5);
    expected.push(("7".to_owned(), "lost".to_owned()));
    assert_eq!(damages(&answer), expected);
    let text = landing.rawsink(["scrub", "google_ads/customer_id=1"]).exits(5);
    let line =
        format!("{}/run_id={RUN}\tpayload_differs\tthe payload has SHA-256 ", partition("1"));
    assert!(text.stdout.starts_with(&line) && text.stdout.lines().count() == 1, "{text:?}");
    let record = format!("without a copy, run \"rawsink scrub {} --record\"", partition("1"));
    text.says(&[
        "hint: repair it from an intact copy: rawsink copy --repair",
        &record,
        "error[Corrupt]: 1 run is damaged or lost, see above",
    ]);
    assert!(landing.snapshot() == before, "a scrub without --record writes nothing");
}

#[test]
fn the_hint_for_a_lost_or_replaced_run_can_be_followed() {
    let landing = validated(&["5", "6"]);
    fs::remove_file(object(&landing, "5", "metadata.json")).unwrap();
    fs::remove_file(object(&landing, "6", "metadata.json")).unwrap();
    landing.feed(["write", &partition("6"), "--run-id", RUN], "{\"n\":7}\n").exits(0);
    let lines = landing.rawsink(["scrub", "--json"]).exits(5).json();
    for line in &lines {
        for command in
            line["hint"].as_str().unwrap().split('"').filter(|text| text.starts_with("rawsink "))
        {
            let answer = landing.shell(command);
            assert!(matches!(answer.code, Some(0 | 1)), "{command}: {answer:?}");
        }
    }
    // The stored rows of the one were accepted; a plan lands the other anew.
    assert_eq!(
        landing.rawsink(["read", &partition("6"), "--current"]).exits(0).stdout,
        "{\"n\":7}\n"
    );
    let plan = ["coverage", "--plan", "--command", "echo '{\"n\":8}'", "--fail-on", "missing"];
    let plan = landing.rawsink(plan).stdout;
    landing.shell(&plan).exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    assert_eq!(
        landing.rawsink(["read", &partition("5"), "--current"]).exits(0).stdout,
        "{\"n\":8}\n"
    );
    landing.rawsink(["scrub", "--current"]).exits(0);
}

#[test]
fn g13_record_ends_the_authority_of_damaged_runs() {
    let landing = validated(&CUSTOMERS);
    damage(&landing);
    let answer = landing.rawsink(["scrub", "--record", "--json"]).exits(5);
    for line in answer.json() {
        assert_eq!(line["recorded"], line["damage"] != "lost", "{line}");
    }
    for (customer, status) in [("1", "failed"), ("5", "success"), ("6", "failed"), ("8", "success")]
    {
        let show = ["state", "show", &partition(customer), "--json"];
        let state = &landing.rawsink(show).exits(0).json()[0];
        assert_eq!((&state["status"], &state["current_run_id"]), (&status.into(), &RUN.into()));
        let reason = state["error_message"].as_str().unwrap_or_default();
        assert_eq!(reason.starts_with(&format!("run {RUN}: ")), status == "failed", "{state}");
    }
    let history = landing.rawsink(["state", "history", &partition("6"), "--json"]).exits(0).json();
    let verdicts: Vec<_> = history.iter().map(|entry| &entry["verdict"]).collect();
    assert_eq!(verdicts, ["passed", "failed"]);
    landing.rawsink(["read", &partition("1"), "--current"]).exits(3).one_error("NotFound");
    // The replaced run is not validated again by itself; a new run gets authority.
    landing.rawsink(["validate", "--all"]).exits(0);
    landing.rawsink(["read", &partition("6"), "--current"]).exits(3);
    let newer = "2024-06-03T00:00:00.000Z";
    landing.feed(["write", &partition("1"), "--run-id", newer], "{\"n\":9}\n").exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    let read = landing.rawsink(["read", &partition("1"), "--current"]).exits(0);
    assert_eq!(read.stdout, "{\"n\":9}\n");
}

#[test]
fn an_empty_storage_is_not_intact_if_the_state_names_runs() {
    let landing = validated(&["1", "2"]);
    fs::rename(landing.dir().join("data/raw"), landing.dir().join("unmounted")).unwrap();
    fs::create_dir(landing.dir().join("data/raw")).unwrap();
    let said =
        "error[Corrupt]: the storage has no sealed run here, but the state gives authority to ";
    landing.rawsink(["scrub"]).exits(5).says(&["nothing to scrub", said, "2 runs"]);
    landing.rawsink(["scrub", "google_ads/customer_id=1"]).exits(5).says(&[said, "1 run\n"]);
    landing.rawsink(["scrub", "google_ads/customer_id=3"]).exits(0).says(&["nothing to scrub"]);
    assert_eq!(landing.rawsink(["scrub", "--current"]).exits(5).stdout.lines().count(), 2);
}

#[test]
fn on_a_terminal_the_runs_are_counted_first() {
    let landing = validated(&["1", "2"]).with("TERM", "xterm");
    for command in ["rawsink scrub", "rawsink scrub --current"] {
        let answer = landing.shell(&format!("script -qec '{command}' /dev/null")).exits(0);
        assert!(answer.stdout.contains("2 runs, 32 B read: 2 intact"), "{answer:?}");
    }
}

#[test]
fn a_run_that_cannot_be_read_is_no_damage_and_stops_no_other() {
    let landing = validated(&["1", "2", "3"]);
    replace(object(&landing, "2", "metadata.json"), r#"{"_seal":{"format":2}}"#);
    let answer = landing.rawsink(["scrub"]).exits(4);
    assert_eq!(answer.stdout, "");
    answer.says(&[
        &format!("error[Unsupported]: {}/run_id={RUN}: ", partition("2")),
        "3 runs, 32 B read: 2 intact, 1 not read",
        "error[Unsupported]: not all runs were read: 1 error, see above",
    ]);
    // Damage is graver.
    replace(object(&landing, "3", "payload.jsonl"), "{}\n");
    landing.rawsink(["scrub"]).exits(5).says(&["1 intact, 1 payload_differs, 1 not read"]);
}

#[test]
fn a_sample_can_be_repeated_by_its_seed() {
    let landing = Landing::new();
    for customer in 0..60 {
        put_damaged(&landing, customer);
    }
    let sample = |args: &[&str]| {
        let all = [&["scrub", "--sample", "20%", "--json"], args].concat();
        let answer = landing.rawsink(all);
        let seed = answer.stderr.split("--seed ").nth(1).unwrap().split(' ').next().unwrap();
        (seed.to_owned(), damages(&answer), answer.stderr.clone())
    };
    let (seed, drawn, said) = sample(&["--seed", "1"]);
    assert_eq!(seed, "1");
    assert!((4..25).contains(&drawn.len()), "{drawn:?}");
    assert!(
        said.contains(&format!("sample of 20%: {} of 60 runs; --seed 1", drawn.len())),
        "{said}"
    );
    assert_eq!(sample(&["--seed", "1"]).1, drawn);
    assert_ne!(sample(&["--seed", "2"]).1, drawn);
    let (seed, drawn, _) = sample(&[]);
    assert_eq!(sample(&["--seed", &seed]).1, drawn);
    assert_ne!(sample(&[]).0, seed, "each call has a new seed");
}

#[test]
fn a_malformed_call_reads_nothing() {
    let landing = validated(&["1"]);
    for args in [
        &["--seed", "1"][..],
        &["--sample", "5"],
        &["--sample", "0%"],
        &["--jobs", "0"],
        &["--shard", "3/2"],
        &["--resume-after", PARTITION],
        &["google_ads/customer_id=1", "--customer", "1"],
        &[&run_path(RUN)],
    ] {
        let answer = landing.rawsink([&["scrub"], args].concat()).exits(2);
        assert_eq!(answer.stdout, "", "{args:?}");
    }
}

#[test]
fn verify_of_many_runs_names_the_scrub() {
    let landing = validated(&["1"]);
    replace(object(&landing, "1", "payload.jsonl"), "{}\n");
    for path in ["google_ads", "google_ads/customer_id=1", &partition("1")] {
        let answer = landing.rawsink(["verify", path]).exits(2);
        answer.one_error("Invalid");
        let hint = format!("hint: run \"rawsink scrub {path}\" to verify all of its runs");
        assert!(answer.stderr.ends_with(&format!("{hint}\n")), "{answer:?}");
        landing.shell(&format!("rawsink scrub {path}")).exits(5);
    }
}

/// Stores a run as other software would seal it, with another number of rows than it declares.
fn put_damaged(landing: &Landing, customer: u32) {
    let path = format!("{}/run_id={RUN}", partition(&customer.to_string()));
    landing.file(&format!("data/raw/{path}/payload.jsonl"), "{}\n{}\n");
    landing.file(&format!("data/raw/{path}/metadata.json"), r#"{"record_count":1}"#);
}

fn path_of(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["path"].as_str().unwrap().to_owned()
}

#[test]
fn after_a_signal_the_printed_command_reads_exactly_the_rest() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let landing = Landing::new();
        for customer in 0..2_000 {
            put_damaged(&landing, customer);
        }
        let args = ["--json", "scrub", "--until=2024-06-30", "--jobs", "1"];
        let mut running = Running::start(landing.command(args));
        let mut stdout = BufReader::new(running.child().stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        running.signal(signal);
        let rest = stdout.lines().map(|line| path_of(&line.unwrap()));
        let told: BTreeSet<String> = rest.chain([path_of(&first)]).collect();
        let answer = running.end().exits(code).says(&["interrupted by a signal"]);
        assert!(told.len() < 2_000, "it was over before the signal");
        let command = answer.stderr.lines().find_map(|line| line.strip_prefix("to resume, run: "));
        let command = command.unwrap();
        let start = "rawsink --json scrub --until=2024-06-30 --jobs=1 --resume-after google_ads/";
        assert!(command.starts_with(start), "{command}");
        let resumed = landing.shell(command).exits(5);
        let others: BTreeSet<String> = resumed.stdout.lines().map(path_of).collect();
        assert!(told.is_disjoint(&others), "a run was read twice");
        assert_eq!(told.len() + others.len(), 2_000);
    }
}
