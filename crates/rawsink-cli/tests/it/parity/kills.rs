//! kill -9 of a writer at any moment, in the middle of its parts too.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;

use super::{assert_sealed, bucket, rows};
use crate::{landing::PARTITION, random::Random, running::Running};

#[test]
#[ignore = "parity: needs an object storage server"]
fn g09_a_writer_that_was_killed_at_any_moment_can_be_followed_by_another() {
    let (landing, mut random) = (bucket(), Random::seeded("killed on a server"));
    let (first, second) = (rows("first", 40), rows("second", 12));
    landing.file("first.jsonl", &first);
    landing.file("second.jsonl", &second);
    let (mut sealed, mut followed) = (0, 0);
    for round in 0..12 {
        let run = format!("run-{round:02}");
        let mut writer =
            Running::start(landing.command(["write", PARTITION, "first.jsonl", "--run-id", &run]));
        // The moment is the point: no condition is waited for.
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
