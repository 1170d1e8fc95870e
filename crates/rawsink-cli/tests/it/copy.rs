//! Runs copied to another sink: the same tree, after any number of interruptions.

mod repair; // damaged runs, repaired from a backup

use std::{fs, thread, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    landing::{Landing, PARTITION, lines, replace, run_path},
    random::{Random, rounds},
    running::{Running, until_staged},
};

const COPY: [&str; 3] = ["copy", "--to-root", "there"];

fn rows(run: &str, count: u64) -> String {
    lines(count, |row| format!("{{\"run\":\"{run}\",\"row\":{row},\"pad\":\"{:0200}\"}}", 0))
}

fn landing() -> Landing {
    let landing = Landing::new();
    for run in ["a", "b", "c"] {
        landing.land(run, rows(run, 50)).exits(0);
    }
    landing
}

#[track_caller]
fn assert_same_trees(landing: &Landing) {
    assert_eq!(landing.shell("diff -r data/raw there").exits(0).stdout, "");
}

#[test]
fn a_copy_is_the_same_tree_and_a_rerun_copies_nothing() {
    let landing = landing();
    let plan = landing.rawsink([&COPY[..], &["--dry-run"]].concat()).exits(0);
    assert_eq!(plan.stdout.matches("\tmissing\t").count(), 3, "{}", plan.stdout);
    assert!(!landing.dir().join("there").exists());
    let copied = landing.rawsink([&COPY[..], &["--json"]].concat()).exits(0);
    let mut runs: Vec<String> = copied
        .json()
        .iter()
        .map(|line| {
            assert_eq!(line["outcome"], "copied");
            assert!(line["payload_bytes"].as_u64() > Some(10_000));
            line["path"].as_str().unwrap().to_owned()
        })
        .collect();
    runs.sort_unstable();
    assert_eq!(runs, ["a", "b", "c"].map(run_path));
    copied.says(&["3 copied, 0 already there"]);
    assert_same_trees(&landing);
    landing.rawsink(COPY).exits(0).says(&["0 copied, 3 already there"]);
}

#[test]
fn a_different_run_of_the_same_name_is_corrupt_and_the_others_are_copied() {
    let landing = landing();
    landing.rawsink(["copy", &run_path("b"), "--to-root", "there"]).exits(0);
    let other = landing.dir().join("there").join(run_path("b")).join("payload.jsonl");
    let payload = fs::read_to_string(&other).unwrap();
    replace(&other, payload.replacen("\"row\":0", "\"row\":9", 1));
    landing.rawsink(COPY).exits(0).says(&["2 copied, 1 already there"]);
    let seal = other.with_file_name("metadata.json");
    replace(&seal, "{}");
    let differs = landing.rawsink(COPY).exits(5);
    differs.says(&["metadata.json differs", "0 copied, 2 already there, 1 failed"]).says(&[
        "error[Corrupt]",
        &run_path("b"),
        "not all runs were copied: 1 error",
    ]);
    assert_eq!(fs::read_to_string(seal).unwrap(), "{}", "nothing there is changed");
}

#[test]
fn the_destination_comes_from_a_file_and_not_from_the_environment() {
    let landing = landing().with("RAW_SINK_MAX_ROW_BYTES", "1000");
    let root = landing.dir().join("it's there").to_str().unwrap().replace('\'', "'\\''");
    landing.file(
        "there.env",
        format!("# Made by a tool\nRAW_SINK='filesystem'\nRAW_SINK_ROOT='{root}'\nOTHER='x'\n"),
    );
    landing.rawsink(["copy", "--to-env", "there.env"]).exits(0);
    assert_eq!(landing.shell("diff -r data/raw \"it's there\"").exits(0).stdout, "");
    landing.file("wrong.env", "RAW_SINK=obiect\nRAW_SINK_ROOD=x\n");
    let wrong = landing.rawsink(["copy", "--to-env", "wrong.env"]).exits(2);
    wrong.says(&["wrong.env", "RAW_SINK is \"obiect\"", "did you mean RAW_SINK_ROOT?"]);
    landing.rawsink(["copy", "--to-env", "missing.env"]).exits(2).says(&["missing.env"]);
    landing.rawsink(["copy"]).exits(2).says(&["--to-env <FILE>"]);
    let both = ["copy", "--to-root", "x", "--to-env", "there.env"];
    landing.rawsink(both).exits(2).says(&["cannot be used with"]);
}

#[test]
fn filters_and_paths_select_runs_and_unsealed_ones_are_skipped() {
    let landing = landing();
    let other = PARTITION.replace("2024-06-01", "2024-06-09");
    landing.feed(["write", &other, "--run-id", "d"], "{}\n").exits(0);
    landing.file(&format!("data/raw/{}/payload.jsonl", run_path("unsealed")), "{}\n");
    let copy = |more: &[&str]| {
        let answer = landing.rawsink([&COPY[..], more, &["--dry-run"]].concat()).exits(0);
        (answer.stdout.lines().count(), answer.stderr)
    };
    let (count, said) = copy(&[]);
    assert_eq!(count, 4);
    assert!(said.contains("1 skipped because they are not sealed"), "{said}");
    assert_eq!(copy(&["--since", "2024-06-02"]).0, 1);
    assert_eq!(copy(&["--until", "2024-06-02"]).0, 3);
    assert_eq!(copy(&["--customer", "nobody"]).0, 0);
    assert_eq!(copy(&[PARTITION]).0, 3);
    assert_eq!(copy(&[&run_path("a")]).0, 1);
    landing
        .rawsink(["copy", &run_path("unsealed"), "--to-root", "there"])
        .exits(3)
        .says(&["error[NotSealed]"]);
    landing
        .rawsink(["copy", &run_path("nobody"), "--to-root", "there"])
        .exits(3)
        .says(&["error[NotFound]"]);
    let twice = ["copy", PARTITION, "--customer", "123", "--to-root", "there"];
    landing.rawsink(twice).exits(2);
}

#[test]
fn g08_a_signal_stops_running_copies_and_leaves_nothing_of_them() {
    let landing = Landing::new();
    landing.land("large", rows("large", 400_000)).exits(0);
    let mut copy = Running::start(landing.command(COPY));
    let there = landing.dir().join("there").join(run_path("large"));
    until_staged(&there, 1 << 20);
    copy.signal(Signal::SIGTERM);
    let ended = copy.end().exits(143);
    ended.says(&["interrupted by a signal; run the same command to resume"]);
    assert!(!there.exists(), "{:?}", landing.files());
    landing.rawsink(COPY).exits(0);
    assert_same_trees(&landing);
}

#[test]
fn g09_a_copy_killed_repeatedly_becomes_the_same_tree() {
    let mut random = Random::seeded("killed copies");
    let landing = Landing::new();
    for n in 0..24 {
        landing.land(&format!("run-{n:02}"), rows("r", 1 + 400 * (n % 8))).exits(0);
    }
    let mut killed = 0;
    for _ in 0..rounds(200) {
        let mut copy = Running::start(landing.command([&COPY[..], &["--jobs", "3"]].concat()));
        // The kill has a random moment: no condition is awaited.
        thread::sleep(Duration::from_millis(random.below(60)));
        copy.signal(Signal::SIGKILL);
        if copy.finish().code == Some(0) {
            break;
        }
        killed += 1;
    }
    println!("killed copies: {killed}");
    assert!(killed > 0, "no copy was killed");
    landing.rawsink(COPY).exits(0);
    // A kill between the seal's link and the deletion of its staging name.
    let there = landing.with("RAW_SINK_ROOT", "there");
    there.rawsink(["clean", "--older-than", "0s", "--apply"]).exits(0);
    assert_same_trees(&there);
}

/// The settings of this process are those of the source, and repeating the command would not help.
#[test]
fn a_destination_that_does_not_exist_is_named_with_what_to_check() {
    let landing = Landing::new();
    landing.file("there.env", "RAW_SINK_ROOT='/no/such/raw'\n");
    for to in [["--to-root", "/no/such/raw"], ["--to-env", "there.env"]] {
        let refused = landing.rawsink([&["copy"], &to[..]].concat()).exits(75);
        refused.says(&["the destination: ", "(/no/such/raw)", "hint: check the path"]);
    }
}
