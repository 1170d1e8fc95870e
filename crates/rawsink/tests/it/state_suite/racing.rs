//! Concurrent changes of the same records.

use std::sync::Arc;

use rawsink::state::{Change, Filter, Status, Table};
use tokio::{sync::Barrier, task::JoinSet};

use super::{failed, now, passed};
use rawsink_testkit::{
    databases::{Database, WITHOUT_A_KEY, on_every_database},
    sample::{customer, key, run},
};

on_every_database!(
    g14_concurrent_validators_lose_no_update,
    g14_without_a_primary_key_no_update_is_lost,
    g14_a_retry_during_validation_loses_no_update,
    only_one_of_several_concurrent_inits_creates_the_table,
);

const JUDGES: u16 = 8;
const TIMES: u16 = 12;

/// Lets validators race, each with its own state as on hosts: for one record, and in turn for
/// three others. No verdict may be lost.
async fn race(database: &dyn Database) {
    let mut judges = JoinSet::new();
    for judge in 0..JUDGES {
        let state = database.patient_state();
        judges.spawn(async move {
            for time in 0..TIMES {
                state.judge(&key(), &passed(judge), now()).await.unwrap();
                let other = customer(&format!("{}", (judge + time) % 3));
                state.judge(&other, &failed(judge, "no"), now()).await.unwrap();
            }
        });
    }
    judges.join_all().await;
    let state = database.state();
    let record = state.get(&key()).await.unwrap().unwrap();
    assert_eq!(record.attempt_count, u64::from(JUDGES * TIMES));
    // G13: in any order, the newest run that passed has authority.
    assert_eq!((record.status, record.current_run_id), (Status::Success, Some(run(JUDGES - 1))));
    let all = state.list(&Filter::default()).await.unwrap();
    assert_eq!(all.len(), 4, "a record was made twice");
    let attempts: u64 = all.into_iter().map(|found| found.unwrap().record.attempt_count).sum();
    assert_eq!(attempts, u64::from(JUDGES * TIMES) * 2);
}

async fn g14_concurrent_validators_lose_no_update(database: &dyn Database) {
    // The first verdict creates the table, and all validators try to be first.
    race(database).await;
}

async fn g14_without_a_primary_key_no_update_is_lost(database: &dyn Database) {
    database.execute(WITHOUT_A_KEY).await;
    race(database).await;
}

async fn g14_a_retry_during_validation_loses_no_update(database: &dyn Database) {
    let (judge, operator) = (database.patient_state(), database.patient_state());
    judge.judge(&key(), &failed(0, "bad"), now()).await.unwrap();
    let mut retries = 0_u64;
    let judging = async {
        for n in 1..=40 {
            judge.judge(&key(), &failed(n, "bad"), now()).await.unwrap();
        }
    };
    let retrying = async {
        for _ in 0..40 {
            retries +=
                u64::from(operator.change(&key(), &Change::Retry, now()).await.unwrap().is_some());
        }
    };
    tokio::join!(judging, retrying);
    let record = judge.get(&key()).await.unwrap().unwrap();
    assert_eq!(record.attempt_count, 41);
    assert!(retries > 0, "no retry met a failed record");
}

/// PostgreSQL's refusal depends on the progress of the first: the table, its type or
/// its catalogue entry already exists.
async fn only_one_of_several_concurrent_inits_creates_the_table(database: &dyn Database) {
    for round in 0..60 {
        let start = Arc::new(Barrier::new(8));
        let mut hosts = JoinSet::new();
        for _ in 0..8 {
            let (state, start) = (database.patient_state(), Arc::clone(&start));
            hosts.spawn(async move {
                // To be connected already.
                assert_eq!(state.get(&key()).await.unwrap(), None);
                start.wait().await;
                state.init().await.unwrap()
            });
        }
        let found = hosts.join_all().await;
        let made = found.iter().filter(|table| **table == Table::Created).count();
        assert_eq!(made, 1, "round {round}: {found:?}");
        assert_eq!(database.state().init().await.unwrap(), Table::Found);
        database.execute("DROP TABLE partition_state").await;
    }
}
