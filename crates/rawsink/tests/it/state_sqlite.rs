//! Behaviour of a state in an SQLite file only: files, bytes, modes, logs.

use std::{
    fs,
    sync::{Arc, Barrier},
    time::Duration,
};

use jiff::Timestamp;
use rawsink::{
    ErrorKind, PartitionKey, RawSink,
    state::{Filter, Outcome, PartitionState, SqliteState, Status, Verdict},
    validate::{self, Rules},
};
use tempfile::TempDir;

use crate::state_suite::paged;
use rawsink_testkit::{
    backend::{Backend, Directory, Memory, entries},
    databases::{Database, Sqlite, WITHOUT_A_KEY},
    log::Log,
    sample::{customer, key, path, read, rows, run, seal},
    states::StateBackend,
};

/// Returns a database of other software with one record.
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
    Verdict::new(run(n), outcome)
}

#[tokio::test]
async fn reading_creates_no_file_or_directory() {
    let folder = TempDir::new().unwrap();
    let state = SqliteState::new(folder.path().join("not/there/state.db"));
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert!(state.list(&Filter::default()).await.unwrap().is_empty());
    assert_eq!(entries(folder.path()), Some(Vec::new()));
}

#[tokio::test]
async fn reading_changes_no_byte_and_adds_no_file() {
    let database = foreign().await;
    let before = fs::read(database.path()).unwrap();
    database.state().get(&customer("0")).await.unwrap().unwrap();
    assert_eq!(database.state().list(&Filter::default()).await.unwrap().len(), 1);
    database.state().init().await.unwrap();
    assert_eq!(fs::read(database.path()).unwrap(), before);
    assert_eq!(entries(database.folder.path()).unwrap(), ["state.db"]);
}

#[tokio::test]
async fn a_verdict_creates_the_parent_directories() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made/below/state.db");
    let made = SqliteState::new(&path).judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(SqliteState::new(&path).get(&key()).await.unwrap(), Some(made));
}

/// Columns of any type, a key of the wrong type, and keys without a value.
const ANY_TYPE: &str = "CREATE TABLE partition_state (source, customer_id INTEGER, query_name TEXT COLLATE NOCASE, \
    logical_date DATE, status, current_run_id, schema_version, record_count, updated_at, error_message, \
    attempt_count)";

#[tokio::test]
async fn pages_are_sorted_by_the_text_of_keys_of_any_type() {
    let database = Sqlite::new();
    database.execute(ANY_TYPE).await;
    for key in [
        "'ads', 9, 'q', '2024-06-01'",
        "'ads', 10, 'Q', '2024-06-01'",
        "'ads', 10, 'q', '2024-06-01'",
        "'ads', 10, 'P', '2024-06-01'",
        "'ads', x'3131', 'q', '2024-06-01'",
        "NULL, 1, 'q', '2024-06-01'",
        "'ads', NULL, 'q', '2024-06-01'",
        "'ads', 12, 'q', 20240601",
    ] {
        let insert = format!(
            "INSERT INTO partition_state VALUES ({key}, 'success', 'r1', 'v1', 1, NULL, NULL, 1)"
        );
        database.execute(&insert).await;
    }
    let key = |id: &str, query: &str| PartitionKey::new("ads", id, query, "2024-06-01").unwrap();
    let expected = [key("10", "P"), key("10", "Q"), key("10", "q"), key("11", "q"), key("9", "q")];
    for limit in [1, 2, 100] {
        let (entries, faults) = paged(&*database.state(), &Filter::default(), limit).await;
        let keys: Vec<_> = entries.into_iter().map(|entry| entry.key).collect();
        assert_eq!((keys, faults.len()), (expected.to_vec(), 3), "{limit}: {faults:?}");
    }
}

#[tokio::test]
async fn a_key_of_another_type_that_appears_between_pages_does_not_prevent_the_end() {
    let database = Sqlite::new();
    database.execute(WITHOUT_A_KEY).await;
    let add = |id: &str| {
        format!(
            "INSERT INTO partition_state VALUES ('ads', {id}, 'q', '2024-06-01', 'success', 'r1', \
            'v1', 1, NULL, NULL, 1)"
        )
    };
    for id in ["'1'", "'2'"] {
        database.execute(&add(id)).await;
    }
    let one = std::num::NonZeroUsize::MIN;
    let mut page = database.state().list_page(&Filter::default(), None, one).await.unwrap();
    for id in ["x'30'", "x'39'", "'3'"] {
        database.execute(&add(id)).await;
    }
    let mut count = page.entries.len();
    while let Some(next) = page.next {
        page = database.state().list_page(&Filter::default(), Some(&next), one).await.unwrap();
        count += page.entries.len();
        assert!(count < 10, "the listing does not end");
    }
    assert_eq!(count, 3, "texts");
}

#[tokio::test]
async fn a_busy_database_is_an_error_for_a_reader() {
    let database = foreign().await;
    let mut other = database.connect().await;
    other.execute("BEGIN EXCLUSIVE").await;
    let busy = database.state().get(&customer("0")).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Unavailable, "{busy}");
}

#[tokio::test]
async fn a_long_wait_for_another_user_is_reported() {
    let database = foreign().await;
    let mut other = database.connect().await;
    other.execute("BEGIN EXCLUSIVE").await;
    let (log, state) = (Log::default(), SqliteState::new(database.path()));
    let _listening = log.listen();
    let released = async {
        let mut notes = Vec::new();
        while notes.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            notes = log.take_notes();
        }
        other.execute("ROLLBACK").await;
        notes
    };
    let wanted = customer("0");
    let released = tokio::time::timeout(Duration::from_mins(2), released);
    let (found, notes) = tokio::join!(state.get(&wanted), released);
    let expected = format!(
        "waiting for other users of the state database {} for up to 30 s: 4 s so far",
        database.path().display()
    );
    assert_eq!(notes.expect("it was reported"), [expected]);
    assert!(found.unwrap().is_some());
}

/// Returns a database after a crash during a change: half of it is in the file,
/// and the old content is in the journal.
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
async fn g14_an_interrupted_change_is_rolled_back() {
    let database = half_changed().await;
    assert_ne!(fs::read(database.path()).unwrap(), fs::read(foreign().await.path()).unwrap());
    assert_eq!(database.state().list(&Filter::default()).await.unwrap().len(), 1);
    assert_eq!(database.state().get(&customer("0")).await.unwrap().unwrap().attempt_count, 1);
    assert_eq!(entries(database.folder.path()).unwrap(), ["state.db"]);

    let judged = half_changed().await.state().judge(&customer("0"), &passed(1), now()).await;
    assert_eq!(judged.unwrap().attempt_count, 2);
}

#[tokio::test]
async fn a_database_without_permission_is_denied_and_unchanged() {
    use std::os::unix::fs::PermissionsExt;
    let database = Sqlite::new();
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    fs::set_permissions(database.path(), fs::Permissions::from_mode(0o400)).unwrap();
    let may_write = fs::OpenOptions::new().append(true).open(database.path()).is_ok();
    let failed = Verdict::new(run(1), Outcome::Failed("bad".into()));
    let judged = database.state().judge(&key(), &failed, now()).await;
    let record = database.state().get(&key()).await.unwrap().unwrap();
    if may_write {
        // Modes do not restrict the superuser.
        assert_eq!((judged.unwrap(), record.attempt_count), (record, 2));
    } else {
        assert_eq!(judged.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(record.attempt_count, 1);
    }
}

#[tokio::test]
async fn a_non_database_is_corrupt_and_a_missing_table_is_not() {
    let database = Sqlite::new();
    fs::write(database.path(), "this is not a database, but long enough to be read".repeat(40))
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
async fn numbers_stay_numbers_in_a_column_of_any_type() {
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
async fn a_database_in_wal_mode_is_read_and_changed() {
    let database = foreign().await;
    let mut writer = database.connect().await;
    writer.execute("PRAGMA journal_mode = WAL").await;
    writer.execute("UPDATE partition_state SET attempt_count = 8").await;
    // While the writer is open, the change is only in the log.
    assert_eq!(database.state().get(&customer("0")).await.unwrap().unwrap().attempt_count, 8);
    let judged = database.state().judge(&customer("0"), &passed(1), now()).await.unwrap();
    assert_eq!(judged.attempt_count, 9);
}

#[tokio::test]
async fn a_state_error_names_the_validated_run() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let file = folder.path().join("state.db");
    let (sink, state) = (RawSink::new(backend.store()), SqliteState::new(&file));
    seal(&sink, &key(), &run(1), &rows("a", 3)).await.unwrap();
    read(&sink, &key(), &run(1)).await.unwrap();
    assert!(!file.exists(), "sealing or reading created the state");
    fs::write(&file, "no database".repeat(200)).unwrap();
    let judged = validate::run(&sink, &state, &key(), &run(1), Rules::default()).await;
    let error = judged.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.place(), Some(path(&key(), &run(1)).as_str()));
    assert!(error.path().unwrap().ends_with("state.db"));
    let verdict = Verdict::new(run(1), Outcome::Failed("x".into()));
    let now = "2024-06-04T00:00:00Z".parse().unwrap();
    assert!(state.judge(&key(), &verdict, now).await.is_err());
}

/// Runs a future on its own thread and runtime, as another process would.
fn on_thread<F: Future<Output = ()>>(
    make: impl FnOnce() -> F + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make());
    })
}

#[tokio::test]
async fn g14_concurrent_validators_lose_no_update() {
    const THREADS: u16 = 4;
    const TIMES: u16 = 8;
    let (backend, folder) = (Directory::default(), TempDir::new().unwrap());
    let sink = RawSink::new(backend.store());
    for n in 0..THREADS {
        seal(&sink, &key(), &run(n), &rows("a", usize::from(n) + 1)).await.unwrap();
    }
    // The first verdict creates file and table, and all threads try to be first.
    let path = folder.path().join("state/store.db");
    let start = Arc::new(Barrier::new(usize::from(THREADS)));
    let threads = (0..THREADS).map(|n| {
        let (sink, path, start) = (RawSink::new(backend.store()), path.clone(), start.clone());
        on_thread(move || async move {
            let state = SqliteState::new(path);
            start.wait();
            for time in 0..TIMES {
                let judged = validate::run(&sink, &state, &key(), &run(n), Rules::default()).await;
                assert!(judged.unwrap().passed());
                let other = Verdict::new(run(n), Outcome::Failed("no".into()));
                let other_key = customer(&format!("{}", time % 3));
                state
                    .judge(&other_key, &other, "2024-06-03T00:00:00Z".parse().unwrap())
                    .await
                    .unwrap();
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let state = SqliteState::new(path);
    let record = state.get(&key()).await.unwrap().unwrap();
    assert_eq!(record.attempt_count, u64::from(THREADS * TIMES));
    // G13: in any order, the newest run that passed has authority.
    assert_eq!((record.status, record.current_run_id), (Status::Success, Some(run(THREADS - 1))));
    assert_eq!(record.record_count, Some(u64::from(THREADS)));
    let mut others = 0;
    for id in ["0", "1", "2"] {
        others += state.get(&customer(id)).await.unwrap().unwrap().attempt_count;
    }
    assert_eq!(others, u64::from(THREADS * TIMES));
}

/// Neither a pipe that nobody feeds nor a view that never ends makes a command wait for ever.
#[tokio::test]
async fn only_an_ordinary_table_in_a_regular_file_is_a_state() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let journal = folder.path().join("state.db");
    let pipe_of = |name: &str| {
        let path = folder.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    pipe_of("state.db-journal");
    let view = Sqlite::new();
    let endless = "CREATE VIEW partition_state AS WITH RECURSIVE endless(n) AS \
        (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT n AS source FROM endless";
    view.execute(endless).await;
    for (state, said) in [
        (SqliteState::new(&pipe), "not a regular file"),
        (SqliteState::new(folder.path()), "not a regular file"),
        (SqliteState::new(&journal), "not a regular file"),
        (SqliteState::new(view.path()), "partition_state is not an ordinary table"),
    ] {
        let read = state.get(&key()).await.unwrap_err();
        let listed = state.list(&Filter::default()).await.unwrap_err();
        let recorded = state.judge(&key(), &passed(1), now()).await.unwrap_err();
        for error in [read, listed, recorded] {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.message().contains(said), "{error}");
        }
    }
}

#[tokio::test]
async fn endless_text_of_other_software_is_not_loaded() {
    let database = foreign().await;
    database
        .execute("UPDATE partition_state SET error_message = printf('%.*c', 1048576, 'x')")
        .await;
    let kept = database.state().get(&customer("0")).await.unwrap().unwrap();
    assert_eq!(kept.error_message.unwrap().len(), 1 << 20);
    database
        .execute("UPDATE partition_state SET error_message = printf('%.*c', 1048577, 'x')")
        .await;
    let cut = database.state().get(&customer("0")).await.unwrap().unwrap();
    assert_eq!(cut.error_message.unwrap(), "(longer than 1 MiB)");
}

/// Returns the error of each way to open a state.
async fn refusals(state: &SqliteState) -> Vec<rawsink::Error> {
    vec![
        state.init().await.unwrap_err(),
        state.get(&key()).await.unwrap_err(),
        state.list(&Filter::default()).await.unwrap_err(),
        state.histories(&[key()]).await.unwrap_err(),
        state.judge(&key(), &passed(1), now()).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_trigger_on_a_table_of_the_state_is_refused_by_name() {
    let forge = "AFTER INSERT ON \"Partition_State\" BEGIN UPDATE partition_state SET status = 'success'; END";
    let hide = "BEFORE INSERT ON run_verdict BEGIN SELECT RAISE(IGNORE); END";
    for (name, rest, table) in
        [("forge", forge, "Partition_State"), ("hide it\n\u{1b}", hide, "run_verdict")]
    {
        let database = Sqlite::new();
        database.state().judge(&key(), &passed(1), now()).await.unwrap();
        database.execute(&format!("CREATE TRIGGER \"{name}\" {rest}")).await;
        let before = fs::read(database.path()).unwrap();
        for error in refusals(&SqliteState::new(database.path())).await {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            let named = format!("{table} has the trigger {name:?}, which could change what is");
            assert!(error.message().contains(&named), "{error}");
            assert!(error.message().contains("drop it, or keep the state in another database"));
        }
        assert_eq!(fs::read(database.path()).unwrap(), before);
        database.execute(&format!("DROP TRIGGER \"{name}\"")).await;
        assert_eq!(database.state().get(&key()).await.unwrap().unwrap().attempt_count, 1);
    }
}

#[tokio::test]
async fn a_trigger_on_another_table_is_no_concern() {
    let database = foreign().await;
    let other = "CREATE TABLE other (x); CREATE TRIGGER touch AFTER INSERT ON other \
        BEGIN DELETE FROM other; END";
    database.execute(other).await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(database.state().get(&key()).await.unwrap().unwrap().attempt_count, 1);
}

/// A verdict that a constraint ignores would be reported as recorded; one that replaces another record
/// would take its authority.
#[tokio::test]
async fn a_constraint_neither_ignores_nor_replaces_a_record() {
    for action in ["IGNORE", "REPLACE"] {
        let database = Sqlite::new();
        let narrow = WITHOUT_A_KEY
            .replace("source VARCHAR(64)", &format!("source TEXT UNIQUE ON CONFLICT {action}"));
        database.execute(&narrow).await;
        database.state().judge(&customer("1"), &passed(1), now()).await.unwrap();
        let second = database.state().judge(&customer("2"), &passed(1), now()).await.unwrap_err();
        assert_eq!(second.kind(), ErrorKind::Invalid, "{second}");
        assert!(database.state().get(&customer("1")).await.unwrap().is_some(), "{action}");
        assert_eq!(database.state().get(&customer("2")).await.unwrap(), None, "{action}");
    }
}

/// The umask of a process cannot change in a test, so a shell sets it for the program in its own tests.
#[tokio::test]
async fn a_new_database_is_not_for_all_users_and_an_existing_one_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/dir/state.db");
    let state = SqliteState::new(&path);
    state.judge(&key(), &passed(1), now()).await.unwrap();
    for (path, most) in [
        (path.as_path(), 0o640),
        (&folder.path().join("new"), 0o750),
        (&folder.path().join("new/dir"), 0o750),
    ] {
        assert_eq!((mode(path) & !most, mode(path) & 0o600), (0, 0o600), "{}", path.display());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    state.judge(&key(), &passed(2), now()).await.unwrap();
    assert_eq!(mode(&path), 0o664);

    let database = Sqlite::new();
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    let mut writer = database.connect().await;
    writer.execute("PRAGMA journal_mode = WAL").await;
    writer.execute("UPDATE partition_state SET attempt_count = 8").await;
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let found = mode(&database.folder.path().join(name));
        assert_eq!((found & !0o640, found & 0o600), (0, 0o600), "{name}: {found:o}");
    }
}

#[tokio::test]
async fn a_link_to_a_file_that_does_not_exist_yet_is_followed() {
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("state.db");
    std::os::unix::fs::symlink("elsewhere.db", &link).unwrap();
    SqliteState::new(&link).judge(&key(), &passed(1), now()).await.unwrap();
    assert!(folder.path().join("elsewhere.db").is_file());
}
