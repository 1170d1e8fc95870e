//! Which run a command means, and what it says where that is not clear.

use std::fs;

use crate::landing::{Landing, PARTITION, RUN, run_path};

const OLDER: &str = "2024-06-01T00:00:00.000Z";
const NEWER: &str = "2024-06-03T00:00:00.000Z";
const COMMANDS: [&str; 4] = ["read", "show", "verify", "validate"];

/// Three runs: the older one has authority, the newest has a payload and no seal.
fn three_runs() -> Landing {
    let landing = Landing::new();
    for run in [OLDER, RUN, NEWER] {
        landing.land(run, format!("{{\"run\":\"{run}\"}}\n"));
    }
    landing.rawsink(["validate", &run_path(OLDER)]).exits(0);
    fs::remove_file(landing.metadata(NEWER)).unwrap();
    landing
}

#[test]
fn without_a_run_the_runs_are_listed_and_nothing_is_done() {
    let landing = three_runs();
    let before = landing.snapshot();
    for command in COMMANDS {
        let answer = landing.rawsink([command, PARTITION]).exits(2);
        assert_eq!(answer.stdout, "");
        answer.one_error("Invalid");
        let line = |run: &str, sealed: &str| format!("{}  {sealed}", run_path(run));
        answer.says(&[
            "--current",
            "--latest",
            &line(OLDER, "sealed"),
            &line(RUN, "sealed"),
            &line(NEWER, "not sealed"),
        ]);
    }
    assert!(landing.snapshot() == before);
}

#[test]
fn latest_is_the_newest_sealed_run_and_current_the_one_with_authority() {
    let landing = three_runs();
    for (choice, run) in [("--latest", RUN), ("--current", OLDER)] {
        let read = landing.rawsink(["read", PARTITION, choice]).exits(0);
        assert_eq!(read.stdout, format!("{{\"run\":\"{run}\"}}\n"));
        let shown = landing.rawsink(["show", PARTITION, choice, "--json"]).exits(0).json();
        assert_eq!(shown[0]["run_id"], run);
        let verified = landing.rawsink(["verify", PARTITION, choice, "--json"]).exits(0).json();
        assert_eq!(verified[0]["path"], run_path(run));
    }
    let judged = landing.rawsink(["validate", PARTITION, "--latest", "--json"]).exits(0).json();
    assert_eq!(judged[0]["path"], run_path(RUN));
    let current = landing.rawsink(["show", PARTITION, "--current", "--json"]).exits(0).json();
    assert_eq!(current[0]["run_id"], RUN, "validation did not move the authority");
}

#[test]
fn a_run_with_a_choice_and_two_choices_are_refused() {
    let landing = three_runs();
    for command in COMMANDS {
        for args in [vec![&*run_path(RUN), "--latest"], vec![PARTITION, "--latest", "--current"]] {
            landing.rawsink([&[command], &args[..]].concat()).exits(2);
        }
    }
}

#[test]
fn a_run_that_is_not_there_or_not_sealed_is_exit_3_and_no_verdict() {
    let landing = three_runs();
    let before = landing.snapshot();
    for command in ["read", "verify", "validate"] {
        let missing = landing.rawsink([command, &run_path("2030-01-01T00:00:00.000Z")]).exits(3);
        missing.one_error("NotFound");
        let unsealed = landing.rawsink([command, &run_path(NEWER)]).exits(3);
        assert!(unsealed.one_error("NotSealed").contains("not sealed"), "{unsealed:#?}");
        unsealed.says(&["hint: its writer may still be at work"]);
    }
    let other = PARTITION.replace("123", "999");
    for command in COMMANDS {
        for choice in [&[][..], &["--latest"], &["--current"]] {
            let answer = landing.rawsink([&[command, &*other], choice].concat()).exits(3);
            answer.one_error("NotFound");
            assert_eq!(answer.stdout, "");
        }
    }
    assert!(landing.snapshot() == before);
}

#[test]
fn a_missing_or_unsealed_run_is_recorded_only_on_request() {
    let landing = three_runs();
    for run in [NEWER, "2030-01-01T00:00:00.000Z"] {
        let answer = landing.rawsink(["validate", &run_path(run), "--record-missing"]).exits(1);
        assert!(answer.stdout.ends_with("\tfailed\n"), "{answer:#?}");
    }
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    assert_eq!(state["attempt_count"], 3);
    assert_eq!((&state["status"], &state["current_run_id"]), (&"success".into(), &OLDER.into()));
}

#[test]
fn show_tells_what_is_there_of_an_unsealed_run() {
    let landing = three_runs();
    let text = landing.rawsink(["show", &run_path(NEWER)]).exits(0).stdout;
    assert!(text.contains("not sealed") && text.contains("payload.jsonl"), "{text}");
    assert!(!text.contains("metadata.json"), "{text}");
    let shown = &landing.rawsink(["show", &run_path(NEWER), "--json"]).exits(0).json()[0];
    assert_eq!(shown["sealed"], false);
    assert_eq!(shown["payload"]["bytes"], fs::metadata(landing.payload(NEWER)).unwrap().len());
    for absent in ["metadata_json", "metadata", "seal"] {
        assert!(shown[absent].is_null(), "{shown}");
    }
    landing.rawsink(["show", &run_path("2030-01-01T00:00:00.000Z")]).exits(3);
}

#[test]
fn an_unsealed_run_can_be_written_again_unless_that_is_refused() {
    let landing = three_runs().with("RAW_SINK_LEFTOVER", "refuse");
    let answer = landing.feed(["write", &run_path(NEWER)], "{}\n").exits(3);
    answer.one_error("Conflict");
    assert!(landing.payload(NEWER).exists());
    let landing = three_runs();
    landing.feed(["write", &run_path(NEWER)], "{\"again\":1}\n").exits(0);
    assert_eq!(landing.rawsink(["read", &run_path(NEWER)]).exits(0).stdout, "{\"again\":1}\n");
}
