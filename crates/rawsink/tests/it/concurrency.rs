//! Threads that race for one run, work side by side, or judge at once.

use std::sync::{Arc, Barrier};

use rawsink::{
    ErrorKind, RawSink, Result, Sealed,
    state::{Outcome, PartitionState, SqliteState, Status, Verdict},
    validate::{Rules, validate},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    backend::{Backend, Directory, Memory},
    sample::{customer, key, metadata, read, rows, run, seal},
};

const WRITERS: usize = 5;

/// One writer of the race: some give up half-way.
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

/// Lets all writers of one round go at once; the winner, if there is one.
async fn round(backend: &dyn Backend, round: usize) -> Option<(usize, Sealed)> {
    let mut tasks = JoinSet::new();
    let start = Arc::new(tokio::sync::Barrier::new(WRITERS));
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
async fn g04_of_writers_that_race_in_a_directory_exactly_one_seals() {
    // Whoever waits for the lock gets it when somebody gives up, so every round has a winner.
    assert_eq!(rounds(&Directory::default(), 40).await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g04_of_writers_that_race_in_memory_at_most_one_seals() {
    // Nobody waits, so a round in which the first gives up may have no winner.
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
                // All runs lie in one partition; every other attempt is given up.
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

/// Runs a future on a thread of its own, with a runtime of its own, as another process would.
fn on_thread<F: Future<Output = ()>>(
    make: impl FnOnce() -> F + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make());
    })
}

#[tokio::test]
async fn g14_validators_at_once_lose_no_update() {
    const THREADS: u16 = 4;
    const TIMES: u16 = 8;
    let (backend, folder) = (Directory::default(), TempDir::new().unwrap());
    let sink = RawSink::new(backend.store());
    for n in 0..THREADS {
        seal(&sink, &key(), &run(n), &rows("a", usize::from(n) + 1)).await.unwrap();
    }
    // The first verdict makes file and table, and all threads want to be the first.
    let path = folder.path().join("state/store.db");
    let start = Arc::new(Barrier::new(usize::from(THREADS)));
    let threads = (0..THREADS).map(|n| {
        let (sink, path, start) = (RawSink::new(backend.store()), path.clone(), start.clone());
        on_thread(move || async move {
            let state = SqliteState::new(path);
            start.wait();
            for time in 0..TIMES {
                let judged = validate(&sink, &state, &key(), &run(n), Rules::default()).await;
                assert!(judged.unwrap().passed());
                let other = Verdict { run_id: run(n), outcome: Outcome::Failed("no".into()) };
                let other_key = customer(&format!("{}", time % 3));
                state
                    .judge(&other_key, &other, "2024-06-03T00:00:00Z".parse().unwrap())
                    .await
                    .unwrap();
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let state = SqliteState::new(path);
    let record = state.get(&key()).await.unwrap().unwrap();
    assert_eq!(record.attempt_count, u64::from(THREADS * TIMES));
    // G13: whatever the order was, the newest run that passed has authority.
    assert_eq!((record.status, record.current_run_id), (Status::Success, Some(run(THREADS - 1))));
    assert_eq!(record.record_count, Some(u64::from(THREADS)));
    let mut others = 0;
    for id in ["0", "1", "2"] {
        others += state.get(&customer(id)).await.unwrap().unwrap().attempt_count;
    }
    assert_eq!(others, u64::from(THREADS * TIMES));
}
