//! Retry and backfill: plans and their changes.

use futures_util::StreamExt;
use rawsink::{
    ErrorKind, PartitionKey,
    partition::Selection,
    runtime::FixedClock,
    state::{
        Days, Marked, PartitionState, Plan, Record, Series, Status, execute, plan_backfill,
        plan_retry,
    },
};

use super::{failed, now, passed};
use rawsink_testkit::{
    sample::{customer, run},
    states::StateBackend,
    suites::on_every_state,
};

on_every_state!(
    a_retry_resets_failures_to_pending_and_keeps_the_rest,
    g13_a_verdict_between_plan_and_execution_is_not_undone,
    a_backfill_creates_missing_records_and_changes_no_others,
);

pub(super) const LATER: &str = "2024-06-05T00:00:00Z";

/// Executes a plan and returns the changed keys.
async fn done(state: &dyn PartitionState, plan: &Plan) -> Vec<PartitionKey> {
    let clock = FixedClock(LATER.parse().unwrap());
    let applied: Vec<_> = execute(state, plan, &clock).collect().await;
    let changed = applied.into_iter().filter(|step| step.outcome.as_ref().unwrap().is_some());
    changed.map(|step| step.key.clone()).collect()
}

pub(super) fn series(id: &str) -> Series {
    let text = |text: &str| text.to_owned();
    Series { source: text("google_ads"), customer_id: text(id), query_name: text("campaign") }
}

pub(super) fn days(since: &str, until: &str) -> Days {
    Days { since: since.parse().unwrap(), until: until.parse().unwrap() }
}

pub(super) fn on(id: &str, day: &str) -> PartitionKey {
    PartitionKey::new("google_ads", id, "campaign", day).unwrap()
}

async fn a_retry_resets_failures_to_pending_and_keeps_the_rest(backend: &dyn StateBackend) {
    let state = backend.state();
    state.judge(&customer("1"), &passed(1), now()).await.unwrap();
    let before = state.judge(&customer("1"), &failed(1, "bad"), now()).await.unwrap();
    state.judge(&customer("2"), &failed(1, "bad"), now()).await.unwrap();
    let good = state.judge(&customer("3"), &passed(1), now()).await.unwrap();

    let two = Selection { customer_id: Some("2".into()), ..Selection::default() };
    assert_eq!(plan_retry(&*state, &two, Marked::Keep).await.unwrap().keys, [customer("2")]);
    let plan = plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap();
    assert_eq!(plan.keys, [customer("1"), customer("2")]);
    assert_eq!(state.get(&customer("1")).await.unwrap().as_ref(), Some(&before), "a plan changes");

    assert_eq!(done(&*state, &plan).await, plan.keys);
    let expected = Record {
        status: Status::Pending,
        updated_at: Some(LATER.parse().unwrap()),
        ..before.clone()
    };
    assert_eq!((before.attempt_count, &before.current_run_id), (2, &Some(run(1))));
    assert_eq!(state.get(&customer("1")).await.unwrap(), Some(expected));
    assert_eq!(state.get(&customer("3")).await.unwrap(), Some(good));
    let again = plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap();
    assert!(again.keys.is_empty(), "{again:?}");
}

async fn g13_a_verdict_between_plan_and_execution_is_not_undone(backend: &dyn StateBackend) {
    let state = backend.state();
    state.judge(&customer("1"), &failed(1, "bad"), now()).await.unwrap();
    state.judge(&customer("2"), &failed(1, "bad"), now()).await.unwrap();
    let plan = plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap();
    let passed = backend.state().judge(&customer("1"), &passed(2), now()).await.unwrap();
    assert_eq!(done(&*state, &plan).await, [customer("2")]);
    assert_eq!(state.get(&customer("1")).await.unwrap(), Some(passed));
}

async fn a_backfill_creates_missing_records_and_changes_no_others(backend: &dyn StateBackend) {
    let state = backend.state();
    let (first, last) = ("2024-02-27", "2024-03-01");
    let both = ["1", "2", "1"].map(|id| (series(id), days(first, last)));
    let plan = plan_backfill(&*state, &both).await.unwrap();
    assert_eq!((plan.keys.len(), plan.kept), (8, 0));
    let there = state.judge(&on("1", "2024-02-29"), &failed(1, "bad"), now()).await.unwrap();
    let outside = on("1", "2024-03-02");
    state.judge(&outside, &failed(1, "bad"), now()).await.unwrap();
    let plan = plan_backfill(&*state, &both).await.unwrap();
    let february = ["2024-02-27", "2024-02-28", "2024-03-01"].map(|day| on("1", day));
    assert_eq!(plan.keys[..3], february);
    assert_eq!((plan.keys.len(), plan.kept), (7, 1));

    // One of them gets a verdict before the plan is executed.
    let judged = state.judge(&february[1], &passed(1), now()).await.unwrap();
    let made = done(&*state, &plan).await;
    assert_eq!(made.len(), 6);
    assert!(!made.contains(&february[1]));
    let pending = Record { updated_at: Some(LATER.parse().unwrap()), ..Record::pending() };
    assert_eq!(state.get(&february[0]).await.unwrap(), Some(pending));
    assert_eq!(state.get(&february[1]).await.unwrap(), Some(judged));
    assert_eq!(state.get(&on("1", "2024-02-29")).await.unwrap(), Some(there));
    let again = plan_backfill(&*state, &both).await.unwrap();
    assert_eq!((again.keys.len(), again.kept), (0, 8));

    for (days, says) in [
        (days(last, first), "is before 2024-03-01"),
        (days("1924-01-01", last), "more than 3660 days"),
    ] {
        let refused = plan_backfill(&*state, &[(series("1"), days)]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.message().contains(says), "{refused}");
    }
}
