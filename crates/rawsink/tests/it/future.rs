//! Run ids from the future: refused by writers, judged by the validator, and named where they block.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rawsink::{
    ErrorKind, RawSink, RunId,
    runtime::{FixedClock, Runtime},
    sink::SinkOptions,
    state::MemoryState,
    store::{MemoryStore, Object, Store},
    validate::{self, Holder, Rules, Validation},
};

use rawsink_testkit::{
    backend::{Backend, Memory},
    sample::{key, path, rows, seal},
};

const NOW: &str = "2024-06-02T12:00:00Z";

/// Returns the sink of a host whose clock is at `now`.
fn host(store: &MemoryStore, now: &str) -> RawSink {
    let clock = Arc::new(FixedClock(now.parse::<Timestamp>().unwrap()));
    let runtime = Runtime { clock, ..Runtime::default() };
    RawSink::with(Arc::new(store.clone()), SinkOptions::default(), runtime)
}

fn run(text: &str) -> RunId {
    text.parse().unwrap()
}

async fn judge(sink: &RawSink, state: &MemoryState, of: &str) -> Validation {
    validate::run(sink, state, &key(), &run(of), Rules::default()).await.unwrap()
}

#[tokio::test]
async fn a_writer_refuses_a_run_id_from_the_future() {
    let store = MemoryStore::new();
    let sink = host(&store, NOW);
    for (id, is_legal) in [
        ("2024-06-02T13:00:00.000Z", true),
        ("2024-06-02T13:00:00.001Z", false),
        ("2024-06-02T14:30:00+02:00", true),
        ("20340602T000000Z", false),
        ("2034-06-02", false),
        ("backfill 2034", true),
        ("2099", true),
    ] {
        let written = seal(&sink, &key(), &run(id), &rows("a", 1)).await;
        assert_eq!(written.is_ok(), is_legal, "{id}");
        if let Err(error) = written {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(error.setting(), Some("max_run_ahead"));
            assert_eq!(error.place(), Some(path(&key(), &run(id)).to_string().as_str()));
        }
        let exists = store.inspect(&path(&key(), &run(id))).await.unwrap().seal.is_some();
        assert_eq!(exists, is_legal, "{id}");
    }
}

#[tokio::test]
async fn the_limit_is_an_option_and_a_copy_has_none() {
    let store = MemoryStore::new();
    let clock = Arc::new(FixedClock(NOW.parse().unwrap()));
    let options = SinkOptions::default().max_run_ahead(Duration::from_hours(24));
    let sink =
        RawSink::with(Arc::new(store.clone()), options, Runtime { clock, ..Runtime::default() });
    seal(&sink, &key(), &run("2024-06-03T11:00:00.000Z"), &rows("a", 1)).await.unwrap();
    let later = run("2034-06-03T11:00:00.000Z");
    assert!(sink.write_partition(&key(), &later).await.is_err());
    sink.write_copy(&key(), &later).await.unwrap().abort().await;
}

#[tokio::test]
async fn a_validation_says_which_run_has_authority() {
    let (store, state) = (MemoryStore::new(), MemoryState::new());
    // One night this host's clock was ten years ahead.
    let (ahead, sink) = (host(&store, "2034-06-02T12:00:00Z"), host(&store, NOW));
    for id in ["2024-06-02T01:00:00.000Z", "2024-06-02T02:00:00.000Z"] {
        seal(&sink, &key(), &run(id), &rows(id, 2)).await.unwrap();
    }
    let (first, second) = ("2024-06-02T01:00:00.000Z", "2024-06-02T02:00:00.000Z");
    assert_eq!(judge(&sink, &state, second).await.authority, Holder::ThisRun);
    let older = judge(&sink, &state, first).await;
    assert_eq!((older.authority, older.is_blocked()), (Holder::OtherRun, false));
    let future = "2034-06-02T01:00:00.000Z";
    seal(&ahead, &key(), &run(future), &rows("f", 1)).await.unwrap();
    let judged = judge(&sink, &state, future).await;
    assert!(judged.passed(), "a run of the future is judged");
    assert_eq!(judged.authority, Holder::ThisRun);
    let blocked = judge(&sink, &state, second).await;
    assert_eq!((blocked.authority, blocked.is_blocked()), (Holder::FutureRun, true));
}

#[tokio::test]
async fn a_lost_holder_is_named() {
    for lost in [Object::Seal, Object::Payload] {
        let backend = Memory::default();
        let (sink, state) = (RawSink::new(backend.store()), MemoryState::new());
        let (first, second) = ("2024-06-02T01:00:00.000Z", "2024-06-02T02:00:00.000Z");
        for id in [first, second] {
            seal(&sink, &key(), &run(id), &rows(id, 2)).await.unwrap();
        }
        judge(&sink, &state, second).await;
        let at = path(&key(), &run(second));
        backend.tamper(&at, lost, None).await;
        let blocked = judge(&sink, &state, first).await;
        assert_eq!((blocked.authority, blocked.is_blocked()), (Holder::LostRun, true), "{lost:?}");
    }
}
