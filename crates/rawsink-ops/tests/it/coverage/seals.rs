//! Seals that are compared with those that were validated.

use std::num::NonZeroUsize;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, PartitionKey, RawSink, RunId,
    state::{Change, MemoryState, PartitionState},
    store::{Object, Reading},
    validate::{self, Rules},
};
use rawsink_ops::coverage::{Action, Coverage, Scope, Standing, coverage};

use rawsink_testkit::{
    backend::{Backend, Meddling, Memory},
    s3_server::{Op, S3Server},
    sample::{customer, metadata, path, rows, run, seal},
};

const JOBS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

async fn cover(sink: &RawSink, state: &dyn PartitionState) -> Coverage {
    coverage(sink, state, &Scope::default()).await.unwrap()
}

fn standings(coverage: &Coverage) -> Vec<Standing> {
    coverage.cells().flat_map(|(_, cells)| cells.map(|cell| cell.standing)).collect()
}

async fn validated(sink: &RawSink, state: &dyn PartitionState, key: &PartitionKey, run: &RunId) {
    seal(sink, key, run, &rows("a", 2)).await.unwrap();
    assert!(validate::run(sink, state, key, run, Rules::default()).await.unwrap().passed());
}

/// Changes the metadata of a run, but not its length.
async fn edit(backend: &dyn Backend, sink: &RawSink, key: &PartitionKey, run: &RunId) {
    assert_eq!(metadata(key, run).text("schema_version").as_deref(), Some("v1"));
    let seal = sink.document(key, run).await.unwrap();
    let edited = String::from_utf8(seal.to_vec()).unwrap().replace("\"v1\"", "\"v2\"");
    assert!(edited.len() == seal.len() && edited.as_bytes() != seal);
    backend.tamper(&path(key, run), Object::Seal, Some(edited.as_bytes())).await;
}

#[tokio::test]
async fn g20_an_edited_seal_of_the_same_length_is_lost() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for id in ["1", "2", "3"] {
        validated(&sink, &state, &customer(id), &run(1)).await;
    }
    edit(&backend, &sink, &customer("2"), &run(1)).await;
    let mut covered = cover(&sink, &state).await;
    assert_eq!(covered.tally().validated, 3, "the lengths are right");
    assert!(covered.check_seals(&sink, &state, JOBS).await.unwrap().is_empty());
    assert_eq!(standings(&covered), [Standing::Validated, Standing::Lost, Standing::Validated]);
    let newest = run(9);
    let steps: Vec<_> = covered.steps(&newest).map(|step| (step.key(), step.action)).collect();
    assert_eq!(steps, [(customer("2"), Action::Land)]);
}

#[tokio::test]
async fn a_run_withdrawn_or_without_a_digest_is_judged_by_what_consumers_get() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for id in ["1", "2"] {
        validated(&sink, &state, &customer(id), &run(1)).await;
    }
    // Withdrawn, and other software records its success again.
    let success = state.get(&customer("1")).await.unwrap().unwrap();
    let withdraw = Change::Withdraw { run_id: run(1), reason: "wrong".into() };
    state.change(&customer("1"), &withdraw, Timestamp::UNIX_EPOCH).await.unwrap();
    state.set_record(&customer("1"), success.clone());
    // Only other software knows this one.
    seal(&sink, &customer("3"), &run(1), &rows("a", 2)).await.unwrap();
    state.set_record(&customer("3"), success);
    edit(&backend, &sink, &customer("3"), &run(1)).await;
    // Superseded after the listing.
    let mut covered = cover(&sink, &state).await;
    edit(&backend, &sink, &customer("2"), &run(1)).await;
    validated(&sink, &state, &customer("2"), &run(2)).await;
    assert!(covered.check_seals(&sink, &state, JOBS).await.unwrap().is_empty());
    assert_eq!(standings(&covered), [Standing::Lost, Standing::Validated, Standing::Validated]);
}

#[tokio::test]
async fn a_seal_that_cannot_be_read_is_reported_and_its_cell_is_kept() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for number in 0..50 {
        validated(&sink, &state, &customer(&number.to_string()), &run(1)).await;
    }
    let broken = Meddling::with_readings(backend.store(), |object, reading| {
        let error = Error::new(ErrorKind::Unavailable, "no answer");
        let chunks = match object {
            Object::Seal => stream::once(async move { Err(error) }).boxed(),
            Object::Payload => reading.chunks,
        };
        Reading { chunks, ..reading }
    });
    let mut covered = cover(&sink, &state).await;
    let unread = covered.check_seals(&RawSink::new(broken), &state, JOBS).await.unwrap();
    assert_eq!(covered.tally().validated, 50);
    assert!((21..50).contains(&unread.len()), "{}", unread.len());
    assert!(unread.iter().all(|error| error.kind() == ErrorKind::Unavailable));
    let last = unread.last().unwrap();
    assert!(last.message().contains("20 consecutive runs"), "{last}");
}

#[tokio::test]
async fn seals_are_read_once_in_batches_of_a_thousand() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    let id = |number: usize| format!("{number:04}");
    for number in 0..2_001 {
        validated(&sink, &state, &customer(&id(number)), &run(1)).await;
    }
    for number in [999, 1_000, 2_000] {
        edit(&backend, &sink, &customer(&id(number)), &run(1)).await;
    }
    let mut covered = cover(&sink, &state).await;
    covered.check_seals(&sink, &state, JOBS).await.unwrap();
    let lost = standings(&covered).into_iter().enumerate();
    let lost: Vec<usize> =
        lost.filter(|(_, standing)| *standing == Standing::Lost).map(|(at, _)| at).collect();
    assert_eq!(lost, [999, 1_000, 2_000]);
}

#[tokio::test]
async fn one_request_reads_one_seal() {
    let (server, state) = (S3Server::default(), MemoryState::new());
    let sink = server.sink();
    for id in ["1", "2", "3"] {
        validated(&sink, &state, &customer(id), &run(1)).await;
    }
    seal(&sink, &customer("4"), &run(1), &rows("a", 2)).await.unwrap();
    let mut covered = cover(&sink, &state).await;
    let before = (server.requests(), server.count(Op::Get));
    covered.check_seals(&sink, &state, JOBS).await.unwrap();
    assert_eq!((server.requests() - before.0, server.count(Op::Get) - before.1), (3, 3));
}
