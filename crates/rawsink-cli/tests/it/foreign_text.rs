//! Text of others never controls a terminal, and never looks like a line of the program.

use std::fs;

use serde_json::{Value, json};

use crate::landing::{Landing, PARTITION, RUN, run_path};

/// Control characters of both sets, marks of the writing direction, and lines that could be the program's.
const HOSTILE: &str =
    "x\u{1b}]0;PWNED\u{7}\u{1b}[31m\u{9b}31m\u{7f}\r\nerror: forged\u{202e}\u{2066}\u{2028}hint: y";
/// A legal name.
const NAME: &str = "1\u{202e}\u{2028}2";

fn is_harmful(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Asserts that a text has no harmful character except line ends and tabs, and no forged line.
#[track_caller]
fn assert_harmless(text: &str, of: &str) {
    let text = text.replace("\r\n", "\n");
    let found = text.chars().find(|one| is_harmful(*one) && !matches!(one, '\n' | '\t'));
    assert_eq!(found, None, "{of}: {text:?}");
    let forged = ["error: forged", "hint: y"];
    assert!(!text.lines().any(|line| forged.iter().any(|it| line.starts_with(it))), "{of}: {text}");
}

/// Lands a run with hostile names and metadata, and records a hostile reason.
fn hostile() -> (Landing, String) {
    let landing = Landing::new().with("NO_COLOR", "1");
    let partition = format!("ads/customer_id={NAME}/query_name=q/logical_date=2024-06-01");
    let run = format!("{partition}/run_id={RUN}");
    // Only C0 must be escaped in JSON.
    let text = serde_json::to_string(HOSTILE).unwrap();
    let metadata = format!("{{\"note\": {text}, {text}: 1, \"source\": null}}");
    landing.file("metadata.json", metadata);
    landing.feed(["write", &run, "--metadata", "metadata.json"], "{}\n").exits(0);
    landing.rawsink(["validate", &run]).exits(0);
    let withdraw = ["state", "withdraw", &run, "--reason", HOSTILE];
    landing.rawsink(withdraw).exits(0);
    (landing, run)
}

#[test]
fn no_command_prints_foreign_text_as_it_is_on_a_terminal() {
    let (landing, run) = hostile();
    let path = format!("'{}'", run.split("/run_id=").next().unwrap());
    for command in [
        format!("show '{run}'"),
        format!("show '{run}' --json"),
        format!("state history {path}"),
        format!("state history {path} --json"),
        format!("validate '{run}'"),
        "state list".to_owned(),
        "list --runs".to_owned(),
        "list ads --json".to_owned(),
        "coverage".to_owned(),
        "coverage --json".to_owned(),
        "coverage --plan".to_owned(),
        "manifest".to_owned(),
        "scrub --all".to_owned(),
        format!("read {path} --current"),
    ] {
        landing.file("command", format!("rawsink {command} 2> errors"));
        let answer = landing.shell("script -qec 'sh ./command' /dev/null");
        assert_harmless(&answer.stdout, &command);
        let errors = fs::read_to_string(landing.dir().join("errors")).unwrap();
        assert_harmless(&errors, &command);
        assert!(!answer.stdout.is_empty() || !errors.is_empty(), "{command} prints nothing");
    }
}

#[test]
fn json_has_the_exact_values_and_no_harmful_character() {
    let (landing, run) = hostile();
    let shown = landing.rawsink(["show", &run, "--json"]).exits(0);
    assert_harmless(&shown.stdout, "show");
    let [shown] = shown.json().try_into().unwrap();
    assert_eq!(shown["metadata"]["note"], HOSTILE);
    assert_eq!(shown["metadata"][HOSTILE], 1);
    assert_eq!(shown["path"], json!(run));
    let logged = landing.rawsink(["state", "history", &run, "--json"]).exits(0);
    assert_harmless(&logged.stdout, "state history");
    assert_eq!(logged.json()[1]["reason"], HOSTILE);
    let refused = landing.rawsink(["validate", &run, "--json"]).exits(2);
    assert_harmless(&refused.stderr, "validate");
    let error: Value = serde_json::from_str(refused.stderr.trim_end()).unwrap();
    assert!(error["message"].as_str().unwrap().contains(HOSTILE), "{error}");
}

#[test]
fn a_pipe_gets_one_line_for_each_entry() {
    let (landing, run) = hostile();
    let history = landing.rawsink(["state", "history", &run]).exits(0).stdout;
    assert_eq!(history.split('\n').count(), 3, "two entries and the end: {history:?}");
    // A pipe gets names as they are.
    let listed = landing.rawsink(["list", "--runs"]).exits(0).stdout;
    assert_eq!(listed, format!("{run}\tsealed\t3 bytes\n"));
}

#[test]
fn a_seal_block_with_control_characters_is_corrupt_and_not_printed() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let seal = fs::read_to_string(landing.metadata(RUN)).unwrap();
    let software = format!("rawsink {}", env!("CARGO_PKG_VERSION"));
    assert!(seal.contains(&software), "{seal}");
    let forged = serde_json::to_string(HOSTILE).unwrap();
    fs::remove_file(landing.metadata(RUN)).unwrap();
    fs::write(landing.metadata(RUN), seal.replace(&format!("\"{software}\""), &forged)).unwrap();
    for command in ["show", "read", "verify"] {
        let answer = landing.rawsink([command, &run_path(RUN)]).exits(5);
        let error = answer.one_error("Corrupt");
        assert!(error.contains("software contains a control character"), "{error}");
        assert_harmless(&answer.stderr, command);
    }
    let answer = landing.rawsink(["validate", PARTITION, "--latest"]);
    assert_harmless(&format!("{}{}", answer.stdout, answer.stderr), "validate");
}

#[test]
fn a_refused_argument_is_not_printed_as_it_is() {
    let landing = Landing::new();
    for args in [["list", "--\u{1b}[2J"], ["x\u{9b}31m\u{202e}", "y"]] {
        assert_harmless(&landing.rawsink(args).exits(2).stderr, args[0]);
        let json = landing.rawsink([&args[..], &["--json"]].concat()).exits(2);
        assert_harmless(&json.stderr, args[0]);
    }
}
