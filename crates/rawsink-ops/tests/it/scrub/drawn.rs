//! Random damage, compared with a model that shares no code with the scrub.
//!
//! A failure names the seed and the shortest case; `PROPTEST_RNG_SEED=<seed>` replays it.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, RngSeed, TestRunner},
};
use rawsink::{
    ErrorKind, RawSink,
    state::{Change, MemoryState, PartitionState},
    store::{FaultyStore, InjectedFault, Object, Operation, Side, When},
};

use super::{current, now, records, scrubbed, validated, work};
use rawsink_testkit::{
    backend::{Backend, Bucket, Directory, Memory},
    sample::{customer, path, payload, rows, run, seal},
};

/// What happens to a sealed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    None,
    /// Other bytes of the same length.
    Flipped,
    Cut,
    PayloadLost,
    SealGarbled,
    SealLost,
    /// Lost, and landed again with other rows.
    LandedAgain,
    Gone,
}

const MISHAPS: [Mishap; 8] = [
    Mishap::None,
    Mishap::Flipped,
    Mishap::Cut,
    Mishap::PayloadLost,
    Mishap::SealGarbled,
    Mishap::SealLost,
    Mishap::LandedAgain,
    Mishap::Gone,
];

/// A run: whether other software sealed it, whether it is withdrawn, and its mishap.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    is_foreign: bool,
    is_withdrawn: bool,
    mishap: Mishap,
}

/// A partition: two runs, and whether both were validated.
type Partition = (bool, [Drawn; 2]);

fn drawn() -> impl Strategy<Value = Partition> {
    let mishap = prop_oneof![2 => Just(Mishap::None), 3 => select(MISHAPS.to_vec())];
    let run = (any::<bool>(), prop::bool::weighted(0.2), mishap)
        .prop_map(|(is_foreign, is_withdrawn, mishap)| Drawn { is_foreign, is_withdrawn, mishap });
    (prop::bool::weighted(0.7), prop::array::uniform2(run))
}

const SEAL: &[u8] = b"{\"record_count\":3}";

async fn land(backend: &dyn Backend, state: &MemoryState, all: &[Partition]) {
    let sink = RawSink::new(backend.store());
    for (at, (is_validated, runs)) in all.iter().enumerate() {
        let key = customer(&at.to_string());
        for (drawn, n) in runs.iter().zip(1..) {
            if drawn.is_foreign {
                let content = payload(&rows("a", 3));
                backend.tamper(&path(&key, &run(n)), Object::Payload, Some(&content)).await;
                backend.tamper(&path(&key, &run(n)), Object::Seal, Some(SEAL)).await;
            } else {
                seal(&sink, &key, &run(n), &rows("a", 3)).await.unwrap();
            }
            if *is_validated {
                validated(&sink, state, &key, &run(n)).await;
            }
        }
        for (drawn, n) in runs.iter().zip(1..) {
            if drawn.is_withdrawn {
                let change = Change::Withdraw { run_id: run(n), reason: "wrong".into() };
                state.change(&key, &change, now()).await.unwrap();
            }
        }
        for (drawn, n) in runs.iter().zip(1..) {
            let place = path(&key, &run(n));
            let whole = payload(&rows("a", 3));
            let (payload, seal) = match drawn.mishap {
                Mishap::None => continue,
                Mishap::Flipped => (Some(payload(&rows("b", 3))), None),
                Mishap::Cut => (Some(payload(&rows("a", 2))), None),
                Mishap::PayloadLost => (None, None),
                Mishap::SealGarbled => (Some(whole), Some(Some(&b"{"[..]))),
                Mishap::SealLost | Mishap::LandedAgain => (Some(whole), Some(None)),
                Mishap::Gone => (None, Some(None)),
            };
            backend.tamper(&place, Object::Payload, payload.as_deref()).await;
            if let Some(seal) = seal {
                backend.tamper(&place, Object::Seal, seal).await;
            }
            if drawn.mishap == Mishap::LandedAgain {
                self::seal(&sink, &key, &run(n), &rows("c", 3)).await.unwrap();
            }
        }
    }
}

/// Returns the condition that the manual specifies for the run `n` of a partition; `None` if it is not
/// read.
fn expected((is_validated, runs): Partition, n: usize, only_current: bool) -> Option<String> {
    let Drawn { is_foreign, is_withdrawn, mishap } = runs[n];
    let is_older = n == 0;
    let has_authority = is_validated && !is_withdrawn && (!is_older || runs[1].is_withdrawn);
    let is_seal_stored = |drawn: &Drawn| !matches!(drawn.mishap, Mishap::SealLost | Mishap::Gone);
    let is_listed = runs.iter().any(|drawn| drawn.mishap != Mishap::Gone);
    let is_read = if only_current {
        has_authority
    } else {
        is_seal_stored(&runs[n]) || (has_authority && is_listed)
    };
    if !is_read {
        return None;
    }
    let condition = match mishap {
        Mishap::Flipped if is_foreign && !has_authority => "intact",
        Mishap::Flipped | Mishap::Cut => "payload_differs",
        Mishap::PayloadLost if is_withdrawn => "erased",
        Mishap::PayloadLost => "payload_missing",
        Mishap::SealGarbled => "seal_unreadable",
        Mishap::SealLost | Mishap::Gone => "lost",
        Mishap::LandedAgain if has_authority => "seal_replaced",
        Mishap::None | Mishap::LandedAgain => "intact",
    };
    let is_damaged = !matches!(condition, "intact" | "erased");
    let authority = if has_authority && is_damaged { " with authority" } else { "" };
    Some(format!("{condition}{authority}"))
}

fn all_expected(all: &[Partition], only_current: bool) -> BTreeMap<String, String> {
    let mut conditions = BTreeMap::new();
    for (at, partition) in all.iter().copied().enumerate() {
        for n in 0..2 {
            if let Some(condition) = expected(partition, n, only_current) {
                let run = run(u16::try_from(n).unwrap() + 1);
                let place = path(&customer(&at.to_string()), &run);
                conditions.insert(place.as_str().to_owned(), condition);
            }
        }
    }
    conditions
}

async fn check(backend: &dyn Backend, all: Vec<Partition>, seed: u64) {
    let memory = MemoryState::new();
    land(backend, &memory, &all).await;
    let state: Arc<dyn PartitionState> = Arc::new(memory);
    let before = records(&*state).await;
    let sink = RawSink::new(backend.store());
    for (work, only_current) in [(work(), false), (current(), true)] {
        let expected = all_expected(&all, only_current);
        let told = scrubbed(&sink, &state, &work).await;
        assert_eq!(told.conditions(), expected);
        assert!(told.end.is_none() && told.unusable.is_empty());
        // An error of the store is neither damage nor a sign that a run is intact.
        let faults = [Operation::Read, Operation::Chunk, Operation::Inspect].map(|operation| {
            let (side, kind, when) = (Side::Before, ErrorKind::Unavailable, When::Chance(0.1));
            InjectedFault { operation, side, kind, when }
        });
        let shaky = RawSink::new(FaultyStore::new(backend.store(), faults, seed));
        let told = scrubbed(&shaky, &state, &work).await.conditions();
        for (path, condition) in &told {
            assert!(
                condition == "Unavailable" || *condition == expected[path],
                "{path}: {condition}"
            );
        }
        assert_eq!(told.len(), expected.len());
    }
    assert_eq!(records(&*state).await, before, "nothing is recorded");
}

fn scrubs(cases: u32, fresh: fn() -> Box<dyn Backend>) {
    let mut config = Config { failure_persistence: None, cases, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().build_hasher().finish());
    }
    let seed = config.rng_seed;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let case = (vec(drawn(), 1..12), any::<u64>());
    let outcome = TestRunner::new(config).run(&case, |(all, faults)| {
        runtime.block_on(check(&*fresh(), all, faults));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

#[test]
fn g20_a_scrub_finds_exactly_the_damaged_runs() {
    scrubs(64, || Box::new(Memory::default()));
}

#[test]
fn g20_a_scrub_of_a_directory_finds_exactly_the_damaged_runs() {
    scrubs(24, || Box::new(Directory::default()));
}

#[test]
fn g20_a_scrub_of_a_bucket_finds_exactly_the_damaged_runs() {
    scrubs(24, || Box::new(Bucket::default()));
}
