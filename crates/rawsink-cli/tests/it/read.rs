//! Reading back: `read`, `show`, `verify`, `validate` and `list`.

mod choice; // the choice of a run
mod damage; // changed payloads and seals
mod foreign; // partitions sealed by other software
mod listing; // `list` at every level

use std::io::{BufRead, BufReader, Read};

use nix::sys::signal::Signal;

use crate::{
    landing::{Landing, PARTITION, RUN, lines, run_path},
    running::Running,
};

/// More rows than a pipe holds.
fn many_rows() -> String {
    lines(100_000, |number| format!("{{\"number\":{number}}}"))
}

#[test]
fn a_closed_pipe_stops_reading_quietly() {
    let landing = Landing::new();
    landing.land(RUN, many_rows());
    for args in [&["read", PARTITION, "--latest"][..], &["read", &run_path(RUN), "--json"]] {
        let mut reading = Running::start(landing.command(args));
        let mut first = String::new();
        let mut stdout = BufReader::new(reading.child().stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        assert_eq!(first, "{\"number\":0}\n");
        drop(stdout);
        let answer = reading.finish().exits(0);
        assert_eq!(answer.stderr, "");
    }
    let answer = landing.shell(&format!("rawsink read {} | head -n 1", run_path(RUN))).exits(0);
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("{\"number\":0}\n", ""));
}

#[test]
fn an_unread_verdict_still_sets_the_exit_code() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    for (args, code) in [(&["--strict"][..], 1), (&[], 0)] {
        let args = [&["validate", PARTITION, "--latest"], args].concat();
        let (reader, stdout) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = landing.command(args);
        let output = command.stdout(stdout).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn an_interrupted_reader_stops_at_once_and_changes_nothing() {
    let landing = Landing::new();
    landing.land(RUN, many_rows());
    let before = landing.snapshot();
    let mut reading = Running::start(landing.command(["read", PARTITION, "--latest"]));
    let mut begun = [0; 1000];
    reading.child().stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    reading.signal(Signal::SIGTERM);
    assert_ne!(reading.end().code, Some(0));
    assert!(landing.snapshot() == before);
}

#[test]
fn large_rows_are_read_byte_for_byte() {
    let landing = Landing::new();
    let rows = lines(5, |row| {
        let filler = "y".repeat(usize::try_from(row + 1).unwrap() * 700_001);
        format!("{{\"x\":\"{filler}\"}}")
    });
    landing.land(RUN, &rows);
    assert!(landing.rawsink(["read", &run_path(RUN)]).exits(0).stdout == rows);
    landing.rawsink(["verify", &run_path(RUN)]).exits(0);
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
}

#[test]
fn a_full_output_is_an_error() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let answer = landing.shell(&format!("rawsink read {} > /dev/full", run_path(RUN))).exits(75);
    assert!(answer.one_error("Unavailable").contains("standard output"), "{answer:#?}");
}
