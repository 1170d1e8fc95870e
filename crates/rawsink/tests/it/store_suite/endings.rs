//! Abort, drop and failure; restarts; sealed runs that nobody touches.

use bytes::Bytes;
use rawsink::{
    ErrorKind,
    store::{Attempt, LeftoverPolicy, Object, Store, StorePath, Upload},
};

use super::{
    attempt, bytes, complete, content, later, part, seal, seal_of, snapshot, start, write,
};
use crate::{
    backend::{AnyStore, Backend, SecondWriter, WholePayload, on_every_store},
    sample::{eventually, store_path},
};

on_every_store!(
    g08_an_aborted_attempt_leaves_at_most_a_whole_payload,
    g08_a_dropped_attempt_leaves_at_most_a_whole_payload,
    g08_an_attempt_that_meets_a_seal_leaves_only_what_is_not_its_own,
    g08_an_attempt_that_ends_early_leaves_an_older_payload,
    g09_a_run_is_written_again_after_any_ending,
    g09_a_leftover_is_replaced_when_the_new_payload_is_whole,
    a_leftover_is_refused_by_its_size_and_age_where_the_policy_says_so,
    g03_nothing_that_an_attempt_does_touches_a_sealed_run,
);

/// How far an attempt comes before it ends.
#[derive(Debug, Clone, Copy)]
enum Reach {
    Started,
    Appended,
    Completed,
}

const REACHES: [Reach; 3] = [Reach::Started, Reach::Appended, Reach::Completed];

async fn reach(store: &AnyStore, run: &StorePath, token: u128, reach: Reach) -> Box<dyn Upload> {
    let mut upload = start(store, run, token).await;
    if !matches!(reach, Reach::Started) {
        upload.append(part(&*upload, "a part,")).await.unwrap();
    }
    if matches!(reach, Reach::Completed) {
        upload.complete(bytes("the last")).await.unwrap();
    }
    upload
}

/// What an attempt leaves that came so far and ended without a seal.
fn stays(backend: &dyn Backend, far: Reach) -> Vec<&'static str> {
    match (far, backend.whole_payload()) {
        (Reach::Completed, WholePayload::Left) => vec!["payload.jsonl"],
        _ => Vec::new(),
    }
}

async fn g08_an_aborted_attempt_leaves_at_most_a_whole_payload(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    for far in REACHES {
        reach(&store, &run, 1, far).await.abort().await;
        assert_eq!(backend.residue(&run).await, stays(backend, far), "{far:?}");
        assert_eq!(content(&store, &run).await.1, None, "{far:?}");
    }
}

async fn g08_a_dropped_attempt_leaves_at_most_a_whole_payload(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    for far in REACHES {
        drop(reach(&store, &run, 1, far).await);
        // A part may still be on its way; what waits for it takes the attempt back.
        eventually(async || backend.residue(&run).await == stays(backend, far)).await;
        assert_eq!(content(&store, &run).await.1, None, "{far:?}");
    }
}

async fn g08_an_attempt_that_meets_a_seal_leaves_only_what_is_not_its_own(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    let mut upload = reach(&store, &run, 1, Reach::Appended).await;
    backend.tamper(&run, Object::Seal, Some(b"another's")).await;
    upload.complete(bytes("x")).await.unwrap_err();
    upload.abort().await;
    assert_eq!(content(&store, &run).await, (None, Some(bytes("another's"))));
    let mut left = backend.residue(&run).await;
    left.retain(|name| name != "./");
    assert_eq!(left, ["metadata.json"]);
}

async fn g08_an_attempt_that_ends_early_leaves_an_older_payload(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"older")).await;
    for far in [Reach::Started, Reach::Appended] {
        reach(&store, &run, 1, far).await.abort().await;
        assert_eq!(content(&store, &run).await, (Some(bytes("older")), None), "{far:?}");
    }
}

async fn g09_a_run_is_written_again_after_any_ending(backend: &dyn Backend) {
    let store = backend.store();
    for (n, far) in REACHES.into_iter().enumerate() {
        for ending in ["abort", "drop", "leftover"] {
            let run = store_path(&format!("p/{n}-{ending}"));
            let upload = reach(&store, &run, 1, far).await;
            match ending {
                "abort" => upload.abort().await,
                "drop" => drop(upload),
                _ => {
                    upload.abort().await;
                    backend.tamper(&run, Object::Payload, Some(b"left")).await;
                }
            }
            // Who meets an attempt that is just ending may have to go another way, with a new token.
            let sealed = seal(complete(&store, &run, 2, "again").await).await.unwrap();
            let token = u128::from_str_radix(sealed.as_str(), 16).unwrap();
            if backend.second_writer() == SecondWriter::Refused {
                assert_eq!(token, 2);
            }
            let whole = (Some(bytes("again")), Some(seal_of(token)));
            assert_eq!(content(&store, &run).await, whole, "{far:?} {ending}");
        }
    }
}

async fn g09_a_leftover_is_replaced_when_the_new_payload_is_whole(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"left by a dead writer")).await;
    let mut upload = start(&store, &run, 2).await;
    let first = part(&*upload, "new");
    upload.append(first.clone()).await.unwrap();
    assert_eq!(content(&store, &run).await.0, Some(bytes("left by a dead writer")));
    upload.complete(bytes("er")).await.unwrap();
    let newer = Bytes::from([&first[..], b"er"].concat());
    assert!(content(&store, &run).await == (Some(newer.clone()), None));
    seal(upload).await.unwrap();
    assert!(content(&store, &run).await == (Some(newer), Some(seal_of(2))));
}

async fn a_leftover_is_refused_by_its_size_and_age_where_the_policy_says_so(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    let refuse = Attempt { leftover: LeftoverPolicy::Refuse, ..attempt(1) };
    store.start(&run, refuse.clone()).await.unwrap().abort().await;
    backend.tamper(&run, Object::Payload, Some(b"left")).await;
    let modified = store.look(&run).await.unwrap().payload.unwrap().modified;
    let refuse = Attempt { now: later(modified, 90), ..refuse };
    let refused = store.start(&run, refuse).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    for says in ["4 bytes", "90 min ago", "RAW_SINK_LEFTOVER"] {
        assert!(refused.message().contains(says), "{refused}");
    }
    assert_eq!(content(&store, &run).await, (Some(bytes("left")), None));
    // Who was refused holds nothing: another policy goes on at once.
    write(&store, &run, 2, "new").await;
}

async fn g03_nothing_that_an_attempt_does_touches_a_sealed_run(backend: &dyn Backend) {
    let store = backend.store();
    for ending in ["seal", "abort", "drop"] {
        let run = store_path(&format!("p/{ending}"));
        // The run is sealed by software that asks nobody, while an attempt is at work.
        let upload = complete(&store, &run, 1, "rows").await;
        backend.tamper(&run, Object::Seal, Some(b"another's")).await;
        let before = snapshot(&store, &run).await;
        match ending {
            "seal" => assert_eq!(seal(upload).await.unwrap_err().kind(), ErrorKind::AlreadySealed),
            "abort" => upload.abort().await,
            _ => drop(upload),
        }
        assert_eq!(snapshot(&store, &run).await, before, "{ending}");
        for token in 2..4 {
            let refused = store.start(&run, attempt(token)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
        }
        assert_eq!(snapshot(&store, &run).await, before, "{ending}, then started again");
    }
}
