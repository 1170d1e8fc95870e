//! A thousand runs: written in parallel, listed in several pages.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rawsink::{PartitionKey, RawSink, env::Loaded};

use super::{Client, bucket};
use crate::landing::{Landing, PARTITION, lines, run_path};

const RUNS: usize = 1000;
const IN_FLIGHT: usize = 16;

fn run(number: usize) -> String {
    format!("2024-06-02T00:00:00.{number:03}Z")
}

fn rows(number: usize) -> String {
    lines(3, |row| format!("{{\"run\":{number},\"row\":{row}}}"))
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_thousand_runs_written_in_parallel_are_listed_once_each() {
    let (landing, next) = (bucket(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..IN_FLIGHT {
            scope.spawn(|| {
                while let Some(number) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < RUNS)
                {
                    landing.land(&run(number), rows(number));
                }
            });
        }
    });
    let expected: Vec<String> = (0..RUNS).map(run).collect();
    let line = |run: &String| format!("{}\tsealed\t", run_path(run));
    for args in [&["list", PARTITION][..], &["list", "--runs"]] {
        let listed = landing.rawsink(args).exits(0).stdout;
        assert_eq!(listed.lines().count(), RUNS);
        assert!(listed.lines().zip(&expected).all(|(shown, run)| shown.starts_with(&line(run))));
    }
    assert_eq!(listed_by_the_library(&landing), expected);
    assert_eq!(Client::of(&landing).keys().len(), 2 * RUNS, "two objects a run, and nothing else");
    for number in (0..RUNS).step_by(100) {
        let read = landing.rawsink(["read", &run_path(&run(number))]).exits(0);
        assert_eq!(read.stdout, rows(number));
    }
}

fn listed_by_the_library(landing: &Landing) -> Vec<String> {
    let vars = landing.vars().iter().map(|(name, value)| ((*name).to_owned(), Ok(value.clone())));
    let sink = RawSink::open(&Loaded::from_vars(vars).unwrap().config).unwrap();
    let key = PartitionKey::new("google_ads", "123", "campaign", "2024-06-01").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runs = runtime.block_on(sink.list_partitions(&key)).unwrap();
    runs.iter().map(ToString::to_string).collect()
}
