//! Racing processes: exactly one seals a run, its rows are read; no verdict is lost.

use std::{collections::BTreeMap, fs, thread};

use crate::{
    landing::{Landing, PARTITION, RUN, lines, run_path},
    random::rounds,
    running::{Running, until_staged},
};

/// Starts `rivals` writers of one run with different rows, and counts how each ended.
fn race(landing: &Landing, run: &str, rivals: usize, rows: u64, ways: &mut Ways) {
    let rows_of = |rival: usize| lines(rows, |row| format!("{{\"rival\":{rival},\"row\":{row}}}"));
    let files: Vec<String> = (0..rivals).map(|rival| format!("rows-{rival}.jsonl")).collect();
    for (rival, file) in files.iter().enumerate() {
        if !landing.dir().join(file).exists() {
            landing.file(file, rows_of(rival));
        }
    }
    let start = |file: &String| {
        Running::start(landing.command(["write", PARTITION, file, "--run-id", run]))
    };
    let writers: Vec<Running> = files.iter().map(start).collect();
    let answers: Vec<_> = writers.into_iter().map(Running::finish).collect();
    let winners: Vec<usize> = (0..rivals).filter(|rival| answers[*rival].code == Some(0)).collect();
    assert_eq!(winners.len(), 1, "{answers:#?}");
    for (rival, answer) in answers.into_iter().enumerate() {
        if rival != winners[0] {
            let answer = answer.exits(3);
            let refused = if answer.stderr.contains("error[AlreadySealed]") {
                "AlreadySealed"
            } else {
                "Conflict"
            };
            answer.one_error(refused);
            *ways.entry(format!("refused: {refused}")).or_default() += 1;
        }
    }
    *ways.entry(format!("rival {} won", winners[0])).or_default() += 1;
    let landed = fs::read_to_string(landing.payload(run)).unwrap();
    assert!(landed == rows_of(winners[0]), "the rows are not the winner's");
    landing.rawsink(["verify", &run_path(run)]).exits(0);
    let left = fs::read_dir(landing.run_dir(run)).unwrap().count();
    assert_eq!(left, 2, "something is left beside payload and seal: {:?}", landing.files());
}

type Ways = BTreeMap<String, u64>;

fn races(name: &str, rounds: u64, rivals: usize, rows: u64) {
    let (landing, mut ways) = (Landing::new(), Ways::new());
    for round in 0..rounds {
        race(&landing, &format!("run-{round:04}"), rivals, rows, &mut ways);
    }
    println!("{name}: {rounds} rounds: {ways:?}");
}

#[test]
fn g04_exactly_one_of_two_racing_processes_seals() {
    races("two rivals", rounds(60), 2, 10);
}

#[test]
fn g04_exactly_one_of_three_racing_processes_seals() {
    races("three rivals", rounds(60), 3, 10);
}

#[test]
fn g05_readers_get_the_winners_large_payload() {
    races("three rivals, large", rounds(60).div_ceil(8), 3, 150_000);
}

#[test]
fn a_second_writer_of_a_run_is_refused_before_extraction() {
    let landing = Landing::new();
    let mut first = Running::start(landing.command(["write", PARTITION, "--run-id", RUN]));
    until_staged(&landing.run_dir(RUN), 0);
    let args = ["write", PARTITION, "--run-id", RUN, "--", "touch", "extracted"];
    let second = landing.rawsink(args).exits(3);
    assert!(second.one_error("Conflict").contains(&run_path(RUN)), "{second:#?}");
    assert!(!landing.dir().join("extracted").exists());
    first.feed(b"{\"first\":1}\n");
    first.finish().exits(0);
    let read = landing.rawsink(["read", PARTITION, "--latest"]).exits(0);
    assert_eq!(read.stdout, "{\"first\":1}\n");
}

#[test]
fn g18_writers_of_different_runs_and_partitions_do_not_disturb_each_other() {
    let landing = Landing::new();
    let paths: Vec<String> = (0..24)
        .map(|writer| {
            let partition = PARTITION.replace("123", &format!("{}", writer % 3));
            format!("{partition}/run_id=2024-06-02T00:00:00.{writer:03}Z")
        })
        .collect();
    let start = |path: &String| {
        let mut writer = Running::start(landing.command(["write", path]));
        writer.feed(format!("{{\"path\":\"{path}\"}}\n").as_bytes());
        writer
    };
    let writers: Vec<Running> = paths.iter().map(start).collect();
    for writer in writers {
        writer.finish().exits(0);
    }
    for path in &paths {
        let read = landing.rawsink(["read", path]).exits(0);
        assert_eq!(read.stdout, format!("{{\"path\":\"{path}\"}}\n"));
    }
    assert_eq!(landing.rawsink(["list", "--runs"]).exits(0).stdout.lines().count(), 24);
}

#[test]
fn g14_validators_in_many_processes_lose_no_update() {
    validators(&Landing::new());
}

/// Lets eight processes validate in parallel: all of them one partition, in turn three others. The
/// attempt counts have to be exact.
pub(crate) fn validators(landing: &Landing) {
    const PROCESSES: usize = 8;
    const TIMES: usize = 6;
    let others = [4, 5, 6].map(|id| PARTITION.replace("123", &format!("{id}")));
    let runs: Vec<String> =
        (1..=PROCESSES).map(|day| format!("2024-06-0{day}T00:00:00.000Z")).collect();
    for path in others.iter().map(String::as_str).chain([PARTITION]) {
        for run in &runs {
            landing.feed(["write", path, "--run-id", run], "{}\n").exits(0);
        }
    }
    let validate = |process: usize, time: usize| {
        let partition =
            if time.is_multiple_of(2) { PARTITION } else { &others[(process + time) % 3] };
        let run = format!("{partition}/run_id={}", runs[process]);
        Running::start(landing.command(["validate", &run]))
    };
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            scope.spawn(move || {
                for time in 0..TIMES {
                    validate(process, time).finish().exits(0);
                }
            });
        }
    });
    let states = landing.rawsink(["state", "list", "--json"]).exits(0).json();
    let attempts = |path: &str| {
        let found: Vec<_> = states.iter().filter(|state| state["path"] == path).collect();
        assert_eq!(found.len(), 1, "{path}: {states:?}");
        found[0]["attempt_count"].as_u64().unwrap()
    };
    assert_eq!(attempts(PARTITION), (PROCESSES * TIMES / 2) as u64);
    let rest: u64 = others.iter().map(|path| attempts(path)).sum();
    assert_eq!(rest, (PROCESSES * TIMES / 2) as u64);
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    assert_eq!(state["current_run_id"], runs[PROCESSES - 1].as_str());
}
