//! Damaged runs, repaired from a backup.

use std::{collections::BTreeMap, fs};

use crate::{
    landing::{Landing, PARTITION, replace, run_path},
    namespace::SmallDisk,
};

const REPAIR: [&str; 4] = ["copy", "--to-root", "data/raw", "--repair"];
const APPLY: [&str; 5] = ["copy", "--to-root", "data/raw", "--repair", "--apply"];

/// Lands and validates three runs and copies them to a backup.
fn landing() -> Landing {
    let landing = Landing::new();
    for run in ["a", "b", "c"] {
        landing.land(run, super::rows(run, 50));
    }
    landing.rawsink(["validate", "--all"]).exits(0);
    landing.rawsink(["copy", "--to-root", "backup"]).exits(0);
    landing
}

/// The same landing, with the backup as its sink.
fn backup(landing: &Landing) -> Landing {
    Landing::at(landing.dir()).with("RAW_SINK_ROOT", "backup")
}

fn flip(landing: &Landing, run: &str) {
    let mut payload = fs::read(landing.payload(run)).unwrap();
    payload[7] ^= 1;
    replace(landing.payload(run), payload);
}

#[track_caller]
fn assert_same_trees(landing: &Landing) {
    assert_eq!(landing.shell("diff -r data/raw backup").exits(0).stdout, "");
}

#[test]
fn g03_damaged_runs_are_listed_then_repaired_and_a_second_repair_changes_nothing() {
    let landing = landing();
    flip(&landing, "a");
    replace(landing.metadata("b"), "{}");
    fs::remove_file(landing.payload("c")).unwrap();
    landing.rawsink(["read", PARTITION, "--current"]).exits(5).says(&["rawsink copy --repair"]);
    let before = landing.snapshot();
    let planned = backup(&landing).rawsink(REPAIR).exits(1);
    let planned =
        planned.says(&["0 intact in the destination, 3 damaged", "add --apply to repair them"]);
    let mut lines: Vec<&str> = planned.stdout.lines().collect();
    lines.sort_unstable();
    let size = fs::metadata(landing.dir().join("backup").join(run_path("c")).join("payload.jsonl"));
    let size = size.unwrap().len();
    assert!(lines[0].starts_with(&format!("{}\tdamaged\tpayload.jsonl has other", run_path("a"))));
    assert!(lines[1].contains("\tmetadata.json is not the validated one\t"), "{lines:?}");
    let missing =
        format!("{}\tdamaged\tpayload.jsonl is missing\t{size} bytes to write", run_path("c"));
    assert_eq!(lines[2], missing);
    assert_eq!(landing.snapshot(), before, "a plan changes nothing");

    let repaired = backup(&landing).rawsink([&APPLY[..], &["--json"]].concat()).exits(0);
    for line in repaired.json() {
        assert_eq!(line["outcome"], "repaired");
        assert!(line["damage"]["bytes"].as_u64() > Some(100), "{line}");
    }
    repaired.says(&["0 intact in the destination, 3 repaired"]);
    assert_same_trees(&landing);
    landing.rawsink(["read", PARTITION, "--current"]).exits(0);
    let before = landing.snapshot();
    backup(&landing).rawsink(APPLY).exits(0).says(&["3 intact"]);
    backup(&landing).rawsink(REPAIR).exits(0).says(&["3 intact"]);
    assert_eq!(landing.snapshot(), before, "a second repair changes nothing");
}

#[test]
fn an_ordinary_copy_names_the_repair_of_a_damaged_payload() {
    let landing = landing();
    replace(landing.payload("b"), "{}\n");
    let differs = backup(&landing).rawsink(["copy", "--to-root", "data/raw"]).exits(5);
    let command = format!("rawsink copy {} --to-root data/raw --repair", run_path("b"));
    differs.says(&["the same metadata.json and another payload: its length differs", &command]);
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--apply"]).collect();
    backup(&landing).rawsink(words).exits(0).says(&["0 intact in the destination, 1 repaired"]);
    assert_same_trees(&landing);
}

#[test]
fn g03_an_edited_seal_without_a_state_is_refused_with_the_next_step() {
    let landing = landing();
    replace(landing.metadata("b"), "{}");
    let elsewhere = backup(&landing).with("RAW_SINK_STATE_URL", "sqlite:other.db");
    let refused = elsewhere.rawsink(APPLY).exits(5);
    refused
        .says(&["error[Corrupt]", &run_path("b"), "does not show which one was validated"])
        .says(&["hint: set RAW_SINK_STATE_URL", "2 intact in the destination, 1 failed"]);
    assert_eq!(fs::read_to_string(landing.metadata("b")).unwrap(), "{}");
    assert!(!landing.dir().join("other.db").exists());
    // The manual way that the hint names.
    fs::remove_file(landing.metadata("b")).unwrap();
    elsewhere.rawsink(APPLY).exits(0).says(&["1 not sealed in the destination: copy them"]);
    elsewhere.rawsink(["copy", "--to-root", "data/raw"]).exits(0).says(&["1 copied"]);
    assert_same_trees(&landing);
}

#[test]
fn a_lost_seal_is_copied_and_the_run_is_again_what_was_validated() {
    let landing = landing();
    fs::remove_file(landing.metadata("c")).unwrap();
    landing.rawsink(["read", PARTITION, "--current"]).exits(5);
    backup(&landing).rawsink(["copy", "--to-root", "data/raw"]).exits(0).says(&["1 copied"]);
    landing.rawsink(["read", PARTITION, "--current"]).exits(0);
    let covered =
        landing.rawsink(["coverage", "--json", "--fail-on", "lost,sealed,failed,missing"]);
    covered.exits(0);
    assert_same_trees(&landing);
}

#[test]
fn g03_a_damaged_source_is_refused_and_the_others_are_repaired() {
    let landing = landing();
    flip(&landing, "a");
    flip(&landing, "b");
    let source = landing.dir().join("backup").join(run_path("a")).join("payload.jsonl");
    let (good, damaged) = (fs::read(&source).unwrap(), fs::read(landing.payload("a")).unwrap());
    replace(&source, "{}\n");
    let refused = backup(&landing).rawsink(APPLY).exits(5);
    refused.says(&["the source is damaged", "1 intact in the destination, 1 repaired", "1 failed"]);
    assert_eq!(fs::read(landing.payload("a")).unwrap(), damaged);
    replace(&source, good);
    backup(&landing).rawsink(APPLY).exits(0);
    assert_same_trees(&landing);
}

#[test]
fn repairs_take_paths_and_filters_and_need_repair_to_apply() {
    let landing = landing();
    for run in ["a", "b"] {
        flip(&landing, run);
    }
    let one = backup(&landing).rawsink(
        [&["copy", &run_path("a"), "--to-root", "data/raw"][..], &["--repair", "--apply"]].concat(),
    );
    one.exits(0).says(&["0 intact in the destination, 1 repaired"]);
    let none = [&REPAIR[..], &["--customer", "nobody"]].concat();
    backup(&landing).rawsink(none).exits(0).says(&["nothing to repair"]);
    backup(&landing).rawsink(REPAIR).exits(1).says(&["2 intact in the destination, 1 damaged"]);
    landing.rawsink(["copy", "--to-root", "x", "--apply"]).exits(2).says(&["--repair"]);
    let both = [&REPAIR[..], &["--dry-run"]].concat();
    landing.rawsink(both).exits(2).says(&["cannot be used with"]);
}

/// A repair that was killed leaves a staging file in a sealed run.
#[test]
fn a_killed_repair_leaves_a_file_that_clean_and_the_next_repair_delete() {
    let landing = landing();
    flip(&landing, "a");
    let staged = landing.run_dir("a").join(".payload.jsonl.0123456789abcdef0123456789abcdef");
    replace(&staged, "half");
    landing.rawsink(["clean", "--older-than", "0s", "--apply"]).exits(0).says(&["1 removed"]);
    assert!(!staged.exists());
    replace(&staged, "half");
    backup(&landing).rawsink(APPLY).exits(0);
    assert_same_trees(&landing);
}

#[test]
fn g03_a_repair_that_meets_a_full_disk_changes_nothing_and_works_with_space_again() {
    let Some(disk) = SmallDisk::mount("size=256k") else { return };
    let source = Landing::new();
    source.land("a", super::rows("a", 500));
    let root = disk.path().join("raw");
    let copy = ["copy", "--to-root", root.to_str().unwrap()];
    let repair = [&copy[..], &["--repair", "--apply"]].concat();
    source.rawsink(copy).exits(0);
    let run = root.join(run_path("a"));
    let content = || {
        let files = fs::read_dir(&run).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.clone(), fs::read(file).unwrap())).collect::<BTreeMap<_, _>>()
    };
    let right = content();
    replace(run.join("payload.jsonl"), "{}\n");
    let damaged = content();
    for free in 0..2 {
        disk.fill_but(free * 4096);
        let answer = source.rawsink(repair.clone()).exits(75);
        answer.says(&[
            "error[Unavailable]: ",
            "no space left on device",
            "0 intact in the destination, 1 failed",
        ]);
        assert_eq!(content(), damaged);
        disk.empty();
    }
    source.rawsink(repair).exits(0).says(&["0 intact in the destination, 1 repaired"]);
    assert_eq!(content(), right);
}

#[test]
fn after_the_repair_of_a_run_that_failed_its_validation_is_the_next_step() {
    let landing = landing();
    flip(&landing, "c");
    landing.rawsink(["scrub", "--record"]).exits(5);
    let repaired = backup(&landing)
        .with("RAW_SINK_STATE_URL", "sqlite:data/state_store.db")
        .rawsink(APPLY)
        .exits(0);
    let next = format!("rawsink validate {}", run_path("c"));
    repaired.says(&[&format!("hint: run \"{next}\"")]);
    landing.shell(&next).exits(0);
    landing.rawsink(["read", PARTITION, "--current"]).exits(0);
}
