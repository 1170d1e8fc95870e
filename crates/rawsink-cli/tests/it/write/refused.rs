//! Refused lines: what is said of them, and how they are kept.

use std::fs;

use serde_json::Value;

use crate::landing::{Landing, PARTITION, RUN, run_path};

/// Five lines, of which the second and the fourth are not rows.
const MIXED: &[u8] = b"{\"id\":1}\n{\"id\":NaN}\n{\"id\":3}\n\xFF\xFE\n{\"id\":5}\n";

fn rejected(landing: &Landing) -> Vec<Value> {
    let text = fs::read_to_string(landing.dir().join("refused.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_error_names_line_byte_file_and_what_the_line_looks_like() {
    let landing = Landing::new();
    fs::write(landing.dir().join("rows.jsonl"), "{\"id\":1}\n<html><body>Bad Gateway\n").unwrap();
    let answer = landing.rawsink(["write", PARTITION, "rows.jsonl", "--run-id", RUN]).exits(65);
    let expected = format!(
        "error[Invalid]: {}: line 2 is not valid JSON (byte 1: expected a value); it looks like HTML: \
         \"<html><body>Bad Gateway\" (rows.jsonl); nothing was sealed",
        run_path(RUN)
    );
    assert_eq!(answer.one_error("Invalid"), expected);
    answer.says(&["hint: correct the source, or accept refused lines"]);
    landing.assert_nothing_of(RUN);
}

#[test]
fn all_refused_lines_are_kept_and_nothing_is_sealed() {
    let landing = Landing::new();
    let write = ["write", PARTITION, "--run-id", RUN, "--rejects", "refused.jsonl"];
    let answer = landing.feed(write, MIXED).exits(65);
    let error = answer.one_error("Invalid");
    assert!(
        error.contains(": 2 lines were refused; first: line 2 is not valid JSON (byte 7"),
        "{error}"
    );
    assert!(error.ends_with("nothing was sealed"), "{error}");
    landing.assert_nothing_of(RUN);
    let [first, second] = rejected(&landing).try_into().unwrap();
    assert_eq!(
        (&first["line"], &first["byte"], &first["text"]),
        (&2.into(), &7.into(), &"{\"id\":NaN}".into())
    );
    assert_eq!(first["path"], run_path(RUN));
    assert!(
        first["cause"].as_str().unwrap().starts_with("a number that JSON does not have"),
        "{first}"
    );
    assert_eq!((&second["line"], &second["base64"]), (&4.into(), &"//4=".into()));
    assert!(second.get("text").is_none(), "{second}");
}

#[test]
fn up_to_a_number_of_refused_lines_the_run_is_sealed_with_their_count() {
    let landing = Landing::new();
    let args = |max| {
        ["write", PARTITION, "--run-id", RUN, "--rejects", "refused.jsonl", "--max-rejects", max]
    };
    let answer = landing.feed(args("1"), MIXED).exits(65);
    assert!(
        answer.one_error("Invalid").contains("2 lines were refused, more than 1; first"),
        "{answer:#?}"
    );
    landing.assert_nothing_of(RUN);
    let answer = landing.feed(args("2"), MIXED).exits(0);
    answer.says(&["sealed 3 rows", "2 lines were refused"]);
    assert_eq!(fs::read(landing.payload(RUN)).unwrap(), b"{\"id\":1}\n{\"id\":3}\n{\"id\":5}\n");
    let metadata: Value =
        serde_json::from_slice(&fs::read(landing.metadata(RUN)).unwrap()).unwrap();
    assert_eq!((&metadata["record_count"], &metadata["rejected_count"]), (&3.into(), &2.into()));
    // The file keeps the lines of both commands.
    assert_eq!(rejected(&landing).len(), 4);
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
}

#[test]
fn a_file_of_refused_lines_that_cannot_be_written_ends_the_command_before_the_rows_are_read() {
    let landing = Landing::new();
    let write = ["write", PARTITION, "--run-id", RUN, "--rejects", "no/refused.jsonl"];
    let answer = landing.feed(write, MIXED).exits(2);
    assert!(answer.one_error("Invalid").contains("no/refused.jsonl"), "{answer:#?}");
    landing.assert_nothing_of(RUN);
}

#[test]
fn check_reports_what_write_would_refuse_and_stores_nothing() {
    let landing = Landing::without_root();
    fs::write(landing.dir().join("rows.jsonl"), MIXED).unwrap();
    let answer = landing.rawsink(["check", "rows.jsonl"]).exits(65);
    let error = answer.one_error("Invalid");
    assert!(
        error.starts_with("error[Invalid]: line 2 is not valid JSON (byte 7: expected a value)"),
        "{error}"
    );
    assert!(error.contains("(rows.jsonl)"), "{error}");
    let answer = landing.rawsink(["check", "rows.jsonl", "--rejects", "refused.jsonl"]).exits(65);
    assert!(
        answer
            .one_error("Invalid")
            .starts_with("error[Invalid]: 2 lines were refused; first: line 2"),
        "{answer:#?}"
    );
    assert_eq!(rejected(&landing).len(), 2);
    let args =
        ["check", "rows.jsonl", "--rejects", "refused.jsonl", "--max-rejects", "2", "--json"];
    let checked: Value = serde_json::from_str(&landing.rawsink(args).exits(0).stdout).unwrap();
    assert_eq!((&checked["record_count"], &checked["rejected_count"]), (&3.into(), &2.into()));
    assert_eq!(checked["payload_bytes"], 27);
    landing.feed(["check", "-"], "{}\n\n{}").exits(65);
    landing.feed(["check", "-", "--skip-blank"], "{}\n\n{}").exits(0).says(&[]);
    assert!(!landing.dir().join("data").exists());
}

#[test]
fn rows_that_common_readers_cannot_read_are_warnings_or_faults() {
    let landing = Landing::new();
    let rows = "{}\n{\"a\":1,\"a\":2}\n{\"a\":1e400}\n{\"b\":1,\"b\":2}\n";
    let warnings = [
        "warning: rows with duplicate names: 2 (first: line 2)",
        "warning: rows with numbers too large for a double: 1 (first: line 3)",
    ];
    landing.feed(["check", "-"], rows).exits(0).says(&warnings);
    landing.feed(["check", "-", "--strict-rows"], rows).exits(1).says(&warnings);
    landing.feed(["write", PARTITION, "--run-id", RUN], rows).exits(0).says(&warnings);
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0).says(&warnings);
    let strict =
        landing.rawsink(["validate", PARTITION, "--latest", "--strict-rows", "--json"]).exits(1);
    let validation: Value = serde_json::from_str(&strict.stdout).unwrap();
    assert_eq!(validation["faults"][0], "rows with duplicate names: 2 (first: line 2)");
    assert_eq!(validation["hazards"][1]["hazard"], "number_out_of_range");
    assert_eq!(validation["hazards"][1]["first_line"], 3);
}

#[test]
fn guards_refuse_an_extract_that_is_quietly_wrong() {
    let landing = Landing::new();
    let rows = "{\"id\":1}\n{\"id\":2}\n{\"error\":{\"code\":500}}\n";
    let write = |more: &[&str]| {
        let args = [&["write", PARTITION, "--run-id", RUN], more].concat();
        landing.feed(args, rows)
    };
    let answer = write(&["--require-member", "id"]).exits(65);
    assert!(answer.one_error("Invalid").contains(": line 3 has no member \"id\": "), "{answer:#?}");
    let answer = write(&["--min-records", "4"]).exits(1);
    answer.says(&["expected at least 4 rows, got 3; nothing was sealed"]);
    landing.assert_nothing_of(RUN);
    write(&["--min-records", "3"]).exits(0);
}

#[test]
fn the_number_of_rows_is_compared_with_the_latest_earlier_day() {
    let landing = Landing::new();
    let day = |day: u8| PARTITION.replace("2024-06-01", &format!("2024-06-{day:02}"));
    let rows = |count: usize| "{}\n".repeat(count);
    let compare = |day: &str, count, more: &[&str]| {
        let args = [&["write", day, "--compare-previous", "50"], more].concat();
        landing.feed(args, rows(count))
    };
    // Nothing to compare with: no authority yet, and a later day does not count.
    landing.feed(["write", &day(9), "--then-validate"], rows(1)).exits(0);
    landing.feed(["write", &day(2)], rows(1)).exits(0);
    compare(&day(3), 1000, &["--then-validate"])
        .exits(0)
        .says(&["no earlier day has rows to compare with"]);
    compare(&day(5), 500, &[]).exits(0);
    compare(&day(5), 1500, &[]).exits(0);
    let answer = compare(&day(5), 499, &[]).exits(1);
    answer.says(&["got 499 rows, and 2024-06-03 has 1,000 rows: they differ by more than 50 %; nothing was sealed"]);
    compare(&day(5), 1501, &[]).exits(1);
    compare(&day(5), 499, &["--on-difference", "warn"])
        .exits(0)
        .says(&["differ by more than 50 %"]);
}
