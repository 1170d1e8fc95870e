//! Partitions sealed by other software: no seal block, fewer fields (G11).

use crate::landing::{Landing, PARTITION, RUN, run_path};

const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n";

fn sealed_by_others(metadata: &str) -> Landing {
    let landing = Landing::new();
    let dir = format!("data/raw/{}", run_path(RUN));
    landing.file(&format!("{dir}/payload.jsonl"), ROWS);
    landing.file(&format!("{dir}/metadata.json"), metadata);
    landing
}

#[test]
fn g11_a_partition_without_a_seal_block_is_read_shown_verified_and_validated() {
    let landing = sealed_by_others(r#"{"record_count": 2, "customer_id": "123", "ratio": 1.10}"#);
    let path = run_path(RUN);
    let listed = landing.rawsink(["list", PARTITION]).exits(0).stdout;
    assert_eq!(listed, format!("{path}\tsealed\t16 bytes\n"));
    assert_eq!(landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout, ROWS);
    let verified = landing.rawsink(["verify", &path]).exits(0).stdout;
    assert!(verified.contains("the seal of other software"), "{verified}");
    let verified = &landing.rawsink(["verify", &path, "--json"]).exits(0).json()[0];
    assert_eq!(verified["covered"], "record_count");
    let shown = landing.rawsink(["show", &path]).exits(0).stdout;
    assert!(shown.contains("sealed by other software") && shown.contains("1.10"), "{shown}");
    landing.rawsink(["validate", &path]).exits(0).says(&["warning: metadata: source is missing"]);
    assert_eq!(landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout, ROWS);
    landing.rawsink(["validate", &path, "--strict"]).exits(1).says(&["source is missing"]);
    landing.feed(["write", &path], ROWS).exits(3).one_error("AlreadySealed");
}

#[test]
fn g11_empty_metadata_is_enough_to_read() {
    let landing = sealed_by_others("{}");
    assert_eq!(landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout, ROWS);
    let verified = &landing.rawsink(["verify", &run_path(RUN), "--json"]).exits(0).json()[0];
    assert_eq!(verified["covered"], "nothing");
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
}

#[test]
fn a_wrong_row_count_in_foreign_metadata_is_corrupt() {
    let landing = sealed_by_others(r#"{"record_count": 3}"#);
    for command in ["read", "verify"] {
        let answer = landing.rawsink([command, &run_path(RUN)]).exits(5);
        assert!(
            answer
                .one_error("Corrupt")
                .contains("the payload has 2 rows, metadata.json has record_count 3"),
            "{answer:#?}"
        );
    }
    landing.rawsink(["validate", &run_path(RUN)]).exits(1);
}

#[test]
fn a_foreign_row_that_is_no_object_fails_validation_by_line() {
    let landing = sealed_by_others("{}");
    landing.file(&format!("data/raw/{}/payload.jsonl", run_path(RUN)), "{}\n[]\n\n{}");
    let answer = landing.rawsink(["validate", &run_path(RUN)]).exits(1);
    answer.says(&["line 2 is not a JSON object", "line 3 is blank"]);
}

#[test]
fn a_seal_of_newer_software_is_unsupported_and_gets_no_verdict() {
    let landing = sealed_by_others(r#"{"_seal": {"format": 2}}"#);
    for command in ["read", "verify", "validate"] {
        let answer = landing.rawsink([command, &run_path(RUN)]).exits(4);
        assert!(answer.one_error("Unsupported").contains("format 2"), "{answer:#?}");
    }
    assert!(!landing.dir().join("data/state_store.db").exists());
}
