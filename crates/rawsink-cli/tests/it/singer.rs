//! Singer taps: each stream lands as a run, or nothing is sealed.

use std::fs;

use serde_json::{Value, json};

use crate::landing::{Answer, Landing, RUN};

mod ending; // taps that die, pipes, signals, interrupted landings
mod memory; // many interleaved streams
mod refused; // lines, names and options that are refused

/// The partitions of all streams.
const TARGET: &str = "crm/customer_id=7/query_name={stream}/logical_date=2024-06-01";

fn schema(stream: &str) -> String {
    let schema = r#"{"type":"object","properties":{"id":{"type":"integer"}}}"#;
    format!(r#"{{"type":"SCHEMA","stream":"{stream}","schema":{schema},"key_properties":["id"]}}"#)
}

fn record(stream: &str, row: &str) -> String {
    format!(r#"{{"type": "RECORD", "stream": "{stream}", "record": {row}}}"#)
}

fn state(value: &str) -> String {
    format!(r#"{{"type":"STATE","value":{value}}}"#)
}

/// Returns the arguments that land the output of a tap, a script in the landing's directory.
fn singer<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["singer", TARGET, "--run-id", RUN], more, &["--", "sh", "tap", "--token", "canary"]].concat()
}

/// Writes a tap that prints these lines and exits with 0.
fn tap(landing: &Landing, lines: &[String]) {
    tap_that(landing, &(lines.join("\n") + "\n"), "");
}

/// Writes a tap that prints a text, and then runs a script.
fn tap_that(landing: &Landing, text: &str, then: &str) {
    landing.file("messages", text);
    landing.file("tap", format!("cat messages\n{then}\n"));
}

fn path(stream: &str) -> String {
    TARGET.replace("{stream}", stream)
}

#[track_caller]
fn rows(landing: &Landing, stream: &str) -> String {
    landing.rawsink(["read", &path(stream), "--latest"]).exits(0).stdout
}

/// Returns the member `singer` of the metadata of a stream.
#[track_caller]
fn kept(landing: &Landing, stream: &str) -> Value {
    let file = format!("data/raw/{}/run_id={RUN}/metadata.json", path(stream));
    let document: Value =
        serde_json::from_slice(&fs::read(landing.dir().join(file)).unwrap()).unwrap();
    document["singer"].clone()
}

/// Asserts that no run exists and no temporary file is left.
#[track_caller]
fn assert_nothing(landing: &Landing) {
    assert_eq!(landing.rawsink(["list", "--runs"]).exits(0).stdout, "");
    let left: Vec<_> =
        landing.files().into_iter().filter(|file| file.starts_with("data/raw/")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn lands(landing: &Landing, lines: &[String]) -> Answer {
    tap(landing, lines);
    landing.rawsink(singer(&[])).exits(0)
}

#[test]
fn each_stream_lands_byte_for_byte_and_the_last_state_is_printed() {
    let landing = Landing::new();
    let (odd, odder) =
        ("{ \"b\": 1.0,\"a\" : 1e400 , \"a\":\"\\u00e9 \\ud800 é\"}", "{\"n\":-0,\"x\":[ ]}");
    let answer = lands(
        &landing,
        &[
            schema("users"),
            state("{\"at\":1}"),
            record("users", odd),
            schema("orders"),
            record("orders", "{}"),
            record("users", odder),
            record("orders", "{\"id\":12345678901234567890123}"),
            state("{ \"at\": 2.50 }"),
        ],
    );
    assert_eq!(answer.stdout, "{ \"at\": 2.50 }\n");
    assert_eq!(rows(&landing, "users"), format!("{odd}\n{odder}\n"));
    assert_eq!(rows(&landing, "orders"), "{}\n{\"id\":12345678901234567890123}\n");
    let validated = landing.rawsink(["validate", "--all"]).exits(0).stdout;
    assert_eq!(validated.lines().count(), 2, "{validated}");
    assert!(
        landing.rawsink(["read", &path("users"), "--current"]).exits(0).stdout.contains("1e400")
    );
}

/// The check for streams that are sealed already comes before the first writer.
#[test]
fn the_first_stream_creates_the_root() {
    for landing in [
        Landing::without_root(),
        Landing::without_root()
            .with("RAW_SINK_ROOT", "new")
            .with("RAW_SINK_STATE_URL", "sqlite:s.db"),
    ] {
        tap(&landing, &[schema("users"), record("users", r#"{"id":1}"#)]);
        landing.rawsink(singer(&[])).exits(0);
        assert_eq!(rows(&landing, "users"), "{\"id\":1}\n");
    }
}

#[test]
fn the_metadata_keeps_what_a_row_cannot_hold() {
    let landing = Landing::new();
    let message = |members: &str| format!(r#"{{"stream":"a",{members}}}"#);
    let answer = lands(
        &landing,
        &[
            message(r#""type":"SCHEMA","schema":{"x":1},"key_properties":["id"]"#),
            message(r#""type":"SCHEMA","schema":{"x":1},"key_properties":["id"]"#),
            message(
                r#""type":"RECORD","record":{},"version":7,"time_extracted":"2024-06-01T00:00:00Z""#,
            ),
            message(
                r#""type":"SCHEMA","schema":{ "x": 2 },"key_properties":[],"bookmark_properties":["at"]"#,
            ),
            message(
                r#""type":"RECORD","record":{},"version":8,"time_extracted":"2024-06-01T00:00:09Z""#,
            ),
            message(r#""type":"ACTIVATE_VERSION","version":8"#),
            state("{\"at\":9}"),
        ],
    );
    let expected = json!({
        "tap": "sh", "stream": "a", "schema": {"x": 2}, "key_properties": [],
        "bookmark_properties": ["at"], "schema_changes": 1,
        "record_version": {"first": 7, "last": 8},
        "time_extracted": {"first": "2024-06-01T00:00:00Z", "last": "2024-06-01T00:00:09Z"},
        "activated_version": 8, "state": {"at": 9},
    });
    assert_eq!(kept(&landing, "a"), expected);
    let shown = landing.rawsink(["show", &path("a"), "--latest"]).exits(0).stdout;
    assert!(!format!("{shown}{answer:?}").contains("canary"), "an argument of the tap is kept");
}

#[test]
fn the_state_can_be_kept_out_of_the_metadata() {
    let landing = Landing::new();
    tap(&landing, &[schema("a"), state("{\"token\":\"canary\"}")]);
    let answer = landing.rawsink(singer(&["--no-state", "--set", "api_version=v2"])).exits(0);
    assert_eq!(answer.stdout, "{\"token\":\"canary\"}\n");
    assert_eq!(kept(&landing, "a").get("state"), None);
    let document = landing.rawsink(["show", &path("a"), "--latest", "--json"]).exits(0).stdout;
    assert!(document.contains("\"v2\"") && !document.contains("canary"), "{document}");
}

#[test]
fn json_has_one_object_for_each_stream_and_one_for_the_state() {
    let landing = Landing::new();
    tap(&landing, &[schema("a"), schema("b"), record("b", "{}"), state("{\"at\":1}")]);
    let args = [&["--json"], &singer(&[])[..]].concat();
    let printed = landing.rawsink(&args).exits(0).json();
    assert_eq!(printed.len(), 3, "{printed:?}");
    for (printed, (stream, rows)) in printed.iter().zip([("a", 0), ("b", 1)]) {
        assert_eq!(printed["stream"], stream);
        assert_eq!(printed["outcome"], "sealed");
        assert_eq!(printed["record_count"], rows);
        assert_eq!(printed["path"], format!("{}/run_id={RUN}", path(stream)));
    }
    assert_eq!(printed[2], json!({"state": {"at": 1}}));
    let again = landing.rawsink(&args).exits(0).json();
    assert_eq!(again[0]["outcome"], "already_sealed");
}

#[test]
fn a_stream_without_records_is_sealed_empty_unless_records_are_required() {
    let landing = Landing::new();
    tap(&landing, &[schema("a"), schema("b"), record("a", "{}")]);
    let said = ["stream \"b\": expected at least 1 records, got 0; nothing was sealed"];
    landing.rawsink(singer(&["--min-records", "1"])).exits(1).says(&said);
    assert_nothing(&landing);
    assert_eq!(landing.rawsink(singer(&[])).exits(0).stdout, "", "the tap has no state");
    assert_eq!((rows(&landing, "a"), rows(&landing, "b")), ("{}\n".to_owned(), String::new()));
}

#[test]
fn streams_get_other_names() {
    let landing = Landing::new();
    tap(&landing, &[schema("public/users"), schema("orders"), record("public/users", "{}")]);
    let target = TARGET.replace("{stream}", "db_{stream}");
    let args =
        ["singer", &target, "--run-id", RUN, "--rename", "public/users=users", "--", "sh", "tap"];
    landing.rawsink(args).exits(0);
    assert_eq!(rows(&landing, "db_users"), "{}\n");
    assert_eq!(rows(&landing, "db_orders"), "");
}

#[test]
fn options_come_from_a_file_as_those_of_singer_targets() {
    let landing = Landing::new();
    let options = json!({
        "partition": TARGET, "run_id": "2023-01-01T00:00:00.000Z", "rename": {"a": "b"},
        "min_records": 1, "accept_unknown_end": true, "no_state": true, "set": {"api_version": "v3"},
    });
    landing.file("target.json", options.to_string());
    let messages = [schema("a"), record("a", "{\"id\":1}"), state("{}"), String::new()].join("\n");
    // An option of the command line wins.
    let args = ["singer", "--config", "target.json", "--run-id", RUN];
    let answer = landing.feed(args, &messages).exits(0);
    assert_eq!((answer.stdout.as_str(), rows(&landing, "b").as_str()), ("{}\n", "{\"id\":1}\n"));
    assert_eq!(kept(&landing, "b").get("state"), None);
    let document = landing.rawsink(["show", &path("b"), "--latest", "--json"]).exits(0).stdout;
    assert!(document.contains("\"v3\""), "{document}");
    let empty = json!({"partition": TARGET, "run_id": "", "accept_unknown_end": true});
    landing.file("target.json", empty.to_string());
    landing.feed(["singer", "--config", "target.json"], &messages).exits(0);
    landing.file("target.json", r#"{"partition":"a","runid":"b"}"#);
    landing.feed(args, &messages).exits(2).says(&["unknown field `runid`", "nothing was sealed"]);
}
