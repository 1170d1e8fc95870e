//! Errors: one JSON object with `--json`, hints that name a command or a variable, and the outcome of
//! a write.

use serde_json::{Value, json};

use crate::landing::{Answer, Landing, PARTITION, run_path};

const RUN: &str = "2024-06-02T00:00:00.000Z";

/// Returns the error objects on standard error; other lines are notes and warnings.
fn errors(answer: &Answer) -> Vec<Value> {
    let lines = answer.stderr.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that there is one error object and no error as text, and returns the object.
#[track_caller]
fn only_error(answer: &Answer) -> Value {
    assert!(!answer.stderr.contains("error[") && !answer.stderr.contains("hint: "), "{answer:#?}");
    let [error] = errors(answer).try_into().unwrap();
    let members: Vec<&String> = error.as_object().unwrap().keys().collect();
    let mut expected = ["kind", "message", "partition", "run_id", "path", "hint"];
    expected.sort_unstable();
    let mut members: Vec<&str> = members.into_iter().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, expected);
    error
}

#[test]
fn an_invalid_setting_is_one_object() {
    let landing = Landing::new().with("RAW_SINK", "obiect");
    let error = only_error(&landing.rawsink(["list", "--json"]).exits(2));
    assert_eq!(error["kind"], "Invalid");
    assert!(error["message"].as_str().unwrap().contains("RAW_SINK is \"obiect\""), "{error}");
    assert_eq!((&error["partition"], &error["run_id"]), (&Value::Null, &Value::Null));
    let error = only_error(&landing.rawsink(["write", PARTITION, "--json"]).exits(2));
    assert!(error["message"].as_str().unwrap().ends_with("; nothing was sealed"), "{error}");
}

#[test]
fn a_malformed_command_line_is_one_object() {
    let error = only_error(&Landing::new().rawsink(["list", "--json", "--no-such"]).exits(2));
    assert_eq!(error["kind"], "Invalid");
    assert!(error["message"].as_str().unwrap().contains("'--no-such'"), "{error}");
}

#[test]
fn a_write_to_a_sealed_run_is_one_object() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let args = ["write", PARTITION, "--run-id", RUN, "--json"];
    let error = only_error(&landing.feed(args, "{}\n").exits(3));
    let hint = format!(
        "a sealed run never changes; run \"rawsink write {PARTITION} -- COMMAND\" to write the data \
         under a new run id"
    );
    let expected = json!({
        "kind": "AlreadySealed",
        "message": "the run is already sealed; this command sealed nothing",
        "partition": PARTITION,
        "run_id": RUN,
        "path": null,
        "hint": hint,
    });
    assert_eq!(
        ["kind", "message", "partition", "run_id", "hint"].map(|name| &error[name]),
        ["kind", "message", "partition", "run_id", "hint"].map(|name| &expected[name])
    );
}

#[test]
fn a_refused_row_is_one_object_and_names_the_variable_that_allows_it() {
    let landing = Landing::new().with("RAW_SINK_MAX_ROW_BYTES", "10");
    let args = ["write", PARTITION, "--run-id", RUN, "--json"];
    let error = only_error(&landing.feed(args, "{\"text\":\"too long a row\"}\n").exits(65));
    assert_eq!((&error["kind"], &error["run_id"]), (&"Invalid".into(), &RUN.into()));
    assert_eq!(error["hint"], "set RAW_SINK_MAX_ROW_BYTES to allow longer rows");
    assert!(error["message"].as_str().unwrap().ends_with("; nothing was sealed"), "{error}");
    let text = landing.feed(&args[..4], "no row\n").exits(65);
    let line = text.one_error("Invalid");
    assert!(line.contains(&run_path(RUN)) && line.contains("nothing was sealed"), "{line}");
}

#[test]
fn a_missing_run_is_one_object() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let missing = run_path("2030-01-01T00:00:00.000Z");
    let error = only_error(&landing.rawsink(["read", &missing, "--json"]).exits(3));
    assert_eq!((&error["kind"], &error["partition"]), (&"NotFound".into(), &PARTITION.into()));
    assert_eq!(error["run_id"], "2030-01-01T00:00:00.000Z");
    assert_eq!(error["hint"], format!("run \"rawsink list {PARTITION}\" to see its runs"));
}

#[test]
fn a_failed_command_names_the_run_and_reports_that_nothing_was_sealed() {
    let landing = Landing::new();
    let args = ["write", PARTITION, "--run-id", RUN];
    let answer = landing.rawsink([&args[..], &["--json", "--", "false"]].concat()).exits(1);
    let error = only_error(&answer);
    assert_eq!((&error["kind"], &error["run_id"]), (&Value::Null, &RUN.into()));
    assert_eq!(error["message"], "the command exited with 1; nothing was sealed");
    let text = landing.rawsink([&args[..], &["--", "false"]].concat()).exits(1);
    let line = format!("error: {}: the command exited with 1; nothing was sealed", run_path(RUN));
    text.says(&[&line]);
}

#[test]
fn a_command_that_continues_reports_each_error_and_a_summary() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.rawsink(["copy", "--to-root", "there"]).exits(0);
    let seal = format!("there/{}/metadata.json", run_path(RUN));
    landing.file(&seal, "{}");
    let answer = landing.rawsink(["copy", "--to-root", "there", "--json"]).exits(5);
    let [error, summary] = errors(&answer).try_into().unwrap();
    assert_eq!((&error["kind"], &summary["kind"]), (&"Corrupt".into(), &"Corrupt".into()));
    let repair = format!("rawsink copy {} --to-root there --repair", run_path(RUN));
    assert!(error["hint"].as_str().unwrap().contains(&repair), "{error}");
    assert_eq!(summary["hint"], Value::Null);
}

#[test]
fn pipes_get_no_colours() {
    let answer = Landing::new().rawsink(["read", &run_path(RUN)]).exits(3);
    assert!(!answer.stderr.contains('\x1b'), "{answer:#?}");
}

#[test]
fn terminals_get_colours_unless_no_color_or_a_dumb_terminal_forbids_them() {
    let script = format!("script -qec 'rawsink read {}' /dev/null", run_path(RUN));
    for (variable, value, coloured) in
        [("TERM", "xterm", true), ("TERM", "dumb", false), ("NO_COLOR", "1", false)]
    {
        let landing = Landing::new().with("TERM", "xterm").with(variable, value);
        let answer = landing.shell(&script);
        let shown = answer.stdout.contains("\x1b[1;31merror[NotFound]:\x1b[0m ");
        assert_eq!(shown, coloured, "{variable}={value}: {answer:#?}");
    }
}
