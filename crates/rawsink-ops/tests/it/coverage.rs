//! Coverage, compared with an expectation that is computed in another way.

mod damage; // random damage, and the plans that repair it
mod hidden; // parts of the storage that cannot be listed
mod landing; // a random landing and state, and the expected coverage
mod listing; // requests of a listing
mod page; // the page matches the cells and contains no foreign markup
mod scope; // expected partitions and next steps
mod seals; // seals that are compared with those that were validated

use std::{
    collections::BTreeMap,
    fmt::Debug,
    hash::{BuildHasher, Hasher, RandomState},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestRunner},
};
use rawsink::{RawSink, layout::Place, partition::Selection};
use rawsink_ops::coverage::{Coverage, Scope, coverage};

use rawsink_testkit::{backend::Backend, databases::Database};

/// Checks random cases. A failure names the seed.
fn check_random<S: Strategy>(cases: u32, strategy: &S, check: impl AsyncFn(S::Value))
where
    S::Value: Debug,
{
    let mut config = Config { failure_persistence: None, cases, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().build_hasher().finish());
    }
    let seed = config.rng_seed;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = TestRunner::new(config).run(strategy, |case| {
        runtime.block_on(check(case));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

async fn cover(backend: &dyn Backend, database: &dyn Database, scope: &Scope) -> Coverage {
    let (sink, state) = (RawSink::new(backend.store()), database.patient_state());
    coverage(&sink, &*state, scope).await.unwrap()
}

/// Returns each cell as text with all its facts, by path.
fn cell_texts(coverage: &Coverage) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for (series, cells) in coverage.cells() {
        for cell in cells {
            let selection = Selection {
                source: Some(series.source.clone()),
                customer_id: Some(series.customer_id.clone()),
                query_name: Some(series.query_name.clone()),
                since: Some(cell.day),
                until: Some(cell.day),
            };
            let run = |run: Option<&rawsink::RunId>| run.map_or("-", |run| run.as_str()).to_owned();
            let text = [
                cell.standing.to_string(),
                run(cell.run),
                cell.status.map_or("none", |status| status.as_str()).to_owned(),
                run(cell.current),
                run(cell.sealed),
                run(cell.unsealed),
                run(cell.due),
                format!("lost={} unknown={}", cell.drift.lost, cell.drift.unknown),
                cell.reason.unwrap_or("-").to_owned(),
                format!("{:?}", cell.record_count),
            ];
            told.insert(Place::enclosing(&selection).to_string(), text.join(" "));
        }
    }
    told
}
