//! State in databases that this software made, and in those it did not.

use std::{fs, path::PathBuf, time::Duration};

use jiff::Timestamp;
use rawsink::{
    ErrorKind, PartitionKey,
    state::{Entry, Filter, Outcome, PartitionState, SqliteState, Status, Verdict},
};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::{
    backend::entries,
    sample::{customer, key, run},
};

/// A table as other software declares it: no primary key, no constraint, types of its own.
const FOREIGN: &str = "CREATE TABLE partition_state (source VARCHAR(64), customer_id VARCHAR, \
    query_name VARCHAR, logical_date DATE, status VARCHAR, current_run_id VARCHAR, \
    schema_version VARCHAR, record_count NUMERIC, updated_at TIMESTAMP, error_message TEXT, \
    attempt_count INT)";

struct Database {
    folder: TempDir,
}

impl Database {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A database with the foreign table and these rows of SQL values behind the key's four.
    async fn foreign(rows: &[&str]) -> Self {
        let database = Self::new();
        let mut connection = database.connect().await;
        execute(&mut connection, FOREIGN).await;
        for (n, row) in rows.iter().enumerate() {
            let insert = format!(
                "INSERT INTO partition_state VALUES ('google_ads', '{n}', 'campaign', '2024-06-01', {row})"
            );
            execute(&mut connection, &insert).await;
        }
        connection.close().await.unwrap();
        database
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn state(&self) -> SqliteState {
        SqliteState::new(self.path()).busy_timeout(Duration::from_millis(50))
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path()).create_if_missing(true);
        options.connect().await.unwrap()
    }
}

async fn execute(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn passed(n: u16) -> Verdict {
    let outcome = Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 };
    Verdict { run_id: run(n), outcome }
}

fn failed(n: u16, reason: &str) -> Verdict {
    Verdict { run_id: run(n), outcome: Outcome::Failed(reason.into()) }
}

#[tokio::test]
async fn reading_makes_no_file_and_no_directory() {
    let folder = TempDir::new().unwrap();
    let state = SqliteState::new(folder.path().join("not/there/state.db"));
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert_eq!(state.list(&Filter::default()).await.unwrap(), []);
    assert_eq!(entries(folder.path()), Some(Vec::new()));
}

#[tokio::test]
async fn reading_changes_no_byte_and_leaves_no_file_beside_the_database() {
    let database = Database::foreign(&["'success', 'r1', 'v1', 1, NULL, NULL, 1"]).await;
    let before = fs::read(database.path()).unwrap();
    database.state().get(&customer("0")).await.unwrap().unwrap();
    assert_eq!(database.state().list(&Filter::default()).await.unwrap().len(), 1);
    assert_eq!(fs::read(database.path()).unwrap(), before);
    assert_eq!(entries(database.folder.path()).unwrap(), ["state.db"]);
}

#[tokio::test]
async fn a_verdict_makes_the_database_with_the_contracts_columns() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made/below/state.db");
    let made = SqliteState::new(&path).judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(SqliteState::new(&path).get(&key()).await.unwrap(), Some(made.clone()));
    assert_eq!(
        (made.status, made.current_run_id, made.attempt_count),
        (Status::Success, Some(run(1)), 1)
    );
    assert_eq!((made.updated_at, made.record_count), (Some(now()), Some(3)));
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let columns: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM pragma_table_info('partition_state')")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let columns: Vec<String> = columns.into_iter().map(|(name,)| name).collect();
    let contract = "source customer_id query_name logical_date status current_run_id \
        schema_version record_count updated_at error_message attempt_count";
    assert_eq!(columns, contract.split_whitespace().collect::<Vec<_>>());
    let two_statuses = "UPDATE partition_state SET status = 'done'";
    assert!(sqlx::query(two_statuses).execute(&mut connection).await.is_err(), "no other status");
}

#[tokio::test]
async fn time_stamps_of_other_software_are_read_and_what_is_none_is_left_out() {
    for (stored, expected) in [
        ("'2024-06-02 04:05:06.789+00:00'", Some("2024-06-02T04:05:06.789Z")),
        ("'2024-06-02 06:05:06+02:00'", Some("2024-06-02T04:05:06Z")),
        ("'2024-06-02T04:05:06.789Z'", Some("2024-06-02T04:05:06.789Z")),
        ("'2024-06-02T04:05:06.789123'", Some("2024-06-02T04:05:06.789123Z")),
        ("'2024-06-02 04:05:06'", Some("2024-06-02T04:05:06Z")),
        ("'2024-06-02'", Some("2024-06-02T00:00:00Z")),
        ("'yesterday'", None),
        ("''", None),
        ("1717300000", None),
        ("NULL", None),
    ] {
        let row = format!("'success', 'r1', 'v1', 1, {stored}, NULL, 1");
        let database = Database::foreign(&[&row]).await;
        let record = database.state().get(&customer("0")).await.unwrap().unwrap();
        let expected: Option<Timestamp> = expected.map(|time| time.parse().unwrap());
        assert_eq!(record.updated_at, expected, "{stored}");
    }
}

#[tokio::test]
async fn a_table_of_other_software_is_judged_without_being_changed_in_shape() {
    let database = Database::foreign(&[
        "'success', '2024-06-01T00:00:00.000Z', 'v0', 7, '2024-06-02 04:05:06.789+00:00', NULL, NULL",
        "'failed', NULL, NULL, NULL, NULL, 'run x: old', 4",
    ])
    .await;
    let state = database.state();
    let older = state.get(&customer("0")).await.unwrap().unwrap();
    assert_eq!((older.attempt_count, older.record_count), (0, Some(7)), "no count means none");
    let judged = state.judge(&customer("0"), &passed(1), now()).await.unwrap();
    assert_eq!((judged.status, judged.attempt_count), (Status::Success, 1));
    assert_eq!(judged.current_run_id, Some(run(1)));
    let judged = state.judge(&customer("1"), &failed(1, "new"), now()).await.unwrap();
    assert_eq!((judged.status, judged.attempt_count), (Status::Failed, 5));
    assert_eq!(judged.error_message, Some(format!("run {}: new", run(1))));
    state.judge(&customer("2"), &passed(2), now()).await.unwrap();
    let all = state.list(&Filter::default()).await.unwrap();
    assert_eq!(all.len(), 3, "an update stays one record, where there is no primary key too");
    let mut connection = database.connect().await;
    let (sql,): (String,) =
        sqlx::query_as("SELECT sql FROM sqlite_master").fetch_one(&mut connection).await.unwrap();
    assert_eq!(sql, FOREIGN);
}

#[tokio::test]
async fn a_record_that_makes_no_sense_is_corrupt_and_named() {
    for (row, says) in [
        ("'done', 'r1', 'v1', 1, NULL, NULL, 1", "has status \"done\""),
        ("'SUCCESS', 'r1', 'v1', 1, NULL, NULL, 1", "has status \"SUCCESS\""),
        ("NULL, 'r1', 'v1', 1, NULL, NULL, 1", "has no status"),
        ("'success', '../r1', 'v1', 1, NULL, NULL, 1", "has current_run_id \"../r1\""),
        ("'success', 'r1', 'v1', -1, NULL, NULL, 1", "has record_count \"-1\""),
        ("'success', 'r1', 'v1', 'many', NULL, NULL, 1", "has record_count \"many\""),
        ("'success', 'r1', 'v1', 1, NULL, NULL, -2", "has attempt_count \"-2\""),
    ] {
        let database = Database::foreign(&[row]).await;
        for error in [
            database.state().get(&customer("0")).await.unwrap_err(),
            database.state().list(&Filter::default()).await.unwrap_err(),
            database.state().judge(&customer("0"), &passed(1), now()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.message().contains(says), "{error}");
            assert!(error.message().contains("(google_ads, 0, campaign, 2024-06-01)"), "{error}");
        }
        // The bad record hides no good one.
        assert_eq!(database.state().get(&customer("1")).await.unwrap(), None);
    }
}

fn ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.customer_id()).collect()
}

#[tokio::test]
async fn a_list_is_sorted_and_filtered_by_every_column_of_the_filter() {
    let database = Database::new();
    let state = database.state();
    let key = |source: &str, id: &str, query: &str, date: &str| {
        PartitionKey::new(source, id, query, date).unwrap()
    };
    for (key, verdict) in [
        (key("google_ads", "3", "campaign", "2024-06-01"), passed(1)),
        (key("google_ads", "1", "campaign", "2024-06-02"), failed(1, "bad")),
        (key("bing", "2", "campaign", "2024-06-01"), passed(1)),
        (key("google_ads", "1-2", "keyword' OR 1=1 --", "2024-06-01"), failed(1, "bad")),
        (key("google_ads", "\u{e9}", "campaign", "2024-06-01"), passed(1)),
    ] {
        state.judge(&key, &verdict, now()).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let none = Filter::default();
    for (filter, expected) in [
        (none.clone(), &["2", "1", "1-2", "3", "\u{e9}"][..]),
        (Filter { source: some("bing"), ..none.clone() }, &["2"]),
        (Filter { customer_id: some("1"), ..none.clone() }, &["1"]),
        (Filter { query_name: some("keyword' OR 1=1 --"), ..none.clone() }, &["1-2"]),
        (Filter { logical_date: some("2024-06-02"), ..none.clone() }, &["1"]),
        (Filter { status: Some(Status::Success), ..none.clone() }, &["2", "3", "\u{e9}"]),
        (Filter { status: Some(Status::Pending), ..none.clone() }, &[]),
        (
            Filter { source: some("google_ads"), status: Some(Status::Failed), ..none.clone() },
            &["1", "1-2"],
        ),
    ] {
        assert_eq!(ids(&state.list(&filter).await.unwrap()), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_busy_database_is_unavailable_and_nothing_is_recorded() {
    let database = Database::new();
    let state = database.state();
    state.judge(&key(), &passed(1), now()).await.unwrap();
    let mut other = database.connect().await;
    execute(&mut other, "BEGIN EXCLUSIVE").await;
    let busy = state.judge(&key(), &failed(1, "bad"), now()).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Unavailable, "{busy}");
    assert_eq!(state.get(&key()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    execute(&mut other, "ROLLBACK").await;
    assert_eq!(state.get(&key()).await.unwrap().unwrap().attempt_count, 1);
    assert_eq!(state.judge(&key(), &passed(2), now()).await.unwrap().attempt_count, 2);
}

#[tokio::test]
async fn a_database_closed_to_this_user_is_denied_and_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let database = Database::new();
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    fs::set_permissions(database.path(), fs::Permissions::from_mode(0o400)).unwrap();
    let may_write = fs::OpenOptions::new().append(true).open(database.path()).is_ok();
    let judged = database.state().judge(&key(), &failed(1, "bad"), now()).await;
    let record = database.state().get(&key()).await.unwrap().unwrap();
    if may_write {
        // The superuser is stopped by no mode.
        assert_eq!((judged.unwrap(), record.attempt_count), (record, 2));
    } else {
        assert_eq!(judged.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(record.attempt_count, 1);
    }
}

#[tokio::test]
async fn what_is_no_database_or_another_table_is_told_apart() {
    let database = Database::new();
    fs::write(database.path(), "this is no database, and long enough to be looked at".repeat(40))
        .unwrap();
    assert_eq!(database.state().get(&key()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let judged = database.state().judge(&key(), &passed(1), now()).await;
    assert_eq!(judged.unwrap_err().kind(), ErrorKind::Corrupt);

    let other = Database::new();
    execute(&mut other.connect().await, "CREATE TABLE partition_state (source TEXT)").await;
    assert_eq!(other.state().get(&key()).await.unwrap_err().kind(), ErrorKind::Invalid);

    let empty = Database::new();
    execute(&mut empty.connect().await, "CREATE TABLE something_else (source TEXT)").await;
    assert_eq!(empty.state().get(&key()).await.unwrap(), None);
    assert_eq!(empty.state().judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 1);
}

#[tokio::test]
async fn a_database_that_keeps_its_log_apart_is_read_and_judged() {
    let database = Database::foreign(&["'success', 'r1', 'v1', 1, NULL, NULL, 1"]).await;
    let mut writer = database.connect().await;
    execute(&mut writer, "PRAGMA journal_mode = WAL").await;
    execute(&mut writer, "UPDATE partition_state SET attempt_count = 8").await;
    // The change is in the log alone, as long as the writer is there.
    assert_eq!(database.state().get(&customer("0")).await.unwrap().unwrap().attempt_count, 8);
    let judged = database.state().judge(&customer("0"), &passed(1), now()).await.unwrap();
    assert_eq!(judged.attempt_count, 9);
}
