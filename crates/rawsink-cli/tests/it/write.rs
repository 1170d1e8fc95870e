//! `rawsink write`: the main path and its output.

mod metadata; // metadata: given, kept, refused
mod names; // names of partitions and runs, from the command line to the disk
mod refused; // refused lines: named, kept, counted
mod rows; // which lines are rows
mod sources; // standard input, files, commands, and their end

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::landing::{Landing, PARTITION, RUN, run_path};

const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";

/// The pipe from the manual.
const PIPE: &str = r#"seq 3 | sed 's/.*/{"n":&}/' | rawsink write google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01 --run-id 2024-06-02T00:00:00.000Z"#;

#[test]
fn a_pipe_creates_exactly_the_specified_layout() {
    let landing = Landing::new();
    let answer = landing.shell(PIPE).exits(0).says(&["sealed 3 rows, 24 B"]);
    assert_eq!(answer.stdout, format!("{}\n", run_path(RUN)));
    let dir = "data/raw/google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01/run_id=2024-06-02T00:00:00.000Z";
    let files = [format!("{dir}/metadata.json"), format!("{dir}/payload.jsonl")];
    assert_eq!(landing.files(), files);
    assert_eq!(landing.snapshot().len(), 7 + 2, "more directories than those above the two files");
    assert_eq!(fs::read_to_string(landing.payload(RUN)).unwrap(), ROWS);

    let document: Value =
        serde_json::from_slice(&fs::read(landing.metadata(RUN)).unwrap()).unwrap();
    let expected = [
        ("source", json!("google_ads")),
        ("customer_id", json!("123")),
        ("query_name", json!("campaign")),
        ("logical_date", json!("2024-06-01")),
        ("run_id", json!(RUN)),
        ("schema_version", json!("v1")),
        ("record_count", json!(3)),
    ];
    for (name, value) in &expected {
        assert_eq!(document[*name], *value, "{name}");
    }
    let extracted_at = document["extracted_at"].as_str().unwrap();
    assert!(extracted_at.starts_with("20") && extracted_at.ends_with('Z'), "{extracted_at}");
    let seal = &document["_seal"];
    assert_eq!(seal["payload_bytes"], 24);
    assert_eq!(seal["record_count"], 3);
    let sum = Sha256::digest(ROWS);
    let hex = sum.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(seal["payload_sha256"], hex);
    assert_eq!(document.as_object().unwrap().len(), expected.len() + 2, "something was invented");
}

#[test]
fn g03_repeating_the_pipe_is_refused_and_changes_no_byte_or_time_stamp() {
    let landing = Landing::new();
    landing.shell(PIPE).exits(0);
    let before = landing.snapshot();
    let answer = landing.shell(PIPE).exits(3);
    let error = answer.one_error("AlreadySealed");
    assert!(error.contains(&run_path(RUN)) && error.contains("already sealed"), "{error}");
    assert_eq!(answer.stdout, "");
    answer.says(&["hint: ", "a new run id"]);
    landing.shell(&PIPE.replace("seq 3", "seq 4")).exits(3);
    assert!(landing.snapshot() == before, "something changed: {:?}", landing.files());
}

#[test]
fn a_sealed_run_is_read_by_path_as_latest_and_once_validated_as_current() {
    let landing = Landing::new();
    landing.shell(PIPE).exits(0);
    let read = |with: &[&str]| landing.rawsink([&["read", PARTITION], with].concat());
    assert_eq!(landing.rawsink(["read", &run_path(RUN)]).exits(0).stdout, ROWS);
    assert_eq!(read(&["--latest"]).exits(0).stdout, ROWS);
    read(&["--current"]).exits(3).says(&["no run has authority"]);
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0).says(&["has authority"]);
    let current = read(&["--current"]).exits(0);
    assert_eq!((current.stdout.as_str(), current.stderr.as_str()), (ROWS, ""));
}

#[test]
fn then_validate_gives_authority_in_one_call() {
    let landing = Landing::new();
    let args = ["write", PARTITION, "--run-id", RUN, "--then-validate"];
    let answer = landing.feed(args, ROWS).exits(0).says(&["status success"]);
    assert_eq!(answer.stderr.matches("api_version is missing").count(), 1, "{answer:#?}");
    assert_eq!(answer.stdout, format!("{}\n", run_path(RUN)));
    assert_eq!(landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout, ROWS);
}

#[test]
fn g12_writing_alone_changes_no_state() {
    let landing = Landing::new();
    landing.land(RUN, ROWS);
    assert!(!landing.dir().join("data/state_store.db").exists());
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
    let before = landing.rawsink(["state", "list", "--json"]).exits(0).stdout;
    landing.land("2024-06-03T00:00:00.000Z", "{\"newer\":true}\n");
    assert_eq!(landing.rawsink(["state", "list", "--json"]).exits(0).stdout, before);
    assert_eq!(landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout, ROWS);
}

#[test]
fn the_json_result_is_one_line_with_path_run_and_checksums() {
    let landing = Landing::new();
    let args = ["write", PARTITION, "--run-id", RUN, "--json"];
    let answer = landing.feed(args, ROWS).exits(0).json();
    assert_eq!(answer.len(), 1);
    let written = answer[0].as_object().unwrap();
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    let mut expected =
        ["path", "run_id", "writer", "payload_bytes", "payload_sha256", "record_count"];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(written["path"], run_path(RUN));
    assert_eq!(written["run_id"], RUN);
    assert_eq!(written["record_count"], 3);
    let shown = &landing.rawsink(["show", &run_path(RUN), "--json"]).exits(0).json()[0];
    assert_eq!(written["writer"], shown["seal"]["writer"]);
    assert_eq!(written["payload_sha256"], shown["seal"]["payload_sha256"]);

    let newer = "2024-06-03T00:00:00.000Z";
    let args = ["write", PARTITION, "--run-id", newer, "--json", "--then-validate"];
    let validated = &landing.feed(args, ROWS).exits(0).json()[0];
    assert_eq!(validated["validation"]["faults"], json!([]));
    assert_eq!(validated["validation"]["rows"], 3);
    assert_eq!(validated["validation"]["state"]["current_run_id"], newer);
}

#[test]
fn without_a_run_id_the_run_is_named_after_the_time() {
    let landing = Landing::new();
    let written = &landing.feed(["write", PARTITION, "--json"], ROWS).exits(0).json()[0];
    let run = written["run_id"].as_str().unwrap();
    assert_eq!(run.len(), RUN.len());
    assert!(run.parse::<jiff::Timestamp>().is_ok(), "{run}");
    assert!(run.as_bytes()[19] == b'.' && run.ends_with('Z'), "{run}");
}

/// To a job `AlreadySealed` of a repeated write is success, but readers find no seal here.
#[test]
fn a_directory_in_the_place_of_the_seal_is_no_seal() {
    let landing = Landing::new();
    fs::create_dir_all(landing.metadata(RUN)).unwrap();
    let write = ["write", PARTITION, "--run-id", RUN];
    landing.feed(write, ROWS).exits(2).says(&["metadata.json is not a regular file"]);
    landing.rawsink(["read", &run_path(RUN)]).exits(3);
}

#[test]
fn an_unread_output_does_not_undo_the_seal() {
    let landing = Landing::new();
    let script = format!("echo '{{}}' | rawsink write {PARTITION} --run-id {RUN} > /dev/full");
    let answer = landing.shell(&script);
    let answer = answer.exits(75).says(&["sealed 1 row", "cannot write to standard output"]);
    assert!(!answer.stderr.contains("hint"), "the run is sealed, do not try again: {answer:#?}");
    assert_eq!(landing.rawsink(["read", &run_path(RUN)]).exits(0).stdout, "{}\n");
}
