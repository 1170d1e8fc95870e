//! The table of a database: its creation, its columns, and a busy database.

use std::sync::Arc;

use futures_util::StreamExt;
use rawsink::{
    ErrorKind,
    partition::Selection,
    runtime::FixedClock,
    state::{Filter, Marked, Status, Table, execute, plan_backfill, plan_retry},
};
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    failed, now,
    operator::{LATER, days, series},
    passed,
};
use rawsink_testkit::{
    databases::Database,
    sample::{customer, key, run},
    suites::on_every_database,
};

on_every_database!(
    reading_creates_no_table,
    a_verdict_creates_the_table_with_the_contract_columns,
    a_table_is_created_once_and_then_found,
    a_foreign_table_of_that_name_is_refused_unchanged,
    a_busy_database_is_unavailable_and_nothing_is_recorded,
    a_plan_stopped_by_an_error_leaves_the_rest_for_the_next_one,
    only_one_of_several_concurrent_inits_creates_the_table,
);

pub(super) const COLUMNS: &str = "source customer_id query_name logical_date status current_run_id \
    schema_version record_count updated_at error_message attempt_count";

async fn reading_creates_no_table(database: &dyn Database) {
    let state = database.state();
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert!(state.list(&Filter::default()).await.unwrap().is_empty());
    assert!(
        plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap().keys.is_empty()
    );
    let day = days("2024-06-01", "2024-06-01");
    assert_eq!(plan_backfill(&*state, &[(series("1"), day)]).await.unwrap().keys.len(), 1);
    assert_eq!(database.columns().await, Vec::<String>::new());
}

async fn a_verdict_creates_the_table_with_the_contract_columns(database: &dyn Database) {
    let made = database.state().judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(database.state().get(&key()).await.unwrap(), Some(made.clone()));
    assert_eq!(
        (made.status, made.current_run_id, made.attempt_count),
        (Status::Success, Some(run(1)), 1)
    );
    assert_eq!((made.updated_at, made.record_count), (Some(now()), Some(3)));
    assert_eq!(database.columns().await, COLUMNS.split_whitespace().collect::<Vec<_>>());
    let mut other = database.connect().await;
    let another_status = other.attempt("UPDATE partition_state SET status = 'done'").await;
    assert!(another_status.is_err(), "no other status exists");
    let again = "INSERT INTO partition_state SELECT * FROM partition_state";
    assert!(other.attempt(again).await.is_err(), "a key is unique");
}

async fn a_table_is_created_once_and_then_found(database: &dyn Database) {
    assert_eq!(database.state().init().await.unwrap(), Table::Created);
    assert_eq!(database.columns().await, COLUMNS.split_whitespace().collect::<Vec<_>>());
    let state = database.state();
    state.judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(database.state().init().await.unwrap(), Table::Found);
    assert_eq!(state.get(&key()).await.unwrap().unwrap().attempt_count, 1);
}

async fn a_foreign_table_of_that_name_is_refused_unchanged(database: &dyn Database) {
    database.execute("CREATE TABLE partition_state (source TEXT, status TEXT)").await;
    let state = database.state();
    for refused in [
        state.init().await.unwrap_err(),
        state.get(&key()).await.unwrap_err(),
        state.list(&Filter::default()).await.unwrap_err(),
        state.judge(&key(), &passed(1), now()).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        assert!(refused.message().contains("customer_id"), "{refused}");
    }
    assert_eq!(database.columns().await, ["source", "status"]);
}

async fn a_busy_database_is_unavailable_and_nothing_is_recorded(database: &dyn Database) {
    let state = database.state();
    state.judge(&key(), &passed(1), now()).await.unwrap();
    let mut other = database.connect().await;
    other.execute(database.close_table()).await;
    let busy = state.judge(&key(), &failed(1, "bad"), now()).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Unavailable, "{busy}");
    other.execute("ROLLBACK").await;
    assert_eq!(state.get(&key()).await.unwrap().unwrap().attempt_count, 1);
    assert_eq!(state.judge(&key(), &passed(2), now()).await.unwrap().attempt_count, 2);
}

async fn a_plan_stopped_by_an_error_leaves_the_rest_for_the_next_one(database: &dyn Database) {
    let state = database.state();
    for id in ["1", "2"] {
        state.judge(&customer(id), &failed(1, "bad"), now()).await.unwrap();
    }
    let plan = plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap();
    let mut other = database.connect().await;
    other.execute(database.close_table()).await;
    let clock = FixedClock(LATER.parse().unwrap());
    let applied: Vec<_> = execute(&*state, &plan, &clock).collect().await;
    assert_eq!(applied.len(), 1, "execution continued although the database was busy");
    let kind = applied[0].outcome.as_ref().unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Unavailable);
    other.execute("ROLLBACK").await;
    assert_eq!(
        plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap().keys,
        plan.keys
    );
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
