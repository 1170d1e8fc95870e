//! The manifest: payloads with authority, and disagreements between state and seal.

use futures_util::StreamExt;
use rawsink::{
    ErrorKind, RawSink,
    partition::Selection,
    state::{MemoryState, Outcome, PartitionState, Verdict},
    store::Object,
};
use rawsink_ops::manifest::{Payload, current_runs, payloads};
use rawsink_testkit::{
    backend::{Backend, on_every_store},
    sample::{customer, path, rows, run, seal},
};

on_every_store!(a_manifest_shows_seals_and_disagreements_with_the_state);

async fn a_manifest_shows_seals_and_disagreements_with_the_state(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    let passed = |record_count| {
        let outcome = Outcome::Passed { schema_version: None, record_count };
        Verdict::new(run(1), outcome)
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
    assert!(disagree.message().contains("the seal has record_count 2, the state 3"), "{disagree}");
    assert_eq!(shown(told[2].as_ref().unwrap()), (3, Some(1), None));
    assert_eq!(told[3].as_ref().unwrap_err().kind(), ErrorKind::Corrupt, "nothing is there");
}
