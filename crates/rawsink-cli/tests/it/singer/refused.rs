//! Lines, names and options that are refused. Nothing is sealed then, and no temporary file is left.

use super::{TARGET, assert_nothing, record, schema, singer, state, tap, tap_that};
use crate::landing::Landing;

#[test]
fn a_line_that_is_no_message_seals_nothing() {
    for (line, reason) in [
        ("INFO:root:starting", "line 3 is not a Singer message: it is not valid JSON (byte 1"),
        ("", "line 3 is not a Singer message: it is blank"),
        (r#"{"type":"RECORD","stream":"a","record":{"x":NaN}}"#, "(byte 45"),
        (r#"{"type":"RECORD","stream":"a","record":[]}"#, "without a JSON object as its record"),
        (
            r#"{"type":"RECORD","stream":"b","record":{}}"#,
            "RECORD of stream \"b\" before its SCHEMA",
        ),
        (r#"{"type":"ACTIVATE_VERSION","stream":"b","version":1}"#, "before its SCHEMA"),
        (r#"{"type":"BATCH","stream":"a","manifest":[]}"#, "is a BATCH"),
        (r#"{"type":"METRIC","value":1}"#, "unknown message type \"METRIC\""),
        (r#"{"type":"STATE"}"#, "is a STATE without a value"),
    ] {
        let landing = Landing::new();
        tap(&landing, &[schema("a"), record("a", "{}"), line.to_owned(), state("{}")]);
        let answer = landing.rawsink(singer(&[])).exits(65).says(&[reason, "; nothing was sealed"]);
        answer.one_error("Invalid");
        assert_eq!(answer.stdout, "", "no state is printed");
        assert_nothing(&landing);
    }
}

#[test]
fn a_record_has_the_length_limit_of_a_row() {
    let landing = Landing::new().with("RAW_SINK_MAX_ROW_BYTES", "20");
    tap(&landing, &[schema("a"), record("a", r#"{"x":"0123456789a"}"#)]);
    landing.rawsink(singer(&[])).exits(0);
    let landing = Landing::new().with("RAW_SINK_MAX_ROW_BYTES", "20");
    tap(&landing, &[schema("a"), record("a", r#"{"x":"0123456789abc"}"#)]);
    let said =
        ["line 2 has a record of stream \"a\" longer than 20 bytes", "RAW_SINK_MAX_ROW_BYTES"];
    landing.rawsink(singer(&[])).exits(65).says(&said);
    // A line without an end is not read for ever.
    tap_that(&landing, "", "yes x | tr -d '\\n'");
    landing.rawsink(singer(&[])).exits(65).says(&["line 1 is longer than", "nothing was sealed"]);
    assert_nothing(&landing);
}

#[test]
fn a_stream_whose_name_is_no_query_name_needs_another() {
    let landing = Landing::new();
    tap(&landing, &[schema("a"), schema("it's/b")]);
    let said = [
        "stream \"it's/b\" needs another name",
        "contains a slash",
        r"hint: add --rename 'it'\''s/b=NAME'",
    ];
    landing.rawsink(singer(&[])).exits(2).says(&said);
    tap(&landing, &[schema("a"), schema("b")]);
    let said = ["streams \"a\" and \"b\" have the same query_name \"b\""];
    landing.rawsink(singer(&["--rename", "a=b"])).exits(2).says(&said);
    let said = ["the tap has no stream \"c\"", "nothing was sealed"];
    landing.rawsink(singer(&["--rename", "c=d"])).exits(2).says(&said);
    assert_nothing(&landing);
}

#[test]
fn options_are_checked_before_the_tap_starts() {
    let landing = Landing::new();
    tap_that(&landing, "", "touch started");
    let without = TARGET.replace("{stream}", "users");
    let future = "2999-01-01T00:00:00.000Z";
    let of = |target, more: &[&'static str]| {
        let args = [&["singer", target][..], more, &["--", "sh", "tap"]].concat();
        landing.rawsink(args)
    };
    of(&without, &[]).exits(2).says(&["does not contain {stream} once", "nothing was sealed"]);
    of(TARGET, &["--run-id", future]).exits(2).says(&["is a time in the future"]);
    of(TARGET, &["--rename", "ab"]).exits(2).says(&["is not STREAM=NAME"]);
    of(TARGET, &["--strict"]).exits(2).says(&["api_version is missing", "nothing was sealed"]);
    of(TARGET, &["--set", "source=x"]).exits(2).says(&["metadata has source"]);
    of(TARGET, &["--config", "nowhere"]).exits(2).says(&["cannot read the options"]);
    landing.rawsink(["singer", TARGET, "--"]).exits(2).says(&["no command follows --"]);
    landing.rawsink(["singer", "--", "true"]).exits(2);
    assert!(!landing.dir().join("started").exists());
    of(TARGET, &[]).exits(1).says(&["the tap printed no SCHEMA", "nothing was sealed"]);
    assert!(landing.dir().join("started").exists());
    assert_nothing(&landing);
}

#[test]
fn a_member_of_the_program_and_metadata_that_is_too_long_seal_nothing() {
    let landing = Landing::new();
    tap(&landing, &[schema("a"), schema("b")]);
    let said = ["has the member \"singer\", which the command sets", "nothing was sealed"];
    landing.rawsink(singer(&["--set", "singer=x"])).exits(2).says(&said);
    let long = state(&format!("{{\"x\":\"{}\"}}", "x".repeat(4 << 20)));
    tap(&landing, &[schema("a"), schema("b"), long]);
    landing.rawsink(singer(&[])).exits(2).says(&["the limit is 4194304", "nothing was sealed"]);
    assert_nothing(&landing);
    landing.rawsink(singer(&["--no-state"])).exits(0);
}

#[test]
fn a_sink_that_does_not_answer_ends_the_tap_at_its_first_stream() {
    let landing = Landing::new()
        .in_bucket("http://127.0.0.1:1")
        .with("RAW_SINK_ACCESS_KEY_ID", "id")
        .with("RAW_SINK_SECRET_ACCESS_KEY", "secret")
        .with("RAW_SINK_RETRY_DEADLINE_S", "1");
    tap_that(&landing, &(schema("a") + "\n"), "exec sleep 100");
    let said = ["nothing was sealed", "run the same command again later with --run-id"];
    landing.rawsink(singer(&[])).exits(75).says(&said).one_error("Unavailable");
}
