//! Runs copied between sinks: the same bytes, or nothing.

mod disturbed; // sources that change or break during the copy, dropped copies
mod repair; // damaged runs of the destination

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rawsink::{
    ErrorKind, RawSink, Result,
    layout::Place,
    store::{FaultyStore, InjectedFault, Object, Operation, Side, Store, When},
};
use rawsink_ops::copy::{self, CopyFault, CopyOutcome, Progress};

use rawsink_testkit::{
    backend::{AnyStore, Backend, Bucket, Directory, Meddling, Memory},
    sample::{customer, eventually, key, path, read, rows, run, seal},
};

/// Creates an empty store.
type Fresh = fn() -> Box<dyn Backend>;

const STORES: [(&str, Fresh); 3] = [
    ("memory", || Box::new(Memory::default())),
    ("fs", || Box::new(Directory::default())),
    ("s3", || Box::new(Bucket::default())),
];

fn on() -> Progress {
    Arc::new(|_| ControlFlow::Continue(()))
}

async fn copied(from: &RawSink, to: &RawSink) -> Result<CopyOutcome> {
    copy::run(from, to, &key(), &run(1), &on()).await
}

async fn stored(store: &AnyStore, object: Object) -> Option<Bytes> {
    let reading = store.read(&path(&key(), &run(1)), object, 0).await.ok()?;
    let chunks: Vec<Bytes> = reading.chunks.try_collect().await.unwrap();
    Some(chunks.concat().into())
}

async fn both(store: &AnyStore) -> [Option<Bytes>; 2] {
    [stored(store, Object::Payload).await, stored(store, Object::Seal).await]
}

/// Returns rows for several parts on every store.
fn many_rows() -> Vec<String> {
    (1..6).map(|n| format!("{{\"pad\":\"{}\"}}", "x".repeat(150_000 * n))).collect()
}

#[tokio::test]
async fn a_copy_has_the_same_bytes_from_every_store_to_every_other() {
    for (from_name, from) in STORES {
        for (to_name, to) in STORES {
            for rows in [rows("a", 3), many_rows(), Vec::new()] {
                let context = format!("{from_name} to {to_name}, {} rows", rows.len());
                let (from, to) = (from(), to());
                let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
                seal(&source, &key(), &run(1), &rows).await.unwrap();
                let before = copy::compare_run(&source, &target, &key(), &run(1)).await;
                assert_eq!(before.unwrap(), CopyOutcome::Missing, "{context}");
                assert_eq!(
                    copied(&source, &target).await.unwrap(),
                    CopyOutcome::Copied,
                    "{context}"
                );
                assert!(both(&from.store()).await == both(&to.store()).await, "{context}");
                assert!(read(&target, &key(), &run(1)).await.unwrap() == rows, "{context}");
                let again = copied(&source, &target).await;
                assert_eq!(again.unwrap(), CopyOutcome::AlreadyThere, "{context}");
            }
        }
    }
}

/// Stores a run sealed by other software.
async fn foreign(backend: &dyn Backend, metadata: &[u8]) {
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(b"{\"n\":1}\r\n{\"n\":2}")).await;
    backend.tamper(&place, Object::Seal, Some(metadata)).await;
}

#[tokio::test]
async fn g11_foreign_runs_are_copied_byte_for_byte_and_read_back() {
    for (_, to) in STORES {
        for metadata in ["{ \"record_count\": 2.0e0, \"x\":1.10}", "{\"record_count\":2}\n", "{}"] {
            let (from, to) = (Memory::default(), to());
            foreign(&from, metadata.as_bytes()).await;
            let target = FaultyStore::new(to.store(), [], 0);
            let sinks = (RawSink::new(from.store()), RawSink::new(target.clone()));
            assert_eq!(copied(&sinks.0, &sinks.1).await.unwrap(), CopyOutcome::Copied);
            assert!(both(&from.store()).await == both(&to.store()).await);
            let calls = target.calls();
            let at = |wanted| calls.iter().position(|call| *call == wanted).unwrap();
            assert!(at(Operation::Complete) < at(Operation::Read), "{calls:?}");
            assert!(at(Operation::Read) < at(Operation::Seal), "{calls:?}");
            // No checksum covers its bytes, so an existing copy is read.
            assert_eq!(copied(&sinks.0, &sinks.1).await.unwrap(), CopyOutcome::AlreadyThere);
            to.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"{\"n\":1}\r\n{\"n\":3}"))
                .await;
            let differs = copied(&sinks.0, &sinks.1).await.unwrap_err();
            assert_eq!(differs.kind(), ErrorKind::Corrupt, "{differs}");
        }
    }
}

#[tokio::test]
async fn a_different_run_of_the_same_name_is_corrupt_and_kept() {
    let (from, to) = (Memory::default(), Memory::default());
    let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
    seal(&source, &key(), &run(1), &rows("a", 3)).await.unwrap();
    seal(&target, &key(), &run(1), &rows("a", 3)).await.unwrap();
    let before = both(&to.store()).await;
    let differs = copied(&source, &target).await.unwrap_err();
    assert_eq!(differs.kind(), ErrorKind::Corrupt);
    assert!(differs.to_string().contains("metadata.json differs"), "{differs}");
    assert_eq!(CopyFault::of(&differs), Some(CopyFault::SealDiffers));
    assert!(both(&to.store()).await == before);
    // The same seal over other bytes: length is always compared, content if read.
    let place = path(&key(), &run(1));
    to.tamper(&place, Object::Seal, stored(&from.store(), Object::Seal).await.as_deref()).await;
    let payload = stored(&from.store(), Object::Payload).await.unwrap();
    let mut other = payload.to_vec();
    other[3] ^= 1;
    to.tamper(&place, Object::Payload, Some(&other)).await;
    assert_eq!(copied(&source, &target).await.unwrap(), CopyOutcome::AlreadyThere);
    let read_back = read(&target, &key(), &run(1)).await;
    assert_eq!(read_back.unwrap_err().kind(), ErrorKind::Corrupt);
    for damaged in [Some(&other[1..]), None] {
        to.tamper(&place, Object::Payload, damaged).await;
        let differs = copied(&source, &target).await.unwrap_err();
        assert_eq!(differs.kind(), ErrorKind::Corrupt);
        assert_eq!(CopyFault::of(&differs), Some(CopyFault::PayloadDiffers), "{differs}");
    }
    to.tamper(&place, Object::Payload, Some(&payload)).await;
    from.tamper(&place, Object::Payload, None).await;
    let damaged = copied(&source, &target).await.unwrap_err();
    assert!(damaged.message().contains("its payload is missing"), "{damaged}");
}

#[tokio::test]
async fn g10_a_damaged_source_is_corrupt_and_not_sealed() {
    for (name, to) in STORES {
        let (from, to) = (Memory::default(), to());
        let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
        seal(&source, &key(), &run(1), &many_rows()).await.unwrap();
        let mut payload = stored(&from.store(), Object::Payload).await.unwrap().to_vec();
        *payload.last_mut().unwrap() = b' ';
        from.tamper(&path(&key(), &run(1)), Object::Payload, Some(&payload)).await;
        assert_eq!(copied(&source, &target).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(to.residue(&path(&key(), &run(1))).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn an_unsealed_run_is_not_copied() {
    let (from, to) = (Memory::default(), Memory::default());
    let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
    assert_eq!(copied(&source, &target).await.unwrap_err().kind(), ErrorKind::NotFound);
    from.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"{}\n")).await;
    assert_eq!(copied(&source, &target).await.unwrap_err().kind(), ErrorKind::NotSealed);
}

#[tokio::test]
async fn an_interrupted_copy_leaves_nothing_and_can_be_rerun() {
    for (name, to) in STORES {
        let (from, to) = (Memory::default(), to());
        let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
        seal(&source, &key(), &run(1), &many_rows()).await.unwrap();
        let stop: Progress = Arc::new(|_| ControlFlow::Break(()));
        let stopped = copy::run(&source, &target, &key(), &run(1), &stop).await;
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(to.residue(&path(&key(), &run(1))).await, Vec::<String>::new(), "{name}");
        assert_eq!(copied(&source, &target).await.unwrap(), CopyOutcome::Copied, "{name}");
    }
}

/// A fault before and after every call of the destination.
#[tokio::test]
async fn g06_a_copy_succeeds_when_rerun_after_any_fault() {
    let (mut failed, from) = (0, Memory::default());
    let source = RawSink::new(from.store());
    seal(&source, &key(), &run(1), &many_rows()).await.unwrap();
    for (name, fresh) in STORES {
        for operation in Operation::ALL {
            for side in [Side::Before, Side::After] {
                for nth in 1..20 {
                    let to = fresh();
                    let fault = InjectedFault {
                        operation,
                        side,
                        kind: ErrorKind::Unavailable,
                        when: When::Nth(nth),
                    };
                    let faulty = FaultyStore::new(to.store(), [fault], 0);
                    let outcome = copied(&source, &RawSink::new(faulty.clone())).await;
                    if faulty.injected() == 0 {
                        break;
                    }
                    failed += u32::from(outcome.is_err());
                    let target = RawSink::new(to.store());
                    // An aborted attempt may still be ending.
                    eventually(async || {
                        copied(&source, &target)
                            .await
                            .is_ok_and(|outcome| outcome != CopyOutcome::Missing)
                    })
                    .await;
                    assert!(
                        both(&from.store()).await == both(&to.store()).await,
                        "{name} {fault:?}"
                    );
                }
            }
        }
    }
    assert!(failed > 20, "{failed} copies failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_copies_leave_one_run_and_all_succeed() {
    for round in 0..10 {
        let (from, to) = (Memory::default(), Directory::default());
        let source = RawSink::new(from.store());
        seal(&source, &key(), &run(1), &rows(&format!("{round}"), 200)).await.unwrap();
        let copies = (0..4).map(|_| {
            let (source, target) = (source.clone(), RawSink::new(to.store()));
            tokio::spawn(async move { copied(&source, &target).await })
        });
        let copies: Vec<_> = copies.collect();
        for copy in copies {
            let outcome = copy.await.unwrap();
            assert!(
                matches!(outcome, Ok(CopyOutcome::Copied | CopyOutcome::AlreadyThere)),
                "{outcome:?}"
            );
        }
        assert!(both(&from.store()).await == both(&to.store()).await);
    }
}

#[tokio::test]
async fn runs_are_copied_in_parallel_and_one_error_stops_no_other() {
    let (from, to) = (Memory::default(), Memory::default());
    let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
    for n in 1..=12 {
        seal(&source, &customer(&format!("{n}")), &run(n), &rows("a", 5)).await.unwrap();
    }
    seal(&target, &customer("7"), &run(7), &rows("other", 5)).await.unwrap();
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = bytes.clone();
    let progress: Progress = Arc::new(move |more| {
        counted.fetch_add(more, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    let jobs = NonZeroUsize::new(3).unwrap();
    let runs = source.runs_below(&Place::top());
    let done: Vec<_> = copy::runs(&source, &target, runs, jobs, progress).collect().await;
    assert_eq!(done.len(), 12);
    for done in done {
        let done = done.unwrap();
        match done.outcome {
            Ok(outcome) => assert_eq!(outcome, CopyOutcome::Copied, "{:?}", done.run),
            Err(error) => {
                assert_eq!((error.kind(), done.run.run_id), (ErrorKind::Corrupt, run(7)));
            }
        }
    }
    let payload = rawsink_testkit::sample::payload(&rows("a", 5)).len() as u64;
    assert_eq!(bytes.load(Ordering::Relaxed), 11 * payload);
    // After a stop, no further run starts.
    let stop: Progress = Arc::new(|_| ControlFlow::Break(()));
    let runs = source.runs_below(&Place::top());
    let done = copy::runs(&source, &target, runs, jobs, stop).count().await;
    assert_eq!(done, 0);
}

#[tokio::test]
async fn a_key_too_long_for_the_destination_is_invalid() {
    let (from, to) = (Memory::default(), Memory::default());
    let source = RawSink::new(from.store());
    seal(&source, &key(), &run(1), &rows("a", 1)).await.unwrap();
    let target = RawSink::new(Meddling::with_prefix_bytes(to.store(), 1000));
    assert_eq!(copied(&source, &target).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_document_that_seals_other_bytes_is_refused() {
    for (name, to) in STORES {
        let (from, to) = (Memory::default(), to());
        let source = RawSink::new(from.store());
        seal(&source, &key(), &run(1), &rows("a", 3)).await.unwrap();
        let document = source.document(&key(), &run(1)).await.unwrap();
        let payload = stored(&from.store(), Object::Payload).await.unwrap();
        let (mut other, counted) = (payload.to_vec(), String::from_utf8_lossy(&document));
        other[3] ^= 1;
        let miscounted = counted.replace("\"record_count\":3", "\"record_count\":4").into();
        for (bytes, document) in [
            (Bytes::from("{}\n"), document.clone()),
            (other.into(), document.clone()),
            (payload, miscounted),
            ("{}\n".into(), "[]".into()),
        ] {
            let mut writer = RawSink::new(to.store()).write_copy(&key(), &run(1)).await.unwrap();
            writer.write_bytes(&bytes).await.unwrap();
            let refused = writer.finalize(document).await.unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::Invalid | ErrorKind::Corrupt),
                "{name}: {refused}"
            );
            assert_eq!(to.residue(&path(&key(), &run(1))).await, Vec::<String>::new(), "{name}");
        }
    }
}

#[tokio::test]
async fn g11_nothing_is_sealed_if_other_bytes_are_read_back() {
    let (from, to) = (Memory::default(), Memory::default());
    foreign(&from, b"{}").await;
    let meddling = Meddling::with_readings(to.store(), |object, mut reading| {
        if object == Object::Payload {
            reading.chunks = stream::iter([Ok(Bytes::from("{\"n\":1}\r\n{\"n\":9}"))]).boxed();
        }
        reading
    });
    let refused = copied(&RawSink::new(from.store()), &RawSink::new(meddling)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("read back"), "{refused}");
    assert_eq!(to.residue(&path(&key(), &run(1))).await, Vec::<String>::new());
}
