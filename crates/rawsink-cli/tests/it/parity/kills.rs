//! kill -9 of a writer at any moment, in the middle of its parts too; a signal while it waits.

use std::{
    io::{BufRead, BufReader},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{Client, assert_sealed, bucket, payload_of, rows, var};
use crate::{
    landing::{PARTITION, RUN},
    random::Random,
    running::Running,
};

#[test]
#[ignore = "parity: needs an object storage server"]
fn g09_a_run_can_be_rewritten_after_a_kill_at_any_moment() {
    let (landing, mut random) = (bucket(), Random::seeded("killed on a server"));
    let (first, second) = (rows("first", 40), rows("second", 12));
    landing.file("first.jsonl", &first);
    landing.file("second.jsonl", &second);
    let (mut sealed, mut followed) = (0, 0);
    for round in 0..12 {
        let run = format!("run-{round:02}");
        let mut writer =
            Running::start(landing.command(["write", PARTITION, "first.jsonl", "--run-id", &run]));
        // The kill has a random moment: no condition is awaited.
        thread::sleep(Duration::from_millis(random.below(900)));
        writer.signal(Signal::SIGKILL);
        writer.finish();
        let answer = landing.rawsink(["write", PARTITION, "second.jsonl", "--run-id", &run]);
        if answer.code == Some(0) {
            followed += 1;
            assert_sealed(&landing, &run, &second);
        } else {
            answer.exits(3).one_error("AlreadySealed");
            sealed += 1;
            assert_sealed(&landing, &run, &first);
        }
    }
    println!("killed on a server: {sealed} sealed before, {followed} written again");
    assert!(followed > 0, "no writer was killed in the middle");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g06_g08_a_signal_during_the_grace_seals_nothing_and_is_reported() {
    for rows in ["{\"new\":1}\n".to_owned(), rows("new", 12)] {
        let landing = bucket().with("RAW_SINK_LEFTOVER_GRACE_S", "600");
        let client = Client::of(&landing);
        client.put(&payload_of(RUN), "{\"left\":1}\n");
        landing.file("rows.jsonl", &rows);
        let args = ["write", PARTITION, "rows.jsonl", "--run-id", RUN];
        let mut writer = Running::start(landing.command(args));
        let mut told = String::new();
        let mut stderr = BufReader::new(writer.child().stderr.as_mut().unwrap());
        while !told.contains("may still be active") {
            assert_ne!(stderr.read_line(&mut told).unwrap(), 0, "{told}");
        }
        writer.signal(Signal::SIGTERM);
        writer.end().exits(143).says(&["interrupted by a signal; nothing was sealed"]);
        assert_eq!(client.keys(), [payload_of(RUN)]);
        assert_eq!(client.get(&payload_of(RUN)), "{\"left\":1}\n");
        let landing = landing.with("RAW_SINK_LEFTOVER_GRACE_S", var("RAW_SINK_LEFTOVER_GRACE_S"));
        landing.rawsink(args).exits(0);
        assert_sealed(&landing, RUN, &rows);
    }
}
