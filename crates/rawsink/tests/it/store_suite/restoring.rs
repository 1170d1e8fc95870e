//! Restoring damaged objects of sealed runs: the right bytes, in one step, or nothing.

use bytes::Bytes;
use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use rawsink::{
    Error, ErrorKind, Result,
    store::{Object, Restoration, Store, StorePath, WriterToken},
};
use rawsink_testkit::{
    backend::{AnyStore, Backend, on_every_store},
    sample::{eventually, store_path},
};
use tokio::sync::oneshot;

use super::{attempt, bytes, content, seal_of, snapshot, start, write};

on_every_store!(
    g03_a_damaged_or_missing_payload_is_replaced_by_the_given_bytes,
    a_restored_payload_may_have_any_length,
    g03_a_seal_is_replaced_whatever_its_bytes_are,
    g03_nothing_of_a_run_without_a_seal_is_restored,
    g03_no_payload_is_restored_below_another_seal,
    g03_a_stream_that_ends_with_an_error_changes_nothing,
    g03_a_dropped_restore_changes_nothing_and_leaves_nothing,
    concurrent_restores_leave_the_given_bytes,
    g03_a_restored_run_is_not_written_again,
);

const ROWS: &str = "the rows";

fn whole(text: &str) -> BoxStream<'static, Result<Bytes>> {
    stream::iter([Ok(bytes(text))]).boxed()
}

async fn restore_payload(
    store: &AnyStore,
    run: &StorePath,
    seal: Bytes,
    chunks: BoxStream<'static, Result<Bytes>>,
) -> Result<()> {
    store.restore(run, WriterToken::new(7), Restoration::Payload { seal, chunks }).await
}

async fn restore_seal(store: &AnyStore, run: &StorePath, document: Bytes) -> Result<()> {
    store.restore(run, WriterToken::new(7), Restoration::Seal(document)).await
}

/// Returns everything that is stored for a run, without the directory itself.
async fn names(backend: &dyn Backend, run: &StorePath) -> Vec<String> {
    let mut names = backend.residue(run).await;
    names.retain(|name| name != "./");
    names.sort_unstable();
    names
}

async fn g03_a_damaged_or_missing_payload_is_replaced_by_the_given_bytes(backend: &dyn Backend) {
    let store = backend.store();
    for (n, damaged) in [Some(&b"the_rows"[..]), Some(b"the"), Some(b""), None].iter().enumerate() {
        let run = store_path(&format!("p/{n}"));
        write(&store, &run, 1, ROWS).await;
        backend.tamper(&run, Object::Payload, *damaged).await;
        let seal = store.inspect(&run).await.unwrap().seal;
        restore_payload(&store, &run, seal_of(1), whole(ROWS)).await.unwrap();
        assert_eq!(content(&store, &run).await, (Some(bytes(ROWS)), Some(seal_of(1))));
        assert_eq!(store.inspect(&run).await.unwrap().seal, seal, "the seal is not touched");
        assert_eq!(names(backend, &run).await, ["metadata.json", "payload.jsonl"]);
    }
}

async fn a_restored_payload_may_have_any_length(backend: &dyn Backend) {
    let store = backend.store();
    let other = start(&store, &store_path("other"), 9).await;
    let part = other.part_bytes();
    other.abort().await;
    for (n, length) in [0, 1, part, 2 * part + 3].into_iter().enumerate() {
        let run = store_path(&format!("p/{n}"));
        write(&store, &run, 1, "damaged").await;
        let payload: Bytes = (0..=250).cycle().take(length).collect();
        let chunks: Vec<_> = payload.chunks(part / 3 + 7).map(Bytes::copy_from_slice).collect();
        let chunks = stream::iter(chunks.into_iter().map(Ok)).boxed();
        restore_payload(&store, &run, seal_of(1), chunks).await.unwrap();
        let (stored, seal) = content(&store, &run).await;
        assert!(stored == Some(payload), "{length} bytes");
        assert_eq!(seal, Some(seal_of(1)));
        assert_eq!(names(backend, &run).await, ["metadata.json", "payload.jsonl"]);
    }
}

async fn g03_a_seal_is_replaced_whatever_its_bytes_are(backend: &dyn Backend) {
    let store = backend.store();
    for (n, damaged) in [&b"{}"[..], b"", b"\xff"].into_iter().enumerate() {
        let run = store_path(&format!("p/{n}"));
        write(&store, &run, 1, ROWS).await;
        backend.tamper(&run, Object::Seal, Some(damaged)).await;
        let payload = store.inspect(&run).await.unwrap().payload;
        restore_seal(&store, &run, seal_of(1)).await.unwrap();
        assert_eq!(content(&store, &run).await, (Some(bytes(ROWS)), Some(seal_of(1))));
        assert_eq!(store.inspect(&run).await.unwrap().payload, payload);
        assert_eq!(names(backend, &run).await, ["metadata.json", "payload.jsonl"]);
    }
}

async fn g03_nothing_of_a_run_without_a_seal_is_restored(backend: &dyn Backend) {
    let store = backend.store();
    backend.tamper(&store_path("p/unsealed"), Object::Payload, Some(b"left")).await;
    for run in ["p/unsealed", "p/none", "none/at/all"].map(store_path) {
        let before = names(backend, &run).await;
        let refused = restore_payload(&store, &run, seal_of(1), whole(ROWS)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotSealed, "{run}: {refused}");
        let refused = restore_seal(&store, &run, seal_of(1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotSealed, "{run}: {refused}");
        assert_eq!(names(backend, &run).await, before, "{run}");
    }
}

async fn g03_no_payload_is_restored_below_another_seal(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, ROWS).await;
    let before = snapshot(&store, &run).await;
    // The same length, a prefix, and more bytes.
    let longer = Bytes::from([&seal_of(1)[..], b"\n"].concat());
    for seal in [seal_of(2), seal_of(1).slice(..5), longer, Bytes::new()] {
        let refused = restore_payload(&store, &run, seal, whole("other")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert_eq!(snapshot(&store, &run).await, before);
        assert_eq!(names(backend, &run).await, ["metadata.json", "payload.jsonl"]);
    }
}

async fn g03_a_stream_that_ends_with_an_error_changes_nothing(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, "damaged").await;
    let before = snapshot(&store, &run).await;
    let other = start(&store, &store_path("other"), 9).await;
    let many = Bytes::from(vec![b'x'; other.part_bytes() + 1]);
    other.abort().await;
    for first in [Bytes::new(), bytes("some"), many] {
        let ends = [Ok(first), Err(Error::corrupt("the source is damaged"))];
        let chunks = stream::iter(ends).boxed();
        let refused = restore_payload(&store, &run, seal_of(1), chunks).await.unwrap_err();
        assert_eq!(refused.message(), "the source is damaged");
        assert_eq!(snapshot(&store, &run).await, before);
        assert_eq!(names(backend, &run).await, ["metadata.json", "payload.jsonl"]);
    }
}

async fn g03_a_dropped_restore_changes_nothing_and_leaves_nothing(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, "damaged").await;
    let before = snapshot(&store, &run).await;
    let (is_stuck, stuck_now) = oneshot::channel();
    let stuck = async move {
        is_stuck.send(()).unwrap();
        future::pending().await
    };
    let chunks = stream::iter([Ok(bytes("some"))]).chain(stream::once(stuck)).boxed();
    tokio::select! {
        ended = restore_payload(&store, &run, seal_of(1), chunks) => panic!("{ended:?}"),
        stuck = stuck_now => stuck.unwrap(),
    }
    eventually(async || names(backend, &run).await == ["metadata.json", "payload.jsonl"]).await;
    assert_eq!(snapshot(&store, &run).await, before);
    restore_payload(&store, &run, seal_of(1), whole(ROWS)).await.unwrap();
    assert_eq!(content(&store, &run).await.0, Some(bytes(ROWS)));
}

async fn concurrent_restores_leave_the_given_bytes(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, "damaged").await;
    let restore = || restore_payload(&store, &run, seal_of(1), whole(ROWS));
    let outcomes = future::join_all((0..4).map(|_| restore())).await;
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    }
    assert_eq!(content(&store, &run).await, (Some(bytes(ROWS)), Some(seal_of(1))));
    assert_eq!(names(backend, &run).await, ["metadata.json", "payload.jsonl"]);
}

async fn g03_a_restored_run_is_not_written_again(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, ROWS).await;
    backend.tamper(&run, Object::Payload, None).await;
    restore_payload(&store, &run, seal_of(1), whole(ROWS)).await.unwrap();
    let refused = store.start(&run, attempt(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
    assert_eq!(content(&store, &run).await, (Some(bytes(ROWS)), Some(seal_of(1))));
}
