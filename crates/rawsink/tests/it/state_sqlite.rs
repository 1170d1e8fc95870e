//! What is true of a state in an SQLite file alone: files, bytes, modes, logs.

use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
};

use jiff::Timestamp;
use rawsink::{
    ErrorKind,
    state::{Filter, Outcome, PartitionState, SqliteState, Table, Verdict},
};
use tempfile::TempDir;

use crate::{
    backend::entries,
    databases::{Database, Sqlite, WITHOUT_A_KEY},
    sample::{customer, key, run},
};

/// A database of other software with one record.
async fn foreign() -> Sqlite {
    let database = Sqlite::new();
    database.execute(WITHOUT_A_KEY).await;
    let insert = "INSERT INTO partition_state VALUES ('google_ads', '0', 'campaign', '2024-06-01', \
        'success', 'r1', 'v1', 1, NULL, NULL, 1)";
    database.execute(insert).await;
    database
}

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn passed(n: u16) -> Verdict {
    let outcome = Outcome::Passed { schema_version: Some("v1".into()), record_count: 3 };
    Verdict { run_id: run(n), outcome }
}

#[tokio::test]
async fn reading_makes_no_file_and_no_directory() {
    let folder = TempDir::new().unwrap();
    let state = SqliteState::new(folder.path().join("not/there/state.db"));
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert!(state.list(&Filter::default()).await.unwrap().is_empty());
    assert_eq!(entries(folder.path()), Some(Vec::new()));
}

#[tokio::test]
async fn reading_changes_no_byte_and_leaves_no_file_beside_the_database() {
    let database = foreign().await;
    let before = fs::read(database.path()).unwrap();
    database.state().get(&customer("0")).await.unwrap().unwrap();
    assert_eq!(database.state().list(&Filter::default()).await.unwrap().len(), 1);
    database.state().init().await.unwrap();
    assert_eq!(fs::read(database.path()).unwrap(), before);
    assert_eq!(entries(database.folder.path()).unwrap(), ["state.db"]);
}

#[tokio::test]
async fn a_verdict_makes_the_directories_above_the_database() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made/below/state.db");
    let made = SqliteState::new(&path).judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(SqliteState::new(&path).get(&key()).await.unwrap(), Some(made));
}

/// As `doctor` does, which takes away again what it made.
#[tokio::test]
async fn a_directory_that_another_makes_and_takes_away_meanwhile_is_made_again() {
    for round in 0..20 {
        let folder = TempDir::new().unwrap();
        let (outer, inner) = (folder.path().join("made"), folder.path().join("made/below"));
        let state = SqliteState::new(inner.join("state.db"));
        let start = Arc::new(Barrier::new(2));
        let started = Arc::clone(&start);
        let other = thread::spawn(move || {
            started.wait();
            // Fewer removals than the state has patience for.
            for _ in 0..40 {
                // Refused where the state was quicker.
                let _ = fs::create_dir_all(&inner);
                let _ = fs::remove_dir(&inner).and_then(|()| fs::remove_dir(&outer));
            }
        });
        start.wait();
        let made = state.init().await;
        other.join().unwrap();
        assert_eq!(made.unwrap(), Table::Made, "round {round}");
    }
}

#[tokio::test]
async fn a_reader_is_told_that_the_database_is_busy() {
    let database = foreign().await;
    let mut other = database.connect().await;
    other.execute("BEGIN EXCLUSIVE").await;
    let busy = database.state().get(&customer("0")).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Unavailable, "{busy}");
}

/// A database as a process leaves it that dies in the middle of a change: half of it is in the file,
/// and what was there before is in the journal.
async fn half_changed() -> Sqlite {
    let (alive, dead) = (foreign().await, Sqlite::new());
    let mut writer = alive.connect().await;
    writer.execute("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE").await;
    writer.execute("UPDATE partition_state SET attempt_count = 8").await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
        INSERT INTO partition_state SELECT 'google_ads', 'c' || i, 'campaign', '2024-06-01', \
        'success', 'r1', 'v1', 1, NULL, NULL, 1 FROM n";
    writer.execute(many).await;
    for name in ["state.db", "state.db-journal"] {
        fs::copy(alive.folder.path().join(name), dead.folder.path().join(name)).unwrap();
    }
    dead
}

#[tokio::test]
async fn g14_a_change_that_its_process_did_not_live_to_end_never_was() {
    let database = half_changed().await;
    assert_ne!(fs::read(database.path()).unwrap(), fs::read(foreign().await.path()).unwrap());
    assert_eq!(database.state().list(&Filter::default()).await.unwrap().len(), 1);
    assert_eq!(database.state().get(&customer("0")).await.unwrap().unwrap().attempt_count, 1);
    assert_eq!(entries(database.folder.path()).unwrap(), ["state.db"]);

    let judged = half_changed().await.state().judge(&customer("0"), &passed(1), now()).await;
    assert_eq!(judged.unwrap().attempt_count, 2);
}

#[tokio::test]
async fn a_database_closed_to_this_user_is_denied_and_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let database = Sqlite::new();
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    fs::set_permissions(database.path(), fs::Permissions::from_mode(0o400)).unwrap();
    let may_write = fs::OpenOptions::new().append(true).open(database.path()).is_ok();
    let failed = Verdict { run_id: run(1), outcome: Outcome::Failed("bad".into()) };
    let judged = database.state().judge(&key(), &failed, now()).await;
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
async fn what_is_no_database_is_told_from_one_without_the_table() {
    let database = Sqlite::new();
    fs::write(database.path(), "this is no database, and long enough to be looked at".repeat(40))
        .unwrap();
    assert_eq!(database.state().get(&key()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let judged = database.state().judge(&key(), &passed(1), now()).await;
    assert_eq!(judged.unwrap_err().kind(), ErrorKind::Corrupt);

    let empty = Sqlite::new();
    empty.execute("CREATE TABLE something_else (source TEXT)").await;
    assert_eq!(empty.state().get(&key()).await.unwrap(), None);
    assert_eq!(empty.state().judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 1);
}

#[tokio::test]
async fn a_column_keeps_numbers_as_numbers_whatever_it_declares() {
    let database = Sqlite::new();
    let untyped = "CREATE TABLE partition_state (source, customer_id, query_name, logical_date, status, \
        current_run_id, schema_version, record_count, updated_at, error_message, attempt_count)";
    database.execute(untyped).await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    let types = "SELECT typeof(record_count) || ' ' || typeof(attempt_count) || ' ' || typeof(status) \
        FROM partition_state";
    let stored = database.connect().await.texts(types).await;
    assert_eq!(stored, [Some("integer integer text".to_owned())]);
}

#[tokio::test]
async fn a_database_that_keeps_its_log_apart_is_read_and_judged() {
    let database = foreign().await;
    let mut writer = database.connect().await;
    writer.execute("PRAGMA journal_mode = WAL").await;
    writer.execute("UPDATE partition_state SET attempt_count = 8").await;
    // The change is in the log alone, as long as the writer is there.
    assert_eq!(database.state().get(&customer("0")).await.unwrap().unwrap().attempt_count, 8);
    let judged = database.state().judge(&customer("0"), &passed(1), now()).await.unwrap();
    assert_eq!(judged.attempt_count, 9);
}
