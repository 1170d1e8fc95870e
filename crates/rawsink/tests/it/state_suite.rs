//! The contract of a state, the same in memory and in every database.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod foreign; // tables and records created by other software
mod list; // listing, its order, and lookups
pub(crate) mod log; // the verdict log, withdrawals and batches
mod operator; // retry and backfill: plans and their changes
mod racing; // concurrent changes of the same records
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tables; // the table of a database

use jiff::Timestamp;
use rawsink::state::{Change, Filter, Outcome, Record, Status, Verdict};

#[cfg(feature = "sqlite")]
pub(crate) use self::list::paged;
use rawsink_testkit::{
    sample::{customer, key, run},
    states::StateBackend,
    suites::on_every_state,
};

on_every_state!(
    an_empty_state_has_no_records,
    g13_a_passed_verdict_gives_authority,
    g13_a_failed_verdict_takes_authority_only_from_its_own_run,
    g13_a_late_verdict_about_an_older_run_takes_no_authority,
    a_change_that_does_not_apply_changes_nothing,
    any_text_is_stored_unchanged,
);

pub(crate) fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn passed(n: u16) -> Verdict {
    let outcome = Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 };
    Verdict::new(run(n), outcome)
}

fn failed(n: u16, reason: &str) -> Verdict {
    Verdict::new(run(n), Outcome::Failed(reason.into()))
}

async fn an_empty_state_has_no_records(backend: &dyn StateBackend) {
    let state = backend.state();
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert!(state.list(&Filter::default()).await.unwrap().is_empty());
    assert!(state.find(&[key()]).await.unwrap().is_empty());
}

async fn g13_a_passed_verdict_gives_authority(backend: &dyn StateBackend) {
    let judged = backend.state().judge(&key(), &passed(1), now()).await.unwrap();
    let expected = Record {
        status: Status::Success,
        current_run_id: Some(run(1)),
        schema_version: Some("v1".into()),
        record_count: Some(3),
        updated_at: Some(now()),
        error_message: None,
        attempt_count: 1,
    };
    assert_eq!(judged, expected);
    assert_eq!(backend.state().get(&key()).await.unwrap(), Some(expected));
    assert_eq!(backend.state().get(&customer("2")).await.unwrap(), None);
}

async fn g13_a_failed_verdict_takes_authority_only_from_its_own_run(backend: &dyn StateBackend) {
    let state = backend.state();
    let before = state.judge(&key(), &passed(1), now()).await.unwrap();
    for (run_number, status) in [(2, Status::Success), (1, Status::Failed)] {
        state.judge(&key(), &failed(run_number, "no"), now()).await.unwrap();
        let after = state.get(&key()).await.unwrap().unwrap();
        assert_eq!((after.status, &after.current_run_id), (status, &before.current_run_id));
        assert_eq!(after.error_message, Some(format!("run {}: no", run(run_number))));
    }
}

async fn g13_a_late_verdict_about_an_older_run_takes_no_authority(backend: &dyn StateBackend) {
    let state = backend.state();
    state.judge(&key(), &passed(5), now()).await.unwrap();
    for late in [passed(4), failed(4, "no")] {
        state.judge(&key(), &late, now()).await.unwrap();
        let record = state.get(&key()).await.unwrap().unwrap();
        assert_eq!((record.status, record.current_run_id), (Status::Success, Some(run(5))));
    }
}

async fn a_change_that_does_not_apply_changes_nothing(backend: &dyn StateBackend) {
    let state = backend.state();
    assert_eq!(state.change(&key(), &Change::Retry, now()).await.unwrap(), None);
    assert_eq!(state.get(&key()).await.unwrap(), None, "a retry of no record creates none");
    let before = state.judge(&key(), &passed(1), now()).await.unwrap();
    for change in [Change::Retry, Change::Backfill] {
        assert_eq!(state.change(&key(), &change, now()).await.unwrap(), None, "{change:?}");
    }
    assert_eq!(state.get(&key()).await.unwrap(), Some(before));
}

async fn any_text_is_stored_unchanged(backend: &dyn StateBackend) {
    let state = backend.state();
    for (id, reason) in
        [("1", "it's \"so\"\\n\t; DROP TABLE partition_state; --"), ("é 😀 $1 ?1", "two\nlines")]
    {
        let key = customer(id);
        let judged = state.judge(&key, &failed(1, reason), now()).await.unwrap();
        assert_eq!(judged.error_message, Some(format!("run {}: {reason}", run(1))));
        assert_eq!(state.get(&key).await.unwrap(), Some(judged));
    }
}
