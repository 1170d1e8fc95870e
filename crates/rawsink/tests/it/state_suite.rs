//! The contract of a state, the same on every database.

mod foreign; // tables and records created by other software
mod list; // listing, its order, and lookups
mod operator; // retry and backfill: plans and their changes
mod racing; // concurrent changes of the same records

use jiff::Timestamp;
use rawsink::{
    ErrorKind,
    state::{Filter, Outcome, Status, Table, Verdict},
};

use rawsink_testkit::{
    databases::{Database, on_every_database},
    sample::{key, run},
};

on_every_database!(
    reading_creates_no_table,
    a_verdict_creates_the_table_with_the_contract_columns,
    a_table_is_created_once_and_then_found,
    a_foreign_table_of_that_name_is_refused_unchanged,
    a_busy_database_is_unavailable_and_nothing_is_recorded,
    any_text_is_stored_unchanged,
);

pub(crate) fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn passed(n: u16) -> Verdict {
    let outcome = Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 };
    Verdict { run_id: run(n), outcome }
}

fn failed(n: u16, reason: &str) -> Verdict {
    Verdict { run_id: run(n), outcome: Outcome::Failed(reason.into()) }
}

const COLUMNS: &str = "source customer_id query_name logical_date status current_run_id \
    schema_version record_count updated_at error_message attempt_count";

async fn reading_creates_no_table(database: &dyn Database) {
    let state = database.state();
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert!(state.list(&Filter::default()).await.unwrap().is_empty());
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

async fn any_text_is_stored_unchanged(database: &dyn Database) {
    let state = database.state();
    for (id, reason) in
        [("1", "it's \"so\"\\n\t; DROP TABLE partition_state; --"), ("é 😀 $1 ?1", "two\nlines")]
    {
        let key = rawsink_testkit::sample::customer(id);
        let judged = state.judge(&key, &failed(1, reason), now()).await.unwrap();
        assert_eq!(judged.error_message, Some(format!("run {}: {reason}", run(1))));
        assert_eq!(state.get(&key).await.unwrap(), Some(judged));
    }
}
