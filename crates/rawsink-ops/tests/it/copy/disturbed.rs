//! Sources that change or break during the copy, and dropped copies.

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rawsink::{
    Error, ErrorKind, RawSink,
    layout::Place,
    store::{FaultyStore, InjectedFault, Object, Operation, Side, When},
};
use rawsink_ops::copy::{self, CopyOutcome, Progress};

use super::{STORES, copied, foreign, on, stored};
use rawsink_testkit::{
    backend::{AnyStore, Backend, Directory, Meddling, Memory},
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{customer, eventually, key, path, read, rows, run, seal},
};

/// Overwrites a sealed payload at its first read.
fn changing(from: &Memory, changed: &'static [u8]) -> RawSink {
    let backend = from.clone();
    let meddling = Meddling::with_readings(from.store(), move |object, mut reading| {
        let (backend, place) = (backend.clone(), path(&key(), &run(1)));
        let change = async move {
            backend.tamper(&place, object, Some(changed)).await;
            Ok(Bytes::new())
        };
        if object == Object::Payload {
            let rest = reading.chunks;
            reading.chunks = rest.chain(stream::once(change)).boxed();
        }
        reading
    });
    RawSink::new(meddling)
}

#[tokio::test]
async fn a_source_without_a_seal_block_that_changes_while_copied_is_corrupt() {
    for (name, to) in STORES {
        let (from, to) = (Memory::default(), to());
        foreign(&from, b"{}").await;
        let source = changing(&from, b"{\"n\":1}\n");
        let refused = copied(&source, &RawSink::new(to.store())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{name}");
        assert!(refused.message().contains("changed while it was copied"), "{refused}");
        assert_eq!(to.residue(&path(&key(), &run(1))).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_sealed_source_is_checked_by_its_seal_alone() {
    let (from, to) = (Memory::default(), Memory::default());
    seal(&RawSink::new(from.store()), &key(), &run(1), &rows("a", 3)).await.unwrap();
    let document = stored(&from.store(), Object::Seal).await;
    let source = changing(&from, b"vandalised");
    // The bytes read earlier are those that the seal covers.
    assert_eq!(copied(&source, &RawSink::new(to.store())).await.unwrap(), CopyOutcome::Copied);
    assert_eq!(stored(&to.store(), Object::Seal).await, document);
    assert_eq!(read(&RawSink::new(to.store()), &key(), &run(1)).await.unwrap(), rows("a", 3));
}

#[tokio::test]
async fn dropped_copies_are_aborted() {
    let (from, to) = (Memory::default(), Memory::default());
    let source = RawSink::new(from.store());
    for n in 1..=3 {
        seal(&source, &customer(&format!("{n}")), &run(n), &rows("a", 5)).await.unwrap();
    }
    let stuck = Meddling::with_readings(from.store(), |object, mut reading| {
        if object == Object::Payload {
            reading.chunks = reading.chunks.chain(stream::pending()).boxed();
        }
        reading
    });
    let (stuck, target) = (RawSink::new(stuck), RawSink::new(to.store()));
    let begun = Arc::new(AtomicU64::new(0));
    let count = begun.clone();
    let progress: Progress = Arc::new(move |more| {
        count.fetch_add(u64::from(more > 0), Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    let (jobs, runs) = (NonZeroUsize::new(2).unwrap(), stuck.runs_below(&Place::top()));
    let mut copies = copy::runs(&stuck, &target, runs, jobs, progress);
    let waiting = tokio::spawn(async move { copies.next().await });
    eventually(async || begun.load(Ordering::Relaxed) == 2).await;
    waiting.abort();
    // A live copy holds its run's lock; a dropped one does not.
    for n in 1..=2 {
        let (customer, run) = (customer(&format!("{n}")), run(n));
        eventually(async || target.write_partition(&customer, &run).await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_checked_blocks_no_other() {
    let (from, to) = (Directory::default(), Memory::default());
    let (source, target) = (RawSink::new(from.store()), RawSink::new(to.store()));
    for n in 1..=5 {
        seal(&source, &key(), &run(n), &rows("a", 3)).await.unwrap();
    }
    for (n, name) in [(2, "payload.jsonl"), (4, "metadata.json")] {
        let looped = from.at(&path(&key(), &run(n))).join(name);
        std::fs::remove_file(&looped).unwrap();
        std::os::unix::fs::symlink(&looped, &looped).unwrap();
    }
    let (jobs, runs) = (NonZeroUsize::MIN, source.runs_below(&Place::top()));
    let runs = runs.filter(|run| std::future::ready(!matches!(run, Ok(run) if !run.sealed)));
    let done: Vec<_> = copy::runs(&source, &target, runs.boxed(), jobs, on()).collect().await;
    let errors = done.iter().filter(|done| done.is_err()).count();
    assert_eq!(errors, 2, "{done:?}");
    let there = target.list_partitions(&key()).await.unwrap();
    assert_eq!(there, [run(1), run(3), run(5)]);
    let failed = done.iter().flatten().filter(|done| done.outcome.is_err());
    assert_eq!(failed.map(|done| done.run.run_id.clone()).collect::<Vec<_>>(), [run(2)]);
}

/// Lands `runs` runs and copies them, three in parallel; returns the number tried.
async fn tried(runs: u64, to: FaultyStore<AnyStore>) -> (usize, Vec<Error>) {
    let source = RawSink::new(Memory::default().store());
    for n in 0..runs {
        seal(&source, &customer(&format!("{n}")), &run(1), &rows("a", 1)).await.unwrap();
    }
    let (jobs, runs) = (NonZeroUsize::new(3).unwrap(), source.runs_below(&Place::top()));
    let target = RawSink::new(to);
    let copies = copy::runs(&source, &target, runs, jobs, on());
    let (mut tried, mut errors) = (0, Vec::new());
    for done in copies.collect::<Vec<_>>().await {
        match done {
            Ok(_) => tried += 1,
            Err(error) => errors.push(error),
        }
    }
    (tried, errors)
}

#[tokio::test]
async fn an_outage_stops_the_work_and_finishes_running_copies() {
    let always = |kind| InjectedFault {
        operation: Operation::Complete,
        side: Side::Before,
        kind,
        when: When::Always,
    };
    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        let broken = FaultyStore::new(Memory::default().store(), [always(kind)], 0);
        let (tried, errors) = tried(60, broken).await;
        assert!((20..20 + 3).contains(&tried), "{tried} were tried");
        let [end] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(end.kind(), kind);
        assert!(end.message().contains("20 consecutive runs"), "{end}");
    }
    // An error of the runs themselves.
    let taken = FaultyStore::new(Memory::default().store(), [always(ErrorKind::Conflict)], 0);
    let (tried, errors) = tried(60, taken).await;
    assert_eq!((tried, errors.len()), (60, 0), "{errors:?}");
}

/// A copy can be killed between the seal and its sync; the next one reports "already there".
#[tokio::test]
async fn g02_an_existing_run_is_made_durable_before_it_is_reported() {
    let (from, to) = (Memory::default(), Memory::default());
    let source = RawSink::new(from.store());
    seal(&source, &key(), &run(1), &rows("a", 3)).await.unwrap();
    assert_eq!(copied(&source, &RawSink::new(to.store())).await.unwrap(), CopyOutcome::Copied);
    let (kind, when) = (ErrorKind::Unavailable, When::Nth(1));
    let fault = InjectedFault { operation: Operation::Sync, side: Side::After, kind, when };
    let faulty = FaultyStore::new(to.store(), [fault], 0);
    let target = RawSink::new(faulty);
    assert_eq!(copied(&source, &target).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(copied(&source, &target).await.unwrap(), CopyOutcome::AlreadyThere);
    let compared = copy::compare_run(&source, &target, &key(), &run(1)).await;
    assert_eq!(compared.unwrap(), CopyOutcome::AlreadyThere);
}

/// Bytes that are not the stored ones are neither a different run nor a source to copy.
#[tokio::test]
async fn a_page_in_place_of_the_source_is_unavailable_and_is_not_copied() {
    let page = || Effect::Refused(Answer::Page { bytes: 35, etag: None });
    for object in [Object::Seal, Object::Payload] {
        let (server, to) = (S3Server::default(), Memory::default());
        let (source, target) = (server.sink(), RawSink::new(to.store()));
        seal(&source, &key(), &run(1), &rows("a", 3)).await.unwrap();
        let habit = Habit::always(Op::Get, page()).on(object.file_name());
        server.habit(habit);
        let refused = copied(&source, &target).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{object:?}: {refused}");
        server.behave();
        assert_eq!(copied(&source, &target).await.unwrap(), CopyOutcome::Copied);
        server.habit(habit);
        let again = copied(&source, &target).await.map_err(|error| error.kind());
        let expected = match object {
            Object::Seal => Err(ErrorKind::Unavailable),
            // The lengths of the payloads are compared without reading them.
            Object::Payload => Ok(CopyOutcome::AlreadyThere),
        };
        assert_eq!(again, expected, "{object:?}");
    }
    // No seal block covers these bytes.
    let (server, to) = (S3Server::default(), Memory::default());
    let (source, target) = (server.sink(), RawSink::new(to.store()));
    let place = path(&key(), &run(1));
    server.tamper(&place, Object::Payload, Some(b"{}\n"));
    server.tamper(&place, Object::Seal, Some(b"{}"));
    server.habit(Habit::always(Op::Get, page()).on(Object::Payload.file_name()));
    let refused = copied(&source, &target).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert_eq!(to.residue(&place).await, Vec::<String>::new());
    server.behave();
    assert_eq!(copied(&source, &target).await.unwrap(), CopyOutcome::Copied);
    server.habit(Habit::always(Op::Get, page()).on(Object::Payload.file_name()));
    let refused = copied(&source, &target).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
}
