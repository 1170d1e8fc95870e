//! Abort, drop and failure; restarts; sealed runs stay unchanged.

use bytes::Bytes;
use rawsink::{
    ErrorKind,
    store::{LeftoverPolicy, Object, StartOptions, Store, StorePath, Upload},
};

use super::{
    attempt, bytes, complete, content, later, part, seal, seal_of, snapshot, start, write,
};
use rawsink_testkit::{
    backend::{AnyStore, Backend, SecondWriter, WholePayload, on_every_store},
    sample::{eventually, store_path},
};

on_every_store!(
    g08_an_aborted_attempt_leaves_at_most_a_complete_payload,
    g08_a_dropped_attempt_leaves_at_most_a_complete_payload,
    g08_an_attempt_that_finds_a_seal_leaves_nothing_of_its_own,
    g08_an_attempt_that_ends_early_keeps_an_older_payload,
    g09_a_run_can_be_rewritten_after_any_ending,
    g09_a_leftover_is_replaced_by_a_complete_payload,
    a_refused_leftover_is_reported_with_size_and_age,
    g03_no_action_of_an_attempt_changes_a_sealed_run,
);

/// The last step of an attempt before it ends.
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

/// Returns the objects that an attempt leaves if it ends after this step, unsealed.
fn stays(backend: &dyn Backend, far: Reach) -> Vec<&'static str> {
    match (far, backend.whole_payload()) {
        (Reach::Completed, WholePayload::Left) => vec!["payload.jsonl"],
        _ => Vec::new(),
    }
}

async fn g08_an_aborted_attempt_leaves_at_most_a_complete_payload(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    for far in REACHES {
        reach(&store, &run, 1, far).await.abort().await;
        assert_eq!(backend.residue(&run).await, stays(backend, far), "{far:?}");
        assert_eq!(content(&store, &run).await.1, None, "{far:?}");
    }
}

async fn g08_a_dropped_attempt_leaves_at_most_a_complete_payload(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    for far in REACHES {
        drop(reach(&store, &run, 1, far).await);
        // A part may still be in flight; the task that awaits it rolls the attempt back.
        eventually(async || backend.residue(&run).await == stays(backend, far)).await;
        assert_eq!(content(&store, &run).await.1, None, "{far:?}");
    }
}

async fn g08_an_attempt_that_finds_a_seal_leaves_nothing_of_its_own(backend: &dyn Backend) {
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

async fn g08_an_attempt_that_ends_early_keeps_an_older_payload(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"older")).await;
    for far in [Reach::Started, Reach::Appended] {
        reach(&store, &run, 1, far).await.abort().await;
        assert_eq!(content(&store, &run).await, (Some(bytes("older")), None), "{far:?}");
    }
}

async fn g09_a_run_can_be_rewritten_after_any_ending(backend: &dyn Backend) {
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
            // A writer that finds an ending attempt may need multipart and a new token.
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

async fn g09_a_leftover_is_replaced_by_a_complete_payload(backend: &dyn Backend) {
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

async fn a_refused_leftover_is_reported_with_size_and_age(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    let refuse = StartOptions { leftover: LeftoverPolicy::Refuse, ..attempt(1) };
    store.start(&run, refuse.clone()).await.unwrap().abort().await;
    backend.tamper(&run, Object::Payload, Some(b"left")).await;
    let modified = store.inspect(&run).await.unwrap().payload.unwrap().modified;
    let refuse = StartOptions { now: later(modified, 90), ..refuse };
    let refused = store.start(&run, refuse).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.setting(), Some("leftover"));
    for says in ["4 bytes", "90 min ago"] {
        assert!(refused.message().contains(says), "{refused}");
    }
    assert_eq!(content(&store, &run).await, (Some(bytes("left")), None));
    // A refused writer holds nothing: another policy continues at once.
    write(&store, &run, 2, "new").await;
}

async fn g03_no_action_of_an_attempt_changes_a_sealed_run(backend: &dyn Backend) {
    let store = backend.store();
    for ending in ["seal", "abort", "drop"] {
        let run = store_path(&format!("p/{ending}"));
        // Other software seals the run without any check while an attempt is active.
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
