//! Consumers see what has authority, and nothing else.

use futures_util::StreamExt;
use rawsink::{
    ErrorKind, RawSink,
    consume::{current_run, open_current},
    key::Selection,
    manifest::{Payload, current_runs, payloads},
    state::{Outcome, PartitionState, SqliteState, Verdict},
    store::{Object, Operation, Store},
    validate::{Rules, validate},
};
use tempfile::TempDir;

use crate::{
    backend::{Backend, Directory, Memory, on_every_store},
    sample::{customer, key, path, read_all, rows, run, seal},
};

on_every_store!(
    g15_a_consumer_sees_the_authoritative_run_alone,
    a_consumer_without_authority_is_told_the_status,
    authority_of_a_run_that_cannot_be_read_is_corrupt,
    g12_a_consumer_writes_nothing,
    a_manifest_tells_what_the_seal_says_and_where_state_and_seal_disagree,
);

fn state() -> (TempDir, SqliteState) {
    let folder = TempDir::new().unwrap();
    let state = SqliteState::new(folder.path().join("state.db"));
    (folder, state)
}

async fn judge(sink: &RawSink, state: &SqliteState, n: u16) -> bool {
    validate(sink, state, &key(), &run(n), Rules::default()).await.unwrap().passed()
}

async fn consumed(sink: &RawSink, state: &SqliteState) -> Result<Vec<String>, ErrorKind> {
    let mut reader = open_current(sink, state, &key()).await.map_err(|error| error.kind())?;
    read_all(&mut reader).await.map_err(|error| error.kind())
}

async fn g15_a_consumer_sees_the_authoritative_run_alone(backend: &dyn Backend) {
    let (_folder, state) = state();
    let sink = RawSink::new(backend.store());
    for n in 1..=3 {
        seal(&sink, &key(), &run(n), &rows(&format!("run {n}"), usize::from(n))).await.unwrap();
    }
    backend.tamper(&path(&key(), &run(4)), Object::Payload, Some(b"{}\n")).await;
    assert!(judge(&sink, &state, 2).await);
    // Newer runs are there, sealed and unsealed, and were not judged.
    assert_eq!(consumed(&sink, &state).await, Ok(rows("run 2", 2)));
    assert_eq!(current_run(&state, &key()).await.unwrap(), run(2));
    assert!(judge(&sink, &state, 3).await);
    assert!(judge(&sink, &state, 1).await);
    assert_eq!(consumed(&sink, &state).await, Ok(rows("run 3", 3)));
    assert_eq!(current_run(&state, &customer("1")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn a_consumer_without_authority_is_told_the_status(backend: &dyn Backend) {
    let (_folder, state) = state();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    let refused = open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.message().contains("pending"), "{refused}");
    let failed = Verdict { run_id: run(1), outcome: Outcome::Failed("bad".into()) };
    state.judge(&key(), &failed, "2024-06-04T00:00:00Z".parse().unwrap()).await.unwrap();
    let refused = open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.message().contains("failed"), "{refused}");
    // A run that had authority and failed since is not read any more.
    assert!(judge(&sink, &state, 1).await);
    state.judge(&key(), &failed, "2024-06-05T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(consumed(&sink, &state).await, Err(ErrorKind::NotFound));
}

async fn authority_of_a_run_that_cannot_be_read_is_corrupt(backend: &dyn Backend) {
    let (_folder, state) = state();
    let sink = RawSink::new(backend.store());
    let place = path(&key(), &run(1));
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&sink, &state, 1).await);
    backend.tamper(&place, Object::Seal, None).await;
    for gone in ["the seal", "the payload too"] {
        let refused = open_current(&sink, &state, &key()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{gone}");
        assert_eq!(refused.place(), Some(place.as_str()));
        backend.tamper(&place, Object::Payload, None).await;
    }
}

async fn g12_a_consumer_writes_nothing(backend: &dyn Backend) {
    let (folder, state) = state();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&sink, &state, 1).await);
    let file = folder.path().join("state.db");
    let before = (std::fs::read(&file).unwrap(), backend.residue(&path(&key(), &run(1))).await);
    let record = state.get(&key()).await.unwrap();
    consumed(&sink, &state).await.unwrap();
    assert_eq!(state.get(&key()).await.unwrap(), record);
    assert_eq!(
        (std::fs::read(&file).unwrap(), backend.residue(&path(&key(), &run(1))).await),
        before
    );
}

#[tokio::test]
async fn g15_what_a_consumer_sees_does_not_depend_on_the_store() {
    let written = rows("a", 5000);
    let mut seen = Vec::new();
    for backend in [Box::new(Memory::default()) as Box<dyn Backend>, Box::new(Directory::default())]
    {
        let (_folder, state) = state();
        let sink = RawSink::new(backend.store());
        seal(&sink, &key(), &run(1), &written).await.unwrap();
        assert!(judge(&sink, &state, 1).await);
        let mut reader = open_current(&sink, &state, &key()).await.unwrap();
        let rows = read_all(&mut reader).await.unwrap();
        let metadata = reader.metadata().clone();
        seen.push((
            rows,
            metadata,
            reader.summary().cloned(),
            state.get(&key()).await.unwrap().map(|record| {
                (record.status, record.current_run_id, record.schema_version, record.record_count)
            }),
        ));
    }
    assert_eq!(seen[0].0, written);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_consumer_scans_nothing() {
    let backend = Memory::default();
    let (_folder, state) = state();
    let plain = RawSink::new(backend.store());
    seal(&plain, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&plain, &state, 1).await);
    let store = rawsink::store::FaultyStore::new(backend.store(), [], 0);
    consumed(&RawSink::new(store.clone()), &state).await.unwrap();
    let calls = store.calls();
    assert!(!calls.contains(&Operation::Children) && !calls.contains(&Operation::Walk));
    assert_eq!(calls.iter().filter(|call| **call == Operation::Read).count(), 2);
    assert!(store.look(&path(&key(), &run(1))).await.unwrap().seal.is_some());
}

async fn a_manifest_tells_what_the_seal_says_and_where_state_and_seal_disagree(
    backend: &dyn Backend,
) {
    let (_folder, state) = state();
    let sink = RawSink::new(backend.store());
    let passed = |record_count| {
        let outcome = Outcome::Passed { schema_version: None, record_count };
        Verdict { run_id: run(1), outcome }
    };
    let sealed = seal(&sink, &customer("1"), &run(1), &rows("a", 2)).await.unwrap();
    seal(&sink, &customer("2"), &run(1), &rows("a", 2)).await.unwrap();
    // Sealed by other software, with no seal block.
    backend.tamper(&path(&customer("3"), &run(1)), Object::Payload, Some(b"{}\n")).await;
    backend.tamper(&path(&customer("3"), &run(1)), Object::Seal, Some(b"{}")).await;
    let now = "2024-06-04T00:00:00Z".parse().unwrap();
    for (id, count) in [("1", 2), ("2", 3), ("3", 1), ("4", 1)] {
        state.judge(&customer(id), &passed(count), now).await.unwrap();
    }
    let runs = current_runs(&state, &Selection::default()).await.unwrap();
    let runs = runs.into_iter().map(Result::unwrap).collect();
    let told: Vec<_> = payloads(&sink, "root:", runs, 2.try_into().unwrap()).collect().await;
    let first = told[0].as_ref().unwrap();
    let shown = |payload: &Payload| (payload.bytes, payload.rows, payload.sha256.clone());
    let payload = sealed.payload;
    assert_eq!(shown(first), (payload.payload_bytes, Some(2), Some(payload.payload_sha256)));
    assert_eq!(first.uri, format!("root:/{}/payload.jsonl", path(&customer("1"), &run(1))));
    let disagree = told[1].as_ref().unwrap_err();
    assert_eq!(disagree.kind(), ErrorKind::Corrupt);
    assert!(disagree.message().contains("the seal says 2 rows, the state 3"), "{disagree}");
    assert_eq!(shown(told[2].as_ref().unwrap()), (3, Some(1), None));
    assert_eq!(told[3].as_ref().unwrap_err().kind(), ErrorKind::Corrupt, "nothing is there");
}
