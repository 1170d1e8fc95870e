//! Changed payloads and seals.

use std::fs;

use crate::landing::{Landing, PARTITION, RUN, replace, run_path};

const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";

fn landed() -> Landing {
    let landing = Landing::new();
    landing.land(RUN, ROWS);
    landing
}

/// Asserts that no command returns the run as intact, and that the validator records why.
#[track_caller]
fn assert_corrupt(landing: &Landing, said: &str) {
    for command in ["read", "verify"] {
        let answer = landing.rawsink([command, &run_path(RUN)]).exits(5);
        let error = answer.one_error("Corrupt");
        assert!(error.contains(said), "{command} does not say {said:?}: {error}");
        assert!(error.contains(&run_path(RUN)), "{error}");
        answer.says(&["hint: "]);
    }
    let answer = landing.rawsink(["validate", &run_path(RUN)]).exits(1);
    assert_eq!(answer.stdout, format!("{}\tfailed\n", run_path(RUN)));
    answer.says(&[said, "status failed"]);
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    assert_eq!(state["status"], "failed");
    assert!(state["error_message"].as_str().unwrap().contains(said), "{state}");
    landing.rawsink(["read", PARTITION, "--current"]).exits(3).one_error("NotFound");
}

#[test]
fn g10_a_changed_byte_is_detected() {
    let landing = landed();
    replace(landing.payload(RUN), ROWS.replace('2', "7"));
    assert_corrupt(&landing, "SHA-256");
}

#[test]
fn g10_a_truncated_payload_is_detected_before_output() {
    let landing = landed();
    replace(landing.payload(RUN), &ROWS[..16]);
    assert_corrupt(&landing, "the payload has 16 bytes, expected 24");
    assert_eq!(landing.rawsink(["read", &run_path(RUN)]).stdout, "");
}

#[test]
fn g10_a_longer_payload_is_detected() {
    let landing = landed();
    replace(landing.payload(RUN), format!("{ROWS}{{}}\n"));
    assert_corrupt(&landing, "the payload has 27 bytes, expected 24");
}

#[test]
fn a_missing_payload_is_detected() {
    let landing = landed();
    fs::remove_file(landing.payload(RUN)).unwrap();
    assert_corrupt(&landing, "its payload is missing");
    assert_eq!(
        landing.rawsink(["list", PARTITION]).exits(0).stdout,
        format!("{}\tsealed\t-\n", run_path(RUN))
    );
}

#[test]
fn a_seal_that_is_no_json_is_detected() {
    let landing = landed();
    replace(landing.metadata(RUN), "{\"source\": ");
    assert_corrupt(&landing, "metadata.json is not a JSON object");
}

#[test]
fn a_seal_that_contradicts_its_path_fails_validation() {
    let landing = landed();
    let metadata = fs::read_to_string(landing.metadata(RUN)).unwrap();
    replace(landing.metadata(RUN), metadata.replace("\"123\"", "\"124\""));
    let answer = landing.rawsink(["validate", &run_path(RUN)]).exits(1);
    answer.says(&["customer_id \"124\", the partition has \"123\""]);
}

#[test]
fn a_damaged_sealed_run_is_never_overwritten() {
    let landing = landed();
    fs::remove_file(landing.payload(RUN)).unwrap();
    let before = landing.snapshot();
    landing.feed(["write", &run_path(RUN)], ROWS).exits(3).one_error("AlreadySealed");
    assert!(landing.snapshot() == before);
}

#[test]
fn damage_after_validation_revokes_authority_until_the_payload_is_restored() {
    let landing = landed();
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    replace(landing.payload(RUN), ROWS.replace('3', "4"));
    let read = landing.rawsink(["read", PARTITION, "--current"]).exits(5);
    read.one_error("Corrupt");
    landing.rawsink(["validate", PARTITION, "--current"]).exits(1);
    landing.rawsink(["read", PARTITION, "--current"]).exits(3).one_error("NotFound");
    replace(landing.payload(RUN), ROWS);
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
    assert_eq!(landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout, ROWS);
}

#[test]
fn a_lost_authoritative_run_is_corrupt_for_consumers() {
    let landing = landed();
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    fs::remove_dir_all(landing.run_dir(RUN)).unwrap();
    landing.rawsink(["read", PARTITION, "--current"]).exits(5).one_error("Corrupt");
}

#[test]
fn show_prints_all_known_facts_of_a_damaged_run() {
    for damage in [None, Some("{}\n")] {
        let landing = landed();
        match damage {
            None => fs::remove_file(landing.payload(RUN)).unwrap(),
            Some(text) => replace(landing.payload(RUN), text),
        }
        let answer = landing.rawsink(["show", PARTITION, "--latest", "--json"]).exits(5);
        assert_eq!(answer.json()[0]["seal"]["record_count"], 3, "{answer:?}");
        answer.says(&["\"kind\":\"Corrupt\""]);
    }
}
