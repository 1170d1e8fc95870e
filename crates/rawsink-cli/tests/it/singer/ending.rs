//! Taps that die, pipes, signals, and landings that end between two streams.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
};

use nix::sys::signal::{Signal, kill};

use super::{TARGET, assert_nothing, path, record, rows, schema, singer, state, tap, tap_that};
use crate::{
    landing::{Landing, RUN},
    running::{Running, is_alive, pid_in, until, until_staged},
};

/// The messages of two streams, all of them whole.
fn messages() -> String {
    [schema("a"), record("a", "{}"), schema("b"), state("{\"at\":1}"), String::new()].join("\n")
}

#[test]
fn a_tap_that_fails_seals_nothing() {
    for (then, said) in [
        ("exit 3", "the tap exited with 3; nothing was sealed"),
        ("kill -9 $$", "the tap was killed by signal 9; nothing was sealed"),
        ("printf '{\"type\":\"RECORD\"'; exit 1", "the tap exited with 1"),
    ] {
        let landing = Landing::new();
        tap_that(&landing, &messages(), then);
        assert_eq!(landing.rawsink(singer(&[])).exits(1).says(&[said]).stdout, "");
        assert_nothing(&landing);
    }
}

#[test]
fn a_last_line_without_its_line_feed_seals_nothing() {
    let landing = Landing::new();
    // The line is whole, and nobody can know it.
    tap_that(&landing, &(messages() + &record("a", "{}")), "");
    let said = ["line 5 has no line feed", "nothing was sealed"];
    landing.rawsink(singer(&[])).exits(65).says(&said);
    assert_nothing(&landing);
}

#[test]
fn standard_input_is_refused_unless_its_unknown_end_is_accepted() {
    let landing = Landing::new();
    let args = ["singer", TARGET, "--run-id", RUN];
    let said =
        ["a tap that crashed ends standard input like one that finished", "nothing was sealed"];
    landing.feed(args, messages()).exits(2).says(&said);
    assert_nothing(&landing);
    let accepted = [&args[..], &["--accept-unknown-end"]].concat();
    let cut = messages() + &record("a", "{}");
    landing.feed(&accepted, cut).exits(65).says(&["line 5 has no line feed"]);
    assert_nothing(&landing);
    assert_eq!(landing.feed(&accepted, messages()).exits(0).stdout, "{\"at\":1}\n");
    assert_eq!(rows(&landing, "a"), "{}\n");
}

#[test]
fn a_tap_gets_no_standard_input_and_its_standard_error_passes() {
    let landing = Landing::new();
    tap_that(&landing, &messages(), "cat; echo 'a warning of the tap' >&2");
    landing.feed(singer(&[]), "not a message\n").exits(0).says(&["a warning of the tap"]);
}

#[test]
fn g08_a_signal_stops_the_tap_and_seals_nothing() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let landing = Landing::new();
        // A process that the tap has started.
        tap_that(&landing, &messages(), "sh -c 'echo $$ > pid; exec sleep 100' & wait");
        let mut running = Running::start(landing.command(singer(&[])));
        let pid = pid_in(&landing.dir().join("pid"));
        running.signal(signal);
        let answer = running.end().exits(code);
        assert!(!is_alive(pid), "the tap is still running");
        answer.says(&["interrupted by a signal; nothing was sealed"]);
        assert_nothing(&landing);
    }
}

#[test]
fn temporary_files_have_no_name_even_after_a_crash() {
    let landing = Landing::new();
    let temp = landing.dir().join("temp");
    fs::create_dir(&temp).unwrap();
    let rows = record("a", "{\"some\":\"text\"}") + "\n";
    tap_that(&landing, &(messages() + &rows.repeat(10_000)), "echo $$ > pid; exec sleep 100");
    let mut command = landing.command(singer(&[]));
    command.env("TMPDIR", &temp);
    let mut running = Running::start(command);
    let pid = pid_in(&landing.dir().join("pid"));
    let descriptors = format!("/proc/{}/fd", running.pid());
    let is_spooled = || {
        let links = fs::read_dir(&descriptors).unwrap().filter_map(Result::ok);
        let mut targets = links.filter_map(|link| fs::read_link(link.path()).ok());
        targets.any(|target| {
            target.starts_with(&temp) && target.to_string_lossy().ends_with("(deleted)")
        })
    };
    until("a stream has a temporary file", is_spooled);
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
    running.signal(Signal::SIGKILL);
    kill(pid, Signal::SIGKILL).unwrap();
    assert_eq!(running.end().code, None);
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
    assert_nothing(&landing);
}

/// Lands three streams while another writer has the second one, so that only the first is sealed.
fn land_partly(landing: &Landing) {
    let lines =
        [schema("a"), schema("b"), schema("c"), record("a", "{\"id\":1}"), state("{\"at\":1}")];
    tap(landing, &lines);
    let mut rival = Running::start(landing.command(["write", &path("b"), "--run-id", RUN]));
    until_staged(&landing.dir().join("data/raw").join(path("b")).join(format!("run_id={RUN}")), 0);
    let answer = landing.rawsink(singer(&[])).exits(3);
    let error = answer.one_error("Conflict");
    assert!(error.contains(&path("b")), "{error}");
    assert!(error.ends_with("1 of 3 streams are sealed, not \"b\", \"c\""), "{error}");
    assert_eq!(answer.stdout, "", "no state is printed");
    rival.signal(Signal::SIGTERM);
    rival.end().exits(143);
    let sealed = landing.rawsink(["list", "--runs"]).exits(0).stdout;
    assert_eq!(sealed.lines().count(), 1, "{sealed}");
}

#[test]
fn the_same_command_seals_the_streams_that_are_missing() {
    let landing = Landing::new();
    land_partly(&landing);
    let before = landing.snapshot();
    let answer = landing.rawsink(singer(&[])).exits(0);
    assert_eq!(answer.stdout, "{\"at\":1}\n");
    let answer = answer.says(&[&format!("{}/run_id={RUN}: already sealed, 1 row", path("a"))]);
    assert_eq!(answer.stderr.matches(": sealed 0 rows").count(), 2, "{answer:?}");
    let after = landing.snapshot();
    let of_a = format!("data/raw/{}/run_id={RUN}/", path("a"));
    for (file, facts) in before.iter().filter(|(file, _)| file.starts_with(&of_a)) {
        assert_eq!(after.get(file), Some(facts), "{file} has changed");
    }
}

#[test]
fn a_signal_between_two_streams_keeps_those_that_are_sealed() {
    let landing = Landing::new();
    let names: Vec<String> = (0..300).map(|number| format!("s{number}")).collect();
    let schemas = names.iter().map(|name| schema(name)).chain([state("{\"at\":1}")]);
    tap(&landing, &schemas.collect::<Vec<_>>());
    let mut running = Running::start(landing.command(singer(&[])));
    let mut stderr = BufReader::new(running.child().stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(": sealed 0 rows") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    running.signal(Signal::SIGTERM);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(running.end().exits(143).stdout, "", "no state is printed");
    let sealed = said.matches(": sealed 0 rows").count();
    let outcome = format!("{sealed} of 300 streams are sealed, not \"s{sealed}\"");
    assert!(said.contains(&outcome), "{outcome}: {said}");
    assert_eq!(landing.rawsink(["list", "--runs"]).exits(0).stdout.lines().count(), sealed);
    let answer = landing.rawsink(singer(&[])).exits(0);
    assert_eq!(answer.stdout, "{\"at\":1}\n");
    assert_eq!(answer.stderr.matches(": already sealed, 0 rows").count(), sealed);
}

#[test]
fn a_tap_that_prints_other_rows_than_are_sealed_seals_no_further_stream() {
    let landing = Landing::new();
    land_partly(&landing);
    let lines =
        [schema("c"), schema("b"), schema("a"), record("a", "{\"id\":2}"), state("{\"at\":2}")];
    tap(&landing, &lines);
    let said =
        ["the run is sealed with other rows", "this command sealed nothing", "without --run-id"];
    let answer = landing.rawsink(singer(&[])).exits(3).says(&said);
    answer.one_error("AlreadySealed");
    assert_eq!(answer.stdout, "");
    assert_eq!(landing.rawsink(["list", "--runs"]).exits(0).stdout.lines().count(), 1);
}

#[test]
fn a_state_that_cannot_be_printed_is_an_error() {
    let landing = Landing::new();
    tap(&landing, &[schema("a"), state("{\"at\":1}")]);
    let command = format!("rawsink singer '{TARGET}' -- sh tap > /dev/full");
    let said = ["cannot write the state", "every stream is sealed; their metadata holds it"];
    landing.shell(&command).exits(75).says(&said);
    // The reader closes the pipe before the first byte.
    for json in ["", "--json"] {
        landing.file("open", "");
        let wait = "while [ -e open ]; do sleep 0.01; done";
        let command = format!("rawsink {json} singer '{TARGET}' -- sh tap; echo $? > code");
        let script = format!("({wait}; {command}) | sh -c 'exec <&-; rm open'");
        landing.shell(&script).exits(0).says(&["cannot write the state", "every stream is sealed"]);
        assert_eq!(fs::read_to_string(landing.dir().join("code")).unwrap(), "75\n");
    }
}
