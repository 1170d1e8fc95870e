//! The choice of a run, and the errors for an ambiguous one.

use std::fs;

use crate::landing::{Landing, PARTITION, RUN, run_path};

const OLDER: &str = "2024-06-01T00:00:00.000Z";
const NEWER: &str = "2024-06-03T00:00:00.000Z";
const COMMANDS: [&str; 4] = ["read", "show", "verify", "validate"];

/// Returns three runs: the older has authority, the newest has a payload and no seal.
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
fn without_a_run_the_command_only_lists_the_runs() {
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
fn conflicting_choices_of_a_run_are_refused() {
    let landing = three_runs();
    for command in COMMANDS {
        for args in [vec![&*run_path(RUN), "--latest"], vec![PARTITION, "--latest", "--current"]] {
            landing.rawsink([&[command], &args[..]].concat()).exits(2);
        }
    }
}

#[test]
fn a_missing_or_unsealed_run_is_exit_3_and_no_verdict() {
    let landing = three_runs();
    let before = landing.snapshot();
    for command in ["read", "verify", "validate"] {
        let missing = landing.rawsink([command, &run_path("2030-01-01T00:00:00.000Z")]).exits(3);
        missing.one_error("NotFound");
        let unsealed = landing.rawsink([command, &run_path(NEWER)]).exits(3);
        assert!(unsealed.one_error("NotSealed").contains("not sealed"), "{unsealed:#?}");
        unsealed.says(&["hint: run \"rawsink show "]);
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
fn show_lists_the_objects_of_an_unsealed_run() {
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
fn an_unsealed_run_can_be_rewritten_unless_leftovers_are_refused() {
    let landing = three_runs().with("RAW_SINK_LEFTOVER", "refuse");
    let answer = landing.feed(["write", &run_path(NEWER)], "{}\n").exits(3);
    answer.one_error("Conflict");
    assert!(landing.payload(NEWER).exists());
    let landing = three_runs();
    landing.feed(["write", &run_path(NEWER)], "{\"again\":1}\n").exits(0);
    assert_eq!(landing.rawsink(["read", &run_path(NEWER)]).exits(0).stdout, "{\"again\":1}\n");
}
