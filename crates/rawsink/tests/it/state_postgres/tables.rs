//! Types, collations, constraints and triggers of other software.

use std::sync::Arc;

use rawsink::{
    ErrorKind,
    partition::Selection,
    state::{Change, Filter, PartitionState, Status, Table},
};
use tokio::task::JoinSet;

use super::{now, passed};
use rawsink_testkit::{
    databases::{Database, Postgres, foreign_tables},
    sample::{customer, eventually, key, run},
    states::StateBackend,
};

/// A custom status type, a deferred key constraint, a language's collation.
const PECULIAR: &str = "CREATE TYPE verdict AS ENUM ('pending', 'success', 'failed'); \
    CREATE TABLE partition_state (id bigint GENERATED ALWAYS AS IDENTITY, \
    source varchar(32) COLLATE \"en-x-icu\", customer_id char(12) COLLATE \"en-x-icu\", \
    query_name text COLLATE \"en-x-icu\", logical_date date, status verdict NOT NULL DEFAULT 'pending', \
    current_run_id varchar, schema_version varchar(8), record_count double precision, \
    updated_at timestamp(3) with time zone, error_message text, attempt_count smallint, \
    UNIQUE (source, customer_id, query_name, logical_date) DEFERRABLE INITIALLY DEFERRED)";

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn unusual_types_collations_and_constraints_are_supported() {
    let database = Postgres::new().await;
    database.execute(PECULIAR).await;
    let state = database.state();
    for id in ["b", "B", "a", "A"] {
        state.judge(&customer(id), &passed(1), now()).await.unwrap();
        let record = state.judge(&customer(id), &passed(2), now()).await.unwrap();
        assert_eq!(state.get(&customer(id)).await.unwrap(), Some(record.clone()));
        assert_eq!((record.record_count, record.attempt_count), (Some(3), 2));
    }
    let state = &state;
    let listed = async |filter| {
        let all = state.list(&filter).await.unwrap();
        all.into_iter().map(|found| found.unwrap().key.customer_id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(Filter::default()).await, ["A", "B", "a", "b"], "byte by byte");
    let partitions = Selection { customer_id: Some("a".into()), ..Selection::default() };
    let one = Filter { partitions, status: Some(Status::Success) };
    assert_eq!(listed(one).await, ["a"]);
    let too_long = state.judge(&customer("1234567890123"), &passed(1), now()).await.unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::Invalid, "{too_long}");
}

/// Runs `waiting` beside a transaction of other software, which commits as soon as `waiting` waits
/// for it; panics if nothing waits.
async fn beside<T>(database: &Postgres, transaction: &str, waiting: impl Future<Output = T>) -> T {
    let (mut other, mut watch) = (database.connect().await, database.connect().await);
    other.execute(&format!("BEGIN; {transaction}")).await;
    let waits = "SELECT 'it waits'::text FROM pg_stat_activity \
        WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let commit = async {
        eventually(async || !watch.texts(waits).await.is_empty()).await;
        other.execute("COMMIT").await;
    };
    tokio::join!(waiting, commit).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn g14_a_record_being_inserted_is_awaited_and_changed() {
    let database = Postgres::new().await;
    let mut tables = foreign_tables(&database).to_vec();
    tables.push(PECULIAR);
    for table in tables {
        database.execute("DROP TABLE IF EXISTS partition_state; DROP TYPE IF EXISTS verdict").await;
        database.execute(table).await;
        let insert = "INSERT INTO partition_state \
            (source, customer_id, query_name, logical_date, status, attempt_count) \
            VALUES ('google_ads', '7', 'campaign', '2024-06-01', 'failed', 41)";
        let state = database.patient_state();
        let (key, verdict) = (customer("7"), passed(1));
        let judged = beside(&database, insert, state.judge(&key, &verdict, now())).await.unwrap();
        assert_eq!(judged.attempt_count, 42, "{table}");
        let all = database.state().list(&Filter::default()).await.unwrap();
        assert_eq!(all.len(), 1, "the record was made twice: {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_table_being_created_is_found() {
    let database = Postgres::new().await;
    let state = database.patient_state();
    let found = beside(&database, database.contract(), state.init()).await.unwrap();
    assert_eq!(found, Table::Found);
    database.execute("DROP TABLE partition_state").await;
    let state = database.patient_state();
    let (key, verdict) = (key(), passed(1));
    let judged = beside(&database, database.contract(), state.judge(&key, &verdict, now())).await;
    assert_eq!(judged.unwrap().attempt_count, 1);
}

/// A name used by another object is not a table created by another host.
#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_type_with_the_tables_name_is_refused() {
    let database = Postgres::new().await;
    database.execute("CREATE DOMAIN partition_state AS text").await;
    let refused = database.state().init().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(refused.to_string().contains("type \"partition_state\" already exists"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn g14_no_update_is_lost_at_any_default_isolation_level() {
    let database = Postgres::new().await;
    let name = database.settings().database;
    database
        .execute(&format!("ALTER DATABASE {name} SET default_transaction_isolation = serializable"))
        .await;
    database.state().init().await.unwrap();
    let check = "CREATE FUNCTION check_isolation() RETURNS trigger AS $$ BEGIN \
            IF current_setting('transaction_isolation') <> 'read committed' THEN \
                RAISE EXCEPTION 'a transaction sees what was'; \
            END IF; RETURN NEW; END $$ LANGUAGE plpgsql; \
        CREATE TRIGGER check_isolation BEFORE INSERT OR UPDATE ON partition_state \
            FOR EACH ROW EXECUTE FUNCTION check_isolation()";
    database.execute(check).await;
    let mut judges = JoinSet::new();
    for _ in 0..6 {
        let state = database.patient_state();
        judges.spawn(async move {
            for n in 0..10 {
                state.judge(&key(), &passed(n), now()).await.unwrap();
            }
        });
    }
    judges.join_all().await;
    assert_eq!(database.state().get(&key()).await.unwrap().unwrap().attempt_count, 60);
}

/// Lets a trigger refuse the first `times` writes, as a server does that aborts one in favour of
/// another (a sequence also counts rolled-back writes).
async fn refuse(database: &Postgres, times: u32) {
    let trigger = format!(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$ BEGIN \
            IF nextval('refusals') <= {times} THEN \
                RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; \
            END IF; RETURN NEW; END $$ LANGUAGE plpgsql; \
        DROP SEQUENCE IF EXISTS refusals; CREATE SEQUENCE refusals; \
        CREATE OR REPLACE TRIGGER refuse BEFORE INSERT OR UPDATE ON partition_state \
            FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    database.execute(&trigger).await;
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_change_aborted_by_the_server_is_retried_a_few_times() {
    let database = Postgres::new().await;
    let state = database.state();
    state.init().await.unwrap();
    refuse(&database, 3).await;
    assert_eq!(state.judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 1);
    refuse(&database, 1000).await;
    let refused = state.judge(&key(), &passed(2), now()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let record = state.get(&key()).await.unwrap().unwrap();
    assert_eq!((record.attempt_count, record.current_run_id), (1, Some(run(1))));
    let tried = "SELECT last_value::text FROM refusals";
    assert_eq!(database.connect().await.texts(tried).await, [Some("6".to_owned())]);
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_write_silently_dropped_by_the_database_is_an_error() {
    let database = Postgres::new().await;
    let state = database.state();
    state.judge(&key(), &passed(1), now()).await.unwrap();
    let swallow = "CREATE FUNCTION swallow() RETURNS trigger AS $$ BEGIN RETURN NULL; END $$ LANGUAGE plpgsql; \
        CREATE TRIGGER swallow BEFORE INSERT OR UPDATE ON partition_state \
        FOR EACH ROW EXECUTE FUNCTION swallow()";
    database.execute(swallow).await;
    for key in [key(), customer("1")] {
        let refused = state.judge(&key, &passed(2), now()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_state_uses_few_connections_for_many_callers() {
    let database = Postgres::new().await;
    let state: Arc<dyn PartitionState> = Arc::from(database.patient_state());
    state.init().await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let state = state.clone();
        tasks.spawn(async move {
            let id = format!("{}", n % 5);
            state.change(&customer(&id), &Change::Backfill, now()).await.unwrap().is_some()
        });
    }
    let made = tasks.join_all().await;
    assert_eq!(made.into_iter().filter(|made| *made).count(), 5);
    let open = "SELECT count(*)::text FROM pg_stat_activity \
        WHERE application_name = 'rawsink' AND datname = current_database()";
    let open = database.connect().await.texts(open).await;
    let open: u32 = open[0].as_deref().unwrap().parse().unwrap();
    assert!((1..=4).contains(&open), "{open} connections are open");
}
