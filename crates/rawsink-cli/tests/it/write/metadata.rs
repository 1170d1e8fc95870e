//! Metadata options of a writer, and the sealed metadata.

use std::fs;

use serde_json::json;

use crate::landing::{Answer, Landing, PARTITION, RUN, run_path};

/// Writes one row with these options, from a command that leaves a trace.
fn write(landing: &Landing, options: &[&str]) -> Answer {
    let command = ["--", "sh", "-c", "touch extracted; echo {}"];
    landing.rawsink([&["write", PARTITION, "--run-id", RUN], options, &command].concat())
}

#[track_caller]
fn refused(landing: &Landing, options: &[&str], said: &str) {
    let answer = write(landing, options).exits(2);
    assert!(answer.stderr.contains(said), "does not say {said:?}: {answer:#?}");
    assert_eq!(answer.stdout, "");
    assert!(!landing.dir().join("extracted").exists(), "refused only after the extraction");
    landing.assert_nothing_of(RUN);
}

#[test]
fn a_metadata_file_keeps_its_order_and_every_digit() {
    let landing = Landing::new();
    let document = r#"{"zeta": 1.10, "api_version": "v16",
        "big": 123456789012345678901234567890, "nested": {"b": 1e400, "a": [0.0]},
        "source": "google_ads", "query_hash": "h", "alpha": null}"#;
    landing.file("meta.json", document);
    let answer = write(&landing, &["--metadata", "meta.json"]).exits(0);
    assert!(!answer.stderr.contains("warning"), "{answer:#?}");
    let stored = fs::read_to_string(landing.metadata(RUN)).unwrap();
    let mut rest = stored.as_str();
    for text in [
        r#""source": "google_ads""#,
        r#""schema_version": "v1""#,
        r#""zeta": 1.10,"#,
        r#""api_version": "v16""#,
        r#""big": 123456789012345678901234567890,"#,
        r#""nested": {"b": 1e400, "a": [0.0]},"#,
        r#""query_hash": "h""#,
        r#""alpha": null"#,
        r#""record_count": 1"#,
        r#""_seal""#,
    ] {
        let at = rest.find(text).unwrap_or_else(|| panic!("no {text} behind: {rest}"));
        rest = &rest[at + text.len()..];
    }
    let shown = landing.rawsink(["show", &run_path(RUN), "--json"]).exits(0).stdout;
    assert!(shown.contains("123456789012345678901234567890"), "{shown}");
    assert!(shown.contains("1.10") && shown.contains("1e400"), "{shown}");
}

#[test]
fn contradicting_or_duplicate_metadata_is_refused_before_extraction() {
    let landing = Landing::new();
    for (document, said) in [
        (r#"{"customer_id": "124"}"#, "customer_id \"124\", the partition has \"123\""),
        (r#"{"customer_id": 123}"#, "customer_id 123"),
        (r#"{"logical_date": "2024-06-02"}"#, "logical_date"),
        (r#"{"run_id": "x", "source": "y"}"#, "run_id \"x\""),
        (r#"{"a": 1, "b": 2, "a": 3}"#, "the member \"a\" twice"),
        (r#"{"_seal": {}}"#, "_seal"),
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        ("", "not a JSON object"),
    ] {
        landing.file("meta.json", document);
        refused(&landing, &["--metadata", "meta.json"], said);
    }
    refused(&landing, &["--metadata", "missing.json"], "missing.json");
    refused(&landing, &["--metadata", "."], "cannot read the metadata");
}

#[test]
fn a_given_record_count_must_be_correct() {
    let landing = Landing::new();
    let answer = write(&landing, &["--set", "record_count:=2"]).exits(2);
    assert!(answer.one_error("Invalid").contains("record_count 2"), "{answer:#?}");
    landing.assert_nothing_of(RUN);
    write(&landing, &["--set", "record_count:=1"]).exits(0);
}

#[test]
fn set_adds_texts_and_json_in_order_and_overrides_the_file() {
    let landing = Landing::new();
    landing.file("meta.json", r#"{"api_version": "v1", "kept": true}"#);
    write(
        &landing,
        &[
            "--metadata",
            "meta.json",
            "--set",
            "api_version=v21",
            "--set",
            "query=SELECT a FROM b WHERE c = 'd'",
            "--set",
            "pages:=[1, 2.50]",
            "--set",
            "empty=",
            "--set",
            "schema_version=v2",
        ],
    )
    .exits(0);
    let shown = &landing.rawsink(["show", &run_path(RUN), "--json"]).exits(0).json()[0];
    let metadata = &shown["metadata"];
    assert_eq!(metadata["api_version"], "v21");
    assert_eq!(metadata["kept"], true);
    assert_eq!(metadata["query"], "SELECT a FROM b WHERE c = 'd'");
    assert_eq!(metadata["pages"], json!([1, 2.5]));
    assert_eq!(metadata["empty"], "");
    assert_eq!(metadata["schema_version"], "v2");
    let stored = fs::read_to_string(landing.metadata(RUN)).unwrap();
    assert!(stored.contains("[1, 2.50]"), "{stored}");
}

#[test]
fn a_malformed_set_is_refused_before_extraction() {
    let landing = Landing::new();
    for (setting, said) in [
        ("api_version", "--set \"api_version\" is not KEY=VALUE or KEY:=JSON"),
        ("=v1", "is not KEY=VALUE"),
        (":=1", "is not KEY=VALUE"),
        ("a:=v1", "--set \"a:=v1\" has no valid JSON value"),
        ("a:=", "has no valid JSON value"),
        ("_seal=x", "_seal"),
        ("customer_id=1", "customer_id \"1\""),
        ("run_id:=1", "run_id 1"),
    ] {
        refused(&landing, &["--set", setting], said);
    }
}

#[test]
fn the_time_of_extraction_can_be_given() {
    let landing = Landing::new();
    refused(&landing, &["--extracted-at", "yesterday"], "--extracted-at");
    refused(&landing, &["--extracted-at", "2024-06-02T00:00:00"], "--extracted-at");
    write(&landing, &["--extracted-at", "2024-06-02T02:00:00+02:00"]).exits(0);
    let shown = &landing.rawsink(["show", &run_path(RUN), "--json"]).exits(0).json()[0];
    assert_eq!(shown["metadata"]["extracted_at"], "2024-06-02T00:00:00Z");
}

#[test]
fn missing_contract_fields_are_warnings_or_errors_if_strict() {
    let landing = Landing::new();
    refused(
        &landing,
        &["--strict"],
        "api_version is missing; query_hash or query_signature is missing",
    );
    refused(&landing, &["--strict", "--set", "query_hash=h"], "api_version is missing");
    let complete = ["--strict", "--set", "query_signature=s", "--set", "api_version=v16"];
    let answer = write(&landing, &complete).exits(0);
    assert!(!answer.stderr.contains("warning"), "{answer:#?}");

    let landing = Landing::new();
    let warned = ["warning: metadata: api_version is missing", "warning: metadata: query_hash"];
    write(&landing, &["--set", "api_version:=16"]).exits(0).says(&["api_version is 16"]);
    landing.land("2024-06-03T00:00:00.000Z", "{}\n").says(&warned);
}
