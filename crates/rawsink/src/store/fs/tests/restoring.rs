//! Restoring damaged files of sealed runs: the order of the steps, crashes, errors and races.

use std::{fs, sync::mpsc};

use futures_util::{StreamExt, stream};

use super::*;
use crate::store::Restoration;

const DAMAGED: &str = "damaged";

/// The damaged object of the run.
const OBJECTS: [Object; 2] = [Object::Payload, Object::Seal];

/// Creates a sealed run with one damaged object.
async fn damaged(object: Object) -> World {
    let world = World::new(Before::Nothing);
    write(&world.fresh(), 1).await.unwrap();
    fs::write(world.dir().join(object.file_name()), DAMAGED).unwrap();
    world
}

/// Restores an object of the run, the payload in two chunks.
async fn restore(store: &FsStore, object: Object) -> Result<()> {
    let restoration = match object {
        Object::Seal => Restoration::Seal(Bytes::from(seal_of(1))),
        Object::Payload => {
            let text = payload_of(1);
            let (first, last) = text.split_at(20);
            let chunks = [first, last].map(|chunk| Ok(Bytes::from(chunk.to_owned())));
            let (seal, chunks) = (Bytes::from(seal_of(1)), stream::iter(chunks).boxed());
            Restoration::Payload { seal, chunks }
        }
    };
    store.restore(&run(), WriterToken::new(9), restoration).await
}

/// Returns the events of a restore without faults.
async fn undisturbed(object: Object) -> Vec<(Step, Moment)> {
    let (world, script) = (damaged(object).await, Script::new(None));
    restore(&world.probed(script.clone()), object).await.unwrap();
    world.assert_sealed_by(1, "undisturbed").await;
    script.events()
}

#[tokio::test]
async fn g03_the_new_file_is_synced_before_it_replaces_the_damaged_one() {
    let (world, script) = (damaged(Object::Payload).await, Script::new(None));
    restore(&world.probed(script.clone()), Object::Payload).await.unwrap();
    let first = [
        Step::OpenDirectory,
        Step::Lock,
        Step::CompareDirectory,
        Step::CheckRestoredSeal,
        Step::RemoveOldStaging,
        Step::OpenStaging,
        Step::Append,
        Step::Append,
        Step::SyncPayload,
        Step::CheckRestoredSeal,
        Step::Replace,
        Step::SyncRunDirectory,
    ];
    assert_eq!(script.steps()[..first.len()], first);
    let rest = &script.steps()[first.len()..];
    let above = |step: &Step| matches!(step, Step::SyncAncestor | Step::SyncAboveRoot);
    assert!(!rest.is_empty() && rest.iter().all(above), "{rest:?}");
}

#[tokio::test]
async fn g03_a_crash_at_any_step_leaves_the_damaged_file_or_the_restored_one() {
    for object in OBJECTS {
        let events = undisturbed(object).await;
        let replaced = (Step::Replace, Moment::After);
        let replaced = events.iter().position(|event| *event == replaced).unwrap();
        for (event, seen) in events.iter().copied().enumerate() {
            let context = format!("{object:?}, dead at {event} {seen:?}");
            let world = damaged(object).await;
            let script = Script::new(Some(StepFault { event, errno: Errno::IO, dies: true }));
            let outcome = restore(&world.probed(script.clone()), object).await;
            assert!(outcome.is_err(), "{context}");
            assert_eq!(script.events().last(), Some(&seen), "{context}");
            if event >= replaced {
                world.assert_sealed_by(1, &context).await;
            } else {
                assert_eq!(world.content(object).await.as_deref(), Some(DAMAGED), "{context}");
                let other = OBJECTS[usize::from(object == Object::Payload)];
                let intact = [payload_of(1), seal_of(1)];
                assert!(intact.contains(&world.content(other).await.unwrap()), "{context}");
            }
            restore(&world.fresh(), object)
                .await
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            world.assert_sealed_by(1, &context).await;
            let both = ["metadata.json", "payload.jsonl"];
            assert_eq!(world.names().unwrap(), both, "{context}: no staging file is left");
        }
    }
}

#[tokio::test]
async fn g03_an_error_at_any_step_leaves_no_staging_file() {
    for object in OBJECTS {
        for (event, seen) in undisturbed(object).await.into_iter().enumerate() {
            let context = format!("{object:?}, {seen:?}");
            let world = damaged(object).await;
            let script = Script::new(Some(StepFault { event, errno: Errno::NOSPC, dies: false }));
            let refused = restore(&world.probed(script), object).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable, "{context}: {refused}");
            assert_eq!(world.names().unwrap(), ["metadata.json", "payload.jsonl"], "{context}");
        }
    }
}

#[tokio::test]
async fn an_open_reader_keeps_the_old_file() {
    let world = damaged(Object::Payload).await;
    let reading = world.fresh().read(&run(), Object::Payload, 0).await.unwrap();
    restore(&world.fresh(), Object::Payload).await.unwrap();
    let chunks: Vec<Bytes> = reading.chunks.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), DAMAGED.as_bytes());
    world.assert_sealed_by(1, "restored").await;
}

#[tokio::test]
async fn g03_a_seal_that_disappears_meanwhile_ends_the_restore() {
    let world = damaged(Object::Payload).await;
    let seal = world.dir().join("metadata.json");
    let hook = Once::new(Step::SyncPayload, Moment::Before, move || {
        fs::remove_file(&seal).unwrap();
        Ok(())
    });
    let refused = restore(&world.probed(hook), Object::Payload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotSealed);
    assert_eq!(world.content(Object::Payload).await.as_deref(), Some(DAMAGED));
    assert_eq!(world.names().unwrap(), ["payload.jsonl"]);
}

#[tokio::test]
async fn g03_a_restore_waits_for_the_lock_and_then_reports_a_conflict() {
    let world = damaged(Object::Payload).await;
    let (appends, appending) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let goes = Mutex::new(goes);
    let hook = Once::new(Step::Append, Moment::Before, move || {
        appends.send(()).unwrap();
        goes.lock().unwrap().recv().unwrap();
        Ok(())
    });
    let slow = world.probed(hook);
    let first = tokio::spawn(async move { restore(&slow, Object::Payload).await });
    tokio::task::spawn_blocking(move || appending.recv().unwrap()).await.unwrap();
    let refused = restore(&world.fresh(), Object::Payload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    world.assert_sealed_by(1, "the first").await;
}

#[tokio::test]
async fn a_link_is_replaced_by_a_file_and_its_target_is_kept() {
    let world = damaged(Object::Payload).await;
    let (target, payload) = (world.root().join("elsewhere"), world.dir().join("payload.jsonl"));
    fs::write(&target, DAMAGED).unwrap();
    fs::remove_file(&payload).unwrap();
    std::os::unix::fs::symlink(&target, &payload).unwrap();
    restore(&world.fresh(), Object::Payload).await.unwrap();
    world.assert_sealed_by(1, "restored").await;
    assert!(!payload.is_symlink());
    assert_eq!(fs::read_to_string(target).unwrap(), DAMAGED);
}
