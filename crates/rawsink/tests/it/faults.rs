//! A fault before and after every store call, until no further call exists.

use rawsink::{
    ErrorKind, RawSink, Result,
    layout::Place,
    store::{FaultyStore, InjectedFault, Operation, Side, When},
};

use rawsink_testkit::{
    backend::{AnyStore, Backend, Directory, Memory, WholePayload},
    sample::{eventually, key, path, read, rows, run, seal},
};

/// Creates an empty store.
type Fresh = fn() -> Box<dyn Backend>;

const STORES: &[(&str, Fresh)] = &[
    ("memory", || Box::new(Memory::default())),
    ("fs", || Box::new(Directory::default())),
    #[cfg(feature = "s3")]
    ("s3", || Box::new(rawsink_testkit::backend::Bucket::default())),
];

/// Returns rows for several parts on every store.
fn large(attempt: &str) -> Vec<String> {
    let row = |n: usize| format!("{{\"attempt\":\"{attempt}\",\"pad\":\"{}\"}}", "x".repeat(n));
    (1..6).map(|n| row(150_000 * n)).collect()
}

/// A sweep's outcomes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    injected: u32,
    sealed: u32,
    unknown: u32,
    refused: u32,
}

/// Plays with every fault of an operation until `play` returns that none occurred.
async fn sweep(kind: ErrorKind, mut play: impl AsyncFnMut(InjectedFault) -> bool) -> u32 {
    let mut injected = 0;
    for operation in Operation::ALL {
        for side in [Side::Before, Side::After] {
            for nth in 1.. {
                assert!(nth < 1000, "a sweep ends");
                if !play(InjectedFault { operation, side, kind, when: When::Nth(nth) }).await {
                    break;
                }
                injected += 1;
            }
        }
    }
    injected
}

fn faulty(backend: &dyn Backend, faults: &[InjectedFault]) -> FaultyStore<AnyStore> {
    FaultyStore::new(backend.store(), faults.iter().copied(), 0)
}

/// Writes a run over a store with faults and asserts what G06, G08 and G09 say about the end.
async fn write_with(fresh: Fresh, faults: &[InjectedFault], counts: &mut Counts) -> bool {
    let backend = fresh();
    let store = faulty(&*backend, faults);
    let (key, run, first) = (key(), run(1), large("first"));
    let outcome = seal(&RawSink::new(store.clone()), &key, &run, &first).await;
    let clean = RawSink::new(backend.store());
    let there = clean.inspect(&key, &run).await.unwrap();
    match &outcome {
        Ok(_) => counts.sealed += 1,
        Err(error) if error.kind() == ErrorKind::Unknown => counts.unknown += 1,
        Err(error) => {
            counts.refused += 1;
            assert_eq!(error.kind(), faults.last().unwrap().kind, "{error}: {faults:?}");
            assert_eq!(there.seal, None, "{error}: {faults:?}");
            let place = path(&key, &run);
            let stays: &[String] = match backend.whole_payload() {
                WholePayload::Deleted => &[],
                WholePayload::Left => &["payload.jsonl".into()],
            };
            eventually(async || backend.residue(&place).await.iter().all(|n| stays.contains(n)))
                .await;
        }
    }
    if there.seal.is_some() {
        assert_eq!(read(&clean, &key, &run).await.unwrap(), first, "{faults:?}");
    } else {
        let again = rows("again", 3);
        seal(&clean, &key, &run, &again).await.unwrap();
        assert_eq!(read(&clean, &key, &run).await.unwrap(), again, "{faults:?}");
    }
    store.injected() == faults.len() as u64
}

#[tokio::test]
async fn g06_g08_g09_a_fault_at_any_writer_call_leaves_a_sealed_or_writable_run() {
    for (name, fresh) in STORES.iter().copied() {
        let mut counts = Counts::default();
        for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
            let injected =
                sweep(kind, async |fault| write_with(fresh, &[fault], &mut counts).await).await;
            counts.injected += injected;
        }
        println!("{name}: {counts:?}");
        // Start, append (at least twice), complete and seal, before and after, with two kinds.
        assert!(counts.injected >= 2 * 2 * 5);
        assert_eq!(counts.unknown, 2, "the seal's lost answer alone is unknown");
        assert_eq!(counts.refused, counts.injected - counts.unknown);
    }
}

#[tokio::test]
async fn g08_a_fault_during_an_abort_does_not_change_the_result() {
    let first =
        |operation, kind| InjectedFault { operation, side: Side::Before, kind, when: When::Nth(1) };
    for (_, fresh) in STORES.iter().copied() {
        for operation in [Operation::Append, Operation::Complete] {
            let mut counts = Counts::default();
            let faults =
                [first(Operation::Abort, ErrorKind::Internal), first(operation, ErrorKind::Denied)];
            assert!(write_with(fresh, &faults, &mut counts).await, "both faults were met");
            assert_eq!(counts.refused, 1);
        }
    }
}

/// Reads a sealed run in every way: an error or exactly its rows.
async fn read_session(sink: &RawSink) -> Result<()> {
    let mut reader = sink.open_partition(&key(), &run(1)).await?;
    assert_eq!(rawsink_testkit::sample::read_all(&mut reader).await?, large("first"));
    assert!(reader.summary().is_some());
    sink.sync(&key(), &run(1)).await?;
    sink.inspect(&key(), &run(1)).await.map(drop)
}

/// Lists in every way: an error or exactly the content.
async fn list_session(sink: &RawSink) -> Result<()> {
    use futures_util::TryStreamExt;
    assert_eq!(sink.list_partitions(&key()).await?, [run(1)]);
    assert_eq!(sink.list(&Place::top()).await?.len(), 1);
    let runs: Vec<_> = sink.runs_below(&Place::top()).try_collect().await?;
    assert_eq!(runs.len(), 1);
    Ok(())
}

/// Returns the error for opening unsealed runs.
async fn refuse_session(sink: &RawSink) -> Result<()> {
    match sink.open_partition(&key(), &run(2)).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("there is no such run"),
    }
}

#[tokio::test]
async fn g10_a_fault_at_any_reader_call_is_reported_and_hides_no_row() {
    for (name, fresh) in STORES.iter().copied() {
        let backend = fresh();
        let clean = RawSink::new(backend.store());
        seal(&clean, &key(), &run(1), &large("first")).await.unwrap();
        let before = clean.inspect(&key(), &run(1)).await.unwrap();
        let kind = ErrorKind::Unavailable;
        let injected = sweep(kind, async |fault| {
            let store = faulty(&*backend, &[fault]);
            let sink = RawSink::new(store.clone());
            let mut told = 0;
            for outcome in
                [read_session(&sink).await, list_session(&sink).await, refuse_session(&sink).await]
            {
                told += outcome.map_or_else(
                    |error| {
                        assert_eq!(error.kind(), kind, "{error}");
                        1
                    },
                    |()| 0,
                );
            }
            assert_eq!(told, store.injected(), "{fault:?} is told to whom it concerns");
            store.injected() == 1
        })
        .await;
        println!("{name}: {injected} faults met by readers");
        // Inspect (twice), read (three times), chunk (many), sync, children, walk (twice); before and after.
        assert!(injected >= 2 * (2 + 3 + 3 + 1 + 1 + 2));
        assert_eq!(clean.inspect(&key(), &run(1)).await.unwrap(), before);
    }
}

#[tokio::test]
async fn random_faults_never_leave_a_half_written_run() {
    let (mut sealed, mut refused) = (0, 0);
    for seed in 0..300 {
        let backend = Memory::default();
        let faults = [Side::Before, Side::After].map(|side| {
            Operation::ALL.map(|operation| InjectedFault {
                operation,
                side,
                kind: ErrorKind::Unavailable,
                when: When::Chance(0.05),
            })
        });
        let store = FaultyStore::new(backend.store(), faults.concat(), seed);
        let sink = RawSink::new(store);
        let mut allowed = Vec::new();
        for attempt in 0..4 {
            let rows = rows(&format!("{seed}-{attempt}"), 5);
            match seal(&sink, &key(), &run(1), &rows).await.map_err(|error| error.kind()) {
                Ok(_) | Err(ErrorKind::Unknown) => allowed.push(rows),
                Err(ErrorKind::Unavailable) => refused += 1,
                Err(ErrorKind::AlreadySealed) => assert_eq!(allowed.len(), 1, "seed {seed}"),
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
        assert!(allowed.len() <= 1, "seed {seed}: one attempt was sealed at most");
        let there = read(&RawSink::new(backend.store()), &key(), &run(1)).await;
        match there.map_err(|error| error.kind()) {
            Ok(rows) => assert_eq!(allowed, [rows], "seed {seed}"),
            Err(kind) => assert_eq!((kind, allowed.len()), (ErrorKind::NotFound, 0), "seed {seed}"),
        }
        sealed += allowed.len();
    }
    assert!(sealed > 200 && refused > 50, "{sealed} sealed, {refused} refused");
}
