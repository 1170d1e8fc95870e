//! Sources of rows, and their normal end.

use std::{fs, time::Instant};

use crate::{
    landing::{Landing, PARTITION, PATIENCE, RUN},
    running::{is_alive, pid_in},
};

const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";

/// Returns the arguments that write [`RUN`], with additional ones.
fn write<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["write", PARTITION, "--run-id", RUN], more].concat()
}

#[track_caller]
fn assert_landed(landing: &Landing, rows: &str) {
    assert_eq!(landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout, rows);
}

#[test]
fn rows_come_from_standard_input_a_file_or_a_command() {
    for more in [&[][..], &["-"], &["rows.jsonl"], &["--", "cat", "rows.jsonl"]] {
        let landing = Landing::new();
        landing.file("rows.jsonl", ROWS);
        let from_input = more.first().is_none_or(|file| *file == "-");
        landing.feed(write(more), if from_input { ROWS } else { "" }).exits(0);
        assert_landed(&landing, ROWS);
    }
}

#[test]
fn a_command_gets_its_arguments_untouched_and_no_standard_input() {
    let landing = Landing::new();
    let script = "printf '{\"line\":\"%s\"}\\n' \"$@\" \"$(cat)\"";
    let command = ["--", "sh", "-c", script, "sh", "--json", "-h"];
    // In a shell's `while read` loop, a command that reads would take the loop's other lines.
    landing.feed(write(&command), "another line of the caller\n").exits(0);
    assert_landed(&landing, "{\"line\":\"--json\"}\n{\"line\":\"-h\"}\n{\"line\":\"\"}\n");
}

#[test]
fn fewer_or_more_rows_than_expected_seal_nothing() {
    let landing = Landing::new();
    landing.file("rows.jsonl", ROWS);
    for expected in ["2", "4"] {
        let said = format!("expected {expected} rows, got 3; nothing was sealed");
        landing.feed(write(&["--expect-records", expected]), ROWS).exits(1).says(&[&said]);
        landing.assert_nothing_of(RUN);
        let command = ["--expect-records", expected, "--", "cat", "rows.jsonl"];
        landing.rawsink(write(&command)).exits(1).says(&[&said]);
        landing.assert_nothing_of(RUN);
    }
    landing.feed(write(&["--expect-records", "3"]), ROWS).exits(0);
    assert_landed(&landing, ROWS);
}

#[test]
fn empty_standard_input_and_files_are_refused_unless_allowed() {
    let landing = Landing::new();
    landing.file("empty.jsonl", "");
    for source in [&[][..], &["empty.jsonl"]] {
        let answer = landing.rawsink(write(source)).exits(1);
        answer.says(&["got no rows", "--allow-empty", "nothing was sealed"]);
        landing.assert_nothing_of(RUN);
    }
    landing.rawsink(write(&["empty.jsonl", "--allow-empty"])).exits(0);
    assert_eq!(fs::read(landing.payload(RUN)).unwrap(), b"");
    assert_landed(&landing, "");
}

#[test]
fn empty_output_is_accepted_from_a_command_or_if_expected() {
    let landing = Landing::new();
    landing.rawsink(write(&["--", "true"])).exits(0).says(&["sealed 0 rows"]);
    assert_landed(&landing, "");
    let landing = Landing::new();
    landing.rawsink(write(&["--expect-records", "0"])).exits(0);
    assert_landed(&landing, "");
}

#[test]
fn a_command_that_fails_seals_nothing_and_leaves_no_payload() {
    let landing = Landing::new();
    let answer = landing.rawsink(write(&["--", "sh", "-c", "echo {}; exit 7"])).exits(1);
    answer.says(&["the command exited with 7", "nothing was sealed"]);
    landing.assert_nothing_of(RUN);
    let answer = landing.rawsink(write(&["--", "sh", "-c", "echo {}; kill -9 $$"])).exits(1);
    answer.says(&["killed by signal 9", "nothing was sealed"]);
    landing.assert_nothing_of(RUN);
    assert_eq!(landing.files(), Vec::<String>::new());
    landing.rawsink(write(&["--", "echo", "{}"])).exits(0);
    assert_landed(&landing, "{}\n");
}

#[test]
fn a_command_that_fails_after_much_output_leaves_no_payload() {
    let landing = Landing::new();
    let command = ["--", "sh", "-c", "yes {} | head -c 9000000; exit 1"];
    landing.rawsink(write(&command)).exits(1).says(&["exited with 1"]);
    landing.assert_nothing_of(RUN);
    assert_eq!(landing.files(), Vec::<String>::new());
}

#[test]
fn a_command_that_cannot_start_is_the_callers_fault() {
    let landing = Landing::new();
    let missing = landing.rawsink(write(&["--", "no-such-extractor"])).exits(2);
    assert!(missing.one_error("Invalid").contains("no-such-extractor"), "{missing:#?}");
    landing.file("not-executable", "");
    let refused = landing.rawsink(write(&["--", "./not-executable"])).exits(2);
    assert!(refused.one_error("Invalid").contains("./not-executable"), "{refused:#?}");
    landing.assert_nothing_of(RUN);
}

#[test]
fn an_unreadable_file_is_the_callers_fault() {
    let landing = Landing::new();
    for file in ["missing.jsonl", "."] {
        let answer = landing.rawsink(write(&[file])).exits(2);
        assert!(answer.one_error("Invalid").contains(file), "{answer:#?}");
        landing.assert_nothing_of(RUN);
    }
}

#[test]
fn a_file_and_a_command_together_are_refused() {
    let landing = Landing::new();
    landing.file("rows.jsonl", ROWS);
    landing.rawsink(write(&["rows.jsonl", "--", "echo", "{}"])).exits(2);
    landing.assert_nothing_of(RUN);
}

#[test]
fn a_bad_row_stops_the_command_at_once() {
    // One command that hits the closed pipe, and one that stops writing.
    for rest in ["exec yes '{}'", "yes '{}' | head -c 2000000; exec sleep 30"] {
        let landing = Landing::new();
        let script = format!("echo $$ > pid; printf '{{}}\\n{{}}\\nbad\\n'; {rest}");
        let start = Instant::now();
        let answer = landing.rawsink(write(&["--", "sh", "-c", &script])).exits(65);
        assert!(answer.one_error("Invalid").contains("line 3 "), "{answer:#?}");
        assert!(start.elapsed() < PATIENCE / 4, "the command was waited for");
        assert!(!is_alive(pid_in(&landing.dir().join("pid"))), "the command is still running");
        landing.assert_nothing_of(RUN);
    }
}

#[test]
fn a_sealed_run_is_refused_before_the_command_starts() {
    let landing = Landing::new();
    landing.land(RUN, ROWS);
    landing.rawsink(write(&["--", "touch", "started"])).exits(3).one_error("AlreadySealed");
    assert!(!landing.dir().join("started").exists());
}

#[test]
fn closed_standard_input_has_no_rows() {
    let landing = Landing::new();
    let script = format!("exec rawsink write {PARTITION} --run-id {RUN} <&-");
    landing.shell(&script).exits(1).says(&["got no rows"]);
    landing.assert_nothing_of(RUN);
}

#[test]
fn a_missing_command_after_the_dashes_is_refused() {
    let landing = Landing::without_root();
    let answer = landing.feed(["write", PARTITION, "--"], "{}\n").exits(2);
    assert!(answer.one_error("Invalid").contains("no command follows --"), "{answer:#?}");
    assert_eq!(landing.snapshot().len(), 0);
}

#[test]
fn a_bad_row_of_a_slow_command_is_refused_at_once() {
    let landing = Landing::new();
    let start = Instant::now();
    let script = "echo '{}'; sleep 0.2; echo bad; exec sleep 30";
    let answer = landing.rawsink(["write", PARTITION, "--", "sh", "-c", script]).exits(65);
    assert!(answer.one_error("Invalid").contains("line 2"), "{answer:#?}");
    assert!(start.elapsed().as_secs() < 10, "the row was found {:?} later", start.elapsed());
}

/// A command that reads its rows' ids from standard input must not seal an empty run instead.
#[test]
fn an_empty_command_beside_unread_input_seals_nothing_unless_allowed() {
    let landing = Landing::new();
    let command = ["--", "cat"];
    let said = "the command printed no rows, and standard input, which it does not get, has data";
    landing.feed(write(&command), "123\n").exits(1).says(&[said, "nothing was sealed"]);
    landing.assert_nothing_of(RUN);
    landing.feed(write(&["--allow-empty", "--", "cat"]), "123\n").exits(0);
    let landing = Landing::new();
    landing.feed(write(&command), "").exits(0);
    assert_landed(&landing, "");
}
