//! Authority, withdrawals, malformed records, and what is recorded.

use std::{collections::BTreeMap, sync::Arc};

use rawsink::{
    ErrorKind, PartitionKey, RawSink,
    state::{Change, Event, MemoryState, PartitionState, Record, SqliteState, Status},
    store::Object,
};
use rawsink_ops::scrub::{Recording, Work};
use tempfile::TempDir;

use super::{current, land, now, records, scrubbed, texts, work};
use rawsink_testkit::{
    backend::{Backend, Memory},
    sample::{customer, key, path, rows, run, seal},
};

fn recording() -> Work {
    Work { recording: Recording::Failures, ..work() }
}

async fn withdraw(state: &dyn PartitionState, key: &PartitionKey, n: u16) {
    let change = Change::Withdraw { run_id: run(n), reason: "wrong".into() };
    state.change(key, &change, now()).await.unwrap();
}

#[tokio::test]
async fn an_erased_run_is_no_damage_if_it_is_withdrawn() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for id in ["bare", "flipped", "gone", "whole"] {
        land(&sink, &state, &customer(id), &run(1)).await;
        withdraw(&state, &customer(id), 1).await;
    }
    let place = |id: &str| path(&customer(id), &run(1));
    backend.tamper(&place("bare"), Object::Payload, None).await;
    backend.tamper(&place("flipped"), Object::Payload, Some(b"{}\n")).await;
    backend.tamper(&place("gone"), Object::Payload, None).await;
    backend.tamper(&place("gone"), Object::Seal, None).await;
    let state: Arc<dyn PartitionState> = Arc::new(state);
    let before = records(&*state).await;
    let told = scrubbed(&sink, &state, &recording()).await;
    assert_eq!(told.damaged(), texts([("bare", "erased"), ("flipped", "payload_differs")]));
    assert_eq!((told.read.len(), told.recorded), (3, 0), "a withdrawn run gets no verdict");
    assert_eq!(records(&*state).await, before);
    assert_eq!(scrubbed(&sink, &state, &current()).await.read.len(), 0, "no run has authority");
}

#[tokio::test]
async fn g13_a_recorded_failure_ends_the_authority_of_that_run_alone() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for id in ["intact", "damaged", "older", "lost", "other"] {
        for n in [1, 2] {
            land(&sink, &state, &customer(id), &run(n)).await;
        }
    }
    seal(&sink, &customer("new"), &run(1), &rows("a", 3)).await.unwrap();
    for (id, n) in [("damaged", 2), ("older", 1), ("new", 1)] {
        backend.tamper(&path(&customer(id), &run(n)), Object::Payload, Some(b"{}\n")).await;
    }
    for id in ["lost", "other"] {
        backend.tamper(&path(&customer(id), &run(2)), Object::Seal, None).await;
    }
    seal(&sink, &customer("other"), &run(2), &rows("b", 3)).await.unwrap();
    let state: Arc<dyn PartitionState> = Arc::new(state);
    let told = scrubbed(&sink, &state, &recording()).await;
    let damaged = texts([
        ("damaged", "payload_differs with authority"),
        ("lost", "lost with authority"),
        ("new", "payload_differs"),
        ("older", "payload_differs"),
        ("other", "seal_replaced with authority"),
    ]);
    assert_eq!((told.damaged(), told.recorded), (damaged, 4));
    let mut statuses = BTreeMap::new();
    for entry in records(&*state).await {
        let run = entry.record.current_run_id.map_or("-".to_owned(), |run| run.to_string());
        let id = entry.key.customer_id().to_owned();
        statuses
            .insert(id, format!("{} {run} {}", entry.record.status, entry.record.attempt_count));
    }
    let two = run(2);
    let success = |attempts: u8| format!("success {two} {attempts}");
    let failed = format!("failed {two} 3");
    let expected = [
        ("damaged", failed.clone()),
        ("intact", success(2)),
        // A lost run may be an unmounted disk.
        ("lost", success(2)),
        ("new", "failed - 1".to_owned()),
        // Its newer run keeps authority.
        ("older", success(3)),
        ("other", failed),
    ];
    assert_eq!(statuses, BTreeMap::from(expected.map(|(id, text)| (id.to_owned(), text))));
    // The verdict says what was found.
    let history = state.history(&customer("other")).await.unwrap();
    let verdict = history.verdict(&two).unwrap();
    assert_eq!(verdict.event, Event::Failed);
    assert!(verdict.reason.as_ref().unwrap().contains("not the one that was validated"));
    assert_ne!(verdict.evidence.seal_sha256, history.passed(&two).unwrap().evidence.seal_sha256);
    // A second scrub finds the same, and only the lost run still has authority.
    let told = scrubbed(&sink, &state, &current()).await;
    assert_eq!(told.damaged(), texts([("lost", "lost with authority")]));
    assert_eq!(told.read.len(), 3);
}

#[tokio::test]
async fn more_failures_than_a_batch_holds_are_recorded() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let sink = RawSink::new(backend.store());
    let state: Arc<dyn PartitionState> = Arc::new(SqliteState::new(folder.path().join("state.db")));
    for n in 0..1_100 {
        let place = path(&customer(&format!("{n:04}")), &run(1));
        backend.tamper(&place, Object::Payload, Some(b"{}\n")).await;
        backend.tamper(&place, Object::Seal, Some(b"{\"record_count\":2}")).await;
    }
    let told = scrubbed(&sink, &state, &recording()).await;
    assert_eq!((told.damaged().len(), told.recorded), (1_100, 1_100));
    assert!(told.end.is_none(), "{:?}", told.end);
    let all = records(&*state).await;
    assert_eq!(all.len(), 1_100);
    assert!(all.iter().all(|entry| entry.record.status == Status::Failed));
}

#[tokio::test]
async fn a_failure_that_cannot_be_recorded_is_still_reported() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let sink = RawSink::new(backend.store());
    let file = folder.path().join("state.db");
    let state: Arc<dyn PartitionState> = Arc::new(SqliteState::new(&file));
    for n in 0..10 {
        land(&sink, &*state, &customer(&n.to_string()), &run(1)).await;
        let place = path(&customer(&n.to_string()), &run(1));
        backend.tamper(&place, Object::Payload, Some(b"{}\n")).await;
    }
    let url = format!("sqlite:{}", file.display());
    let mut database = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    // The smallest integer has no absolute value.
    let refuse = "CREATE INDEX refuse ON partition_state \
                  (CASE status WHEN 'failed' THEN abs(-9223372036854775807 - 1) END)";
    sqlx::query(refuse).execute(&mut database).await.unwrap();
    let told = scrubbed(&sink, &state, &recording()).await;
    assert_eq!((told.damaged().len(), told.recorded), (10, 0));
    let end = told.end.unwrap();
    assert!(end.message().contains("the state cannot be changed"), "{end}");
    assert_eq!(told.resume.after(), None, "without its verdict no run is done");
    assert!(records(&*state).await.iter().all(|entry| entry.record.status == Status::Success));
}

#[tokio::test]
async fn a_run_with_a_malformed_record_is_compared_with_its_seal() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let sink = RawSink::new(backend.store());
    let file = folder.path().join("state.db");
    let state: Arc<dyn PartitionState> = Arc::new(SqliteState::new(&file));
    for id in ["bad", "good", "worse"] {
        land(&sink, &*state, &customer(id), &run(1)).await;
    }
    let url = format!("sqlite:{}", file.display());
    let mut database = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let malform = "UPDATE partition_state SET current_run_id = '' WHERE customer_id <> 'good'";
    sqlx::query(malform).execute(&mut database).await.unwrap();
    backend.tamper(&path(&customer("worse"), &run(1)), Object::Payload, Some(b"{}\n")).await;
    let told = scrubbed(&sink, &state, &work()).await;
    assert_eq!((told.damaged(), told.read.len()), (texts([("worse", "payload_differs")]), 3));
    assert_eq!(told.unusable.len(), 2);
    assert!(told.unusable.iter().all(|error| error.kind() == ErrorKind::Corrupt));
    let told = scrubbed(&sink, &state, &current()).await;
    assert_eq!((told.read.len(), told.unusable.len()), (1, 2));
}

#[tokio::test]
async fn a_success_without_a_readable_run_is_reported() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    land(&sink, &state, &key(), &run(1)).await;
    let success = state.get(&key()).await.unwrap().unwrap();
    let nameless = Record { current_run_id: None, ..success.clone() };
    state.set_record(&customer("nameless"), nameless);
    withdraw(&state, &key(), 1).await;
    // Other software records a success all the same.
    state.set_record(&key(), success);
    let state: Arc<dyn PartitionState> = Arc::new(state);
    let told = scrubbed(&sink, &state, &current()).await;
    assert_eq!((told.read.len(), told.unusable.len()), (0, 2));
    assert!(told.unusable.iter().all(|error| error.kind() == ErrorKind::Corrupt));
    let listed = scrubbed(&sink, &state, &work()).await;
    assert_eq!((listed.read.len(), listed.unusable.len()), (1, 1));
    let messages: Vec<_> = told.unusable.iter().map(ToString::to_string).collect();
    assert!(messages.iter().any(|message| message.contains("was withdrawn")), "{messages:?}");
}
