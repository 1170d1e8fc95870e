//! Processes that race for one run.

use std::time::Instant;

use super::{bucket, rows};
use crate::{
    landing::{Answer, Landing, PARTITION, run_path},
    running::Running,
};

/// The number of rivals and the size of their payloads.
#[derive(Debug, Clone, Copy)]
struct Race {
    rounds: u32,
    rivals: usize,
    /// One row if 0.
    mib: u64,
    /// Minimum share of rounds with a winner, in percent. A round without a winner, since each
    /// yielded to another, is allowed if rare: its run can be rewritten.
    won_percent: u32,
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g04_at_most_one_of_two_racing_processes_seals() {
    Race { rounds: 50, rivals: 2, mib: 0, won_percent: 90 }.run();
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g04_at_most_one_of_three_racing_processes_seals() {
    Race { rounds: 50, rivals: 3, mib: 0, won_percent: 90 }.run();
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g05_readers_get_the_winners_rows_of_two_racers_with_many_parts() {
    Race { rounds: 20, rivals: 2, mib: 12, won_percent: 80 }.run();
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g05_readers_get_the_winners_rows_of_three_racers_with_many_parts() {
    Race { rounds: 20, rivals: 3, mib: 12, won_percent: 80 }.run();
}

impl Race {
    fn run(self) {
        let (landing, start) = (bucket(), Instant::now());
        for rival in 0..self.rivals {
            landing.file(&file(rival), self.rows(rival));
        }
        let mut won = 0;
        for round in 0..self.rounds {
            won += u32::from(self.round(&landing, &format!("run-{round:02}")));
        }
        println!("{self:?}: {won} of {} rounds won, {:?}", self.rounds, start.elapsed());
        assert!(won * 100 >= self.rounds * self.won_percent, "{won} of {} rounds won", self.rounds);
    }

    fn rows(self, rival: usize) -> String {
        match self.mib {
            0 => format!("{{\"rival\":{rival}}}\n"),
            mib => rows(&rival.to_string(), mib),
        }
    }

    /// Lets the rivals race for a run; returns whether one of them sealed it.
    fn round(self, landing: &Landing, run: &str) -> bool {
        let start = |rival: usize| {
            Running::start(landing.command(["write", PARTITION, &file(rival), "--run-id", run]))
        };
        let writers: Vec<Running> = (0..self.rivals).map(start).collect();
        let answers: Vec<Answer> = writers.into_iter().map(Running::finish).collect();
        let winners: Vec<usize> =
            (0..self.rivals).filter(|rival| answers[*rival].code == Some(0)).collect();
        assert!(winners.len() <= 1, "{answers:#?}");
        for answer in &answers {
            let ended =
                matches!(answer.code, Some(0 | 3)) || answer.stderr.contains("error[Unknown]");
            assert!(ended, "{answer:#?}");
        }
        let read = landing.rawsink(["read", &run_path(run)]);
        match winners.first() {
            Some(winner) => {
                let rows = read.exits(0).stdout;
                assert!(rows == self.rows(*winner), "the rows of {run} are not the winner's");
            }
            None if read.code == Some(0) => {
                let one_rivals = (0..self.rivals).any(|rival| read.stdout == self.rows(rival));
                assert!(one_rivals, "the rows of {run} are nobody's");
            }
            None => {
                landing.feed(["write", PARTITION, "--run-id", run], "{}\n").exits(0);
            }
        }
        if winners.is_empty() {
            let errors = answers.iter().flat_map(|answer| answer.stderr.lines());
            let errors: Vec<&str> = errors.filter(|line| line.starts_with("error")).collect();
            println!("{run} has no winner: {errors:#?}");
        }
        !winners.is_empty()
    }
}

fn file(rival: usize) -> String {
    format!("rival-{rival}.jsonl")
}
