//! Samples, shards, and scrubs that were interrupted and resumed.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
};

use rawsink::{
    PartitionKey, RawSink,
    partition::Selection,
    state::{MemoryState, PartitionState},
    store::Object,
};
use rawsink_ops::scrub::{self, Sample, Scope, Stop, Total, Work};

use super::{current, land, scrubbed, scrubbed_until, work};
use rawsink_testkit::{
    backend::{Backend, Memory},
    sample::{path, payload, rows, run},
};

/// Names whose paths sort in another order than the names.
const IDS: [&str; 6] = ["1", "1-a", "10", "1_", "a", "a-b"];

fn keys() -> Vec<PartitionKey> {
    let mut keys = Vec::new();
    for source in ["ads", "ads-eu"] {
        for id in IDS {
            for query in ["q", "q-2"] {
                for day in ["2024-05-31", "2024-06-01", "2024-06-03"] {
                    keys.push(PartitionKey::new(source, id, query, day).unwrap());
                }
            }
        }
    }
    keys
}

/// Lands two runs of each partition; the newer one has authority.
async fn landed() -> (Memory, RawSink, Arc<dyn PartitionState>) {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for key in keys() {
        land(&sink, &state, &key, &run(1)).await;
        land(&sink, &state, &key, &run(2)).await;
    }
    (backend, sink, Arc::new(state))
}

async fn total(sink: &RawSink, state: &Arc<dyn PartitionState>, work: &Work) -> Total {
    scrub::total(sink, &**state, work).await.unwrap()
}

#[tokio::test]
async fn the_total_is_what_is_read() {
    let (_backend, sink, state) = landed().await;
    let bytes = payload(&rows("a", 3)).len() as u64;
    let narrow = Selection { source: Some("ads-eu".into()), ..Selection::default() };
    let half = || Some(Sample { share: "50%".parse().unwrap(), seed: 7 });
    let some = Some((keys()[30].clone(), run(1)));
    for base in [work(), current()] {
        for work in [
            base.clone(),
            Work { partitions: narrow.clone(), ..base.clone() },
            Work { sample: half(), shard: "1/2".parse().unwrap(), ..base.clone() },
            Work { after: some.clone(), ..base.clone() },
        ] {
            let (told, total) =
                (scrubbed(&sink, &state, &work).await, total(&sink, &state, &work).await);
            assert_eq!(total.runs, told.read.len() as u64, "{work:?}");
            assert_eq!(told.sampled, told.read.len());
            assert!(total.runs > 0 && told.end.is_none());
            let expected = (work.scope == Scope::Sealed).then_some(bytes * total.runs);
            assert_eq!(total.bytes, expected);
        }
    }
}

#[tokio::test]
async fn a_sample_is_the_same_for_its_seed_and_repeated_samples_find_everything() {
    let (_backend, sink, state) = landed().await;
    let drawn = async |seed, base: Work| {
        let sample = Some(Sample { share: "20%".parse().unwrap(), seed });
        let told = scrubbed(&sink, &state, &Work { sample, ..base }).await;
        assert_eq!(told.sampled, told.read.len());
        told.conditions().into_keys().collect::<BTreeSet<_>>()
    };
    let (first, all) = (drawn(1, work()).await, keys().len() * 2);
    assert_eq!(first, drawn(1, work()).await);
    assert!((all / 10..all / 3).contains(&first.len()), "{} of {all}", first.len());
    let newer: BTreeSet<_> = first.iter().filter(|path| path.ends_with(run(2).as_str())).collect();
    assert_eq!(drawn(1, current()).await.iter().collect::<BTreeSet<_>>(), newer);
    let mut seen = first;
    for seed in 2..100 {
        seen.extend(drawn(seed, work()).await);
    }
    assert_eq!(seen.len(), all);
}

#[tokio::test]
async fn shards_share_all_runs() {
    let (_backend, sink, state) = landed().await;
    for base in [work(), current()] {
        let whole = scrubbed(&sink, &state, &base).await.conditions();
        let mut parts = BTreeMap::new();
        for shard in ["1/3", "2/3", "3/3"] {
            let work = Work { shard: shard.parse().unwrap(), ..base.clone() };
            for (path, condition) in scrubbed(&sink, &state, &work).await.conditions() {
                assert!(parts.insert(path, condition).is_none());
            }
        }
        assert_eq!(parts, whole);
    }
}

/// Scrubs in calls that are stopped after some results each. Returns the results of each call.
async fn in_calls(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    base: &Work,
) -> Vec<Vec<(String, String)>> {
    let (mut calls, mut after) = (Vec::new(), None);
    loop {
        let work = Work { after: after.clone(), stop: Stop::default(), ..base.clone() };
        let told = scrubbed_until(sink, state, &work, 12).await;
        assert!(told.end.is_none(), "{:?}", told.end);
        if told.read.is_empty() {
            return calls;
        }
        calls.push(told.read);
        assert!(calls.len() < 1_000, "no progress");
        if let Some(place) = told.resume.after() {
            after = Some((place.partition().unwrap(), place.run().unwrap()));
        }
    }
}

#[tokio::test]
async fn an_interrupted_scrub_resumes_and_reads_everything_once() {
    let (backend, sink, state) = landed().await;
    for n in (0..keys().len()).step_by(7) {
        backend.tamper(&path(&keys()[n], &run(2)), Object::Payload, Some(b"{}\n")).await;
    }
    for base in [work(), current()] {
        let whole = scrubbed(&sink, &state, &base).await.conditions();
        assert!(whole.values().any(|condition| condition != "intact"));
        let one = Work { jobs: NonZeroUsize::MIN, ..base.clone() };
        let mut seen = BTreeMap::new();
        for (path, condition) in in_calls(&sink, &state, &one).await.into_iter().flatten() {
            assert!(seen.insert(path, condition).is_none(), "a run was read twice");
        }
        assert_eq!(seen, whole);
        // In parallel, runs after the first unfinished one may be read again, and none is left out.
        let calls = in_calls(&sink, &state, &base).await;
        let seen: BTreeMap<_, _> = calls.into_iter().flatten().collect();
        assert_eq!(seen, whole);
    }
}

#[tokio::test]
async fn runs_are_read_in_the_order_of_their_paths() {
    let (_backend, sink, state) = landed().await;
    for base in [work(), current()] {
        let told = scrubbed(&sink, &state, &Work { jobs: NonZeroUsize::MIN, ..base }).await;
        let order: Vec<_> = told.read.iter().map(|(path, _)| path.clone()).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(order, sorted);
        assert_eq!(told.resume.after().unwrap().to_string(), *order.last().unwrap());
    }
}
