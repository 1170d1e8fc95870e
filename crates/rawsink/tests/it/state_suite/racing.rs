//! Concurrent changes of the same records.

use rawsink::state::{Change, Filter, Status};
use tokio::task::JoinSet;

use super::{failed, now, passed};
use rawsink_testkit::{
    sample::{customer, key, run},
    states::StateBackend,
    suites::on_every_state,
};

on_every_state!(
    g14_concurrent_validators_lose_no_update,
    g14_a_retry_during_validation_loses_no_update,
);

const JUDGES: u16 = 8;
const TIMES: u16 = 12;

/// Lets validators race, each with its own state as on hosts: for one record, and in turn for
/// three others. No verdict may be lost.
pub(super) async fn race(backend: &dyn StateBackend) {
    let mut judges = JoinSet::new();
    for judge in 0..JUDGES {
        let state = backend.patient_state();
        judges.spawn(async move {
            for time in 0..TIMES {
                state.judge(&key(), &passed(judge), now()).await.unwrap();
                let other = customer(&format!("{}", (judge + time) % 3));
                state.judge(&other, &failed(judge, "no"), now()).await.unwrap();
            }
        });
    }
    judges.join_all().await;
    let state = backend.state();
    let record = state.get(&key()).await.unwrap().unwrap();
    assert_eq!(record.attempt_count, u64::from(JUDGES * TIMES));
    // G13: in any order, the newest run that passed has authority.
    assert_eq!((record.status, record.current_run_id), (Status::Success, Some(run(JUDGES - 1))));
    let all = state.list(&Filter::default()).await.unwrap();
    assert_eq!(all.len(), 4, "a record was made twice");
    let attempts: u64 = all.into_iter().map(|found| found.unwrap().record.attempt_count).sum();
    assert_eq!(attempts, u64::from(JUDGES * TIMES) * 2);
}

async fn g14_concurrent_validators_lose_no_update(backend: &dyn StateBackend) {
    // In a database the first verdict creates the table, and all validators try to be first.
    race(backend).await;
}

async fn g14_a_retry_during_validation_loses_no_update(backend: &dyn StateBackend) {
    let (judge, operator) = (backend.patient_state(), backend.patient_state());
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
