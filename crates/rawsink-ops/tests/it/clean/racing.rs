//! Live writers during a permanent cleanup lose nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rawsink::{RawSink, store::Discarded};
use rawsink_ops::clean::CleanPolicy;
use tokio::task::JoinSet;

use super::{HOUR, cleaned, older_than};
use rawsink_testkit::{
    backend::{Backend, Directory},
    s3_server::S3Server,
    sample::{key, metadata, read, rows, run},
};

const WRITERS: u16 = 4;
const ROUNDS: u16 = 12;

/// Writes runs in sequence: some are aborted half-way and rewritten.
async fn write_all(sink: RawSink, writer: u16) {
    for round in 0..ROUNDS {
        let run = run(writer * 100 + round);
        if round % 3 == 0 {
            let mut writer = sink.write_partition(&key(), &run).await.unwrap();
            writer.write_payload_line(b"{\"given\":\"up\"}").await.unwrap();
            if round % 2 == 0 { drop(writer) } else { writer.abort().await }
        }
        let mut open = sink.write_partition(&key(), &run).await.unwrap();
        for row in many_rows(writer, round) {
            open.write_payload_line(row.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        open.finalize(metadata(&key(), &run)).await.unwrap();
    }
}

fn many_rows(writer: u16, round: u16) -> Vec<String> {
    let mut rows = rows(&format!("{writer}-{round}"), 20);
    // A payload of several parts, on every store.
    let pad = "x".repeat(40_000 * usize::from(round % 4));
    rows.push(format!("{{\"pad\":\"{pad}\"}}"));
    rows
}

/// Cleans until the writers have ended, at least a few times; returns all results.
async fn clean_until(sink: RawSink, rules: CleanPolicy, over: Arc<AtomicBool>) -> Vec<Discarded> {
    let (mut met, mut passes) = (Vec::new(), 0);
    while !over.load(Ordering::Relaxed) || passes < 3 {
        met.extend(cleaned(&sink, rules).await.into_iter().map(|(_, outcome)| outcome));
        passes += 1;
        tokio::task::yield_now().await;
    }
    met
}

async fn race(open: impl Fn() -> RawSink, rules: CleanPolicy) -> Vec<Discarded> {
    let over = Arc::new(AtomicBool::new(false));
    let cleaner = tokio::spawn(clean_until(open(), rules, over.clone()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write_all(open(), writer));
    }
    writers.join_all().await;
    over.store(true, Ordering::Relaxed);
    let met = cleaner.await.unwrap();
    for writer in 0..WRITERS {
        for round in 0..ROUNDS {
            let found = read(&open(), &key(), &run(writer * 100 + round)).await.unwrap();
            assert!(found == many_rows(writer, round), "writer {writer}, round {round}");
        }
    }
    met
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g18_writers_in_a_directory_lose_nothing_to_a_cleanup_at_any_age() {
    let backend = Directory::default();
    let met = race(|| RawSink::new(backend.store()), older_than(Duration::ZERO)).await;
    let in_use = met.iter().filter(|outcome| **outcome == Discarded::InUse).count();
    assert!(in_use > 0, "the clean-up never met a living writer: {met:?}");
}

#[tokio::test]
async fn g18_writers_in_a_bucket_lose_nothing_to_a_cleanup_at_the_minimum_age() {
    for seed in 0..2 {
        let server = S3Server::default();
        for n in 900..905 {
            let run = rawsink_testkit::sample::path(&key(), &run(n));
            server.objects().open_upload(&rawsink_testkit::s3_server::key_of(
                &run,
                rawsink::store::Object::Payload,
            ));
        }
        server.pass_hours(2);
        server.shuffle(seed);
        let met = race(|| server.sink(), older_than(HOUR)).await;
        assert_eq!(met, [Discarded::Removed; 5], "seed {seed}: the dead ones alone");
    }
}
