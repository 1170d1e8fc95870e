//! Threads that race for one run or work in parallel.

use std::sync::Arc;

use rawsink::{ErrorKind, RawSink, Result, Sealed};
use tokio::{sync::Barrier, task::JoinSet};

use rawsink_testkit::{
    backend::{Backend, Directory, Memory},
    sample::{key, metadata, read, rows, run, seal},
};

const WRITERS: usize = 5;

/// One writer of the race: some abort half-way.
async fn race(sink: RawSink, round: usize, writer: usize) -> Result<Option<(usize, Sealed)>> {
    let (key, run) = (key(), run(u16::try_from(round).unwrap()));
    if (round + writer).is_multiple_of(4) {
        let mut writer = sink.write_partition(&key, &run).await?;
        writer.write_payload_line(b"{}").await?;
        writer.abort().await;
        return Ok(None);
    }
    let rows = rows(&format!("{round}-{writer}"), 50 + writer);
    seal(&sink, &key, &run, &rows).await.map(|sealed| Some((writer, sealed)))
}

/// Runs all writers of a round in parallel; returns the winner, if any.
async fn round(backend: &dyn Backend, round: usize) -> Option<(usize, Sealed)> {
    let mut tasks = JoinSet::new();
    let start = Arc::new(Barrier::new(WRITERS));
    for writer in 0..WRITERS {
        let (sink, start) = (RawSink::new(backend.store()), start.clone());
        tasks.spawn(async move {
            start.wait().await;
            race(sink, round, writer).await
        });
    }
    let mut sealed = Vec::new();
    for outcome in tasks.join_all().await {
        match outcome {
            Ok(won) => sealed.extend(won),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::AlreadySealed | ErrorKind::Conflict),
                "{error}"
            ),
        }
    }
    assert!(sealed.len() <= 1, "round {round}: {} were told that they sealed", sealed.len());
    sealed.pop()
}

async fn rounds(backend: &dyn Backend, count: usize) -> usize {
    let mut won = 0;
    for n in 0..count {
        let (key, run) = (key(), run(u16::try_from(n).unwrap()));
        let sink = RawSink::new(backend.store());
        if let Some((winner, sealed)) = round(backend, n).await {
            won += 1;
            let expected = rows(&format!("{n}-{winner}"), 50 + winner);
            assert_eq!(read(&sink, &key, &run).await.unwrap(), expected, "round {n}");
            let reader = sink.open_partition(&key, &run).await.unwrap();
            assert_eq!(reader.seal().unwrap().writer, sealed.writer, "round {n}");
        } else {
            assert_eq!(read(&sink, &key, &run).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g04_exactly_one_racing_writer_seals_in_a_directory() {
    // If a writer aborts, one that waits gets the lock, so every round has a winner.
    assert_eq!(rounds(&Directory::default(), 40).await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g04_at_most_one_racing_writer_seals_in_memory() {
    // No writer waits, so a round in which the first aborts may have no winner.
    let won = rounds(&Memory::default(), 200).await;
    assert!(won > 100, "{won} of 200 rounds were won");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g18_writers_of_different_runs_share_a_directory_undisturbed() {
    let backend = Directory::default();
    let mut tasks = JoinSet::new();
    for n in 0..8_u16 {
        let sink = RawSink::new(backend.store());
        tasks.spawn(async move {
            for again in 0..6 {
                // All runs are in one partition; every second attempt is aborted.
                let mut writer = sink.write_partition(&key(), &run(n)).await.unwrap();
                for row in rows(&format!("{n}-{again}"), 30) {
                    writer.write_payload_line(row.as_bytes()).await.unwrap();
                }
                if again == 5 {
                    writer.finalize(metadata(&key(), &run(n))).await.unwrap();
                } else if again % 2 == 0 {
                    writer.abort().await;
                }
            }
        });
    }
    assert_eq!(tasks.join_all().await.len(), 8);
    let sink = RawSink::new(backend.store());
    assert_eq!(sink.list_partitions(&key()).await.unwrap().len(), 8);
    for n in 0..8 {
        assert_eq!(read(&sink, &key(), &run(n)).await.unwrap(), rows(&format!("{n}-5"), 30));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_writers_of_a_store_create_its_root_together() {
    for round in 0..100 {
        let backend = Directory::default();
        std::fs::remove_dir(backend.root()).unwrap();
        let (sink, start) = (RawSink::new(backend.store()), Arc::new(Barrier::new(WRITERS)));
        let mut tasks = JoinSet::new();
        for n in 0..WRITERS {
            let (sink, start) = (sink.clone(), start.clone());
            tasks.spawn(async move {
                start.wait().await;
                sink.write_partition(&key(), &run(u16::try_from(n).unwrap())).await.map(drop)
            });
        }
        for started in tasks.join_all().await {
            started.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
    }
}
