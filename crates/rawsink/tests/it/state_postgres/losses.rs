//! Servers that are missing, silent, or lost in the middle.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    sync::Arc,
    time::Duration,
};

use rawsink::{
    ErrorKind,
    state::{PartitionState, PostgresConfig, PostgresState},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{now, passed};
use rawsink_testkit::{
    databases::{Database, Postgres, changed},
    sample::{customer, eventually, key},
    states::StateBackend,
};

/// Returns a server's socket and settings for it: no network is needed.
pub(super) fn socket() -> (TempDir, UnixListener, PostgresConfig) {
    let dir = TempDir::new().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    let host = dir.path().to_str().unwrap();
    let url = format!("postgres://somebody@localhost/state?host={host}");
    let settings = PostgresConfig::from_url(&url).unwrap();
    (dir, listener, settings)
}

#[tokio::test]
async fn a_missing_server_is_unavailable_at_once() {
    let (dir, listener, settings) = socket();
    drop(listener);
    let state = PostgresState::new(&settings);
    let refused = state.get(&key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let place = format!("postgres://somebody@{}:5432/state?sslmode=prefer", dir.path().display());
    let says = format!("the state database cannot be reached: connection refused ({place})");
    assert_eq!(refused.to_string(), says);
    drop(dir);
    assert_eq!(state.get(&key()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_unavailable_after_a_timeout() {
    // The listener never accepts; time passes whenever all tasks are idle.
    let (_dir, _listener, settings) = socket();
    let state = PostgresState::new(&settings).busy_timeout(Duration::from_secs(7));
    let before = tokio::time::Instant::now();
    let gone = state.get(&key()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Unavailable, "{gone}");
    assert!(before.elapsed() >= Duration::from_secs(7));
}

#[tokio::test]
async fn a_server_of_another_protocol_is_unsupported() {
    let (_dir, listener, settings) = socket();
    let other = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // A reply without a request.
        client.write_all(b"1\0\0\0\x04").unwrap();
        // Until the client disconnects, so that it can read.
        client.read_to_end(&mut Vec::new()).unwrap();
    });
    let refused = PostgresState::new(&settings).get(&key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    other.join().unwrap();
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn connections_closed_by_the_server_are_replaced() {
    let database = Postgres::new().await;
    let state = database.state();
    state.judge(&key(), &passed(1), now()).await.unwrap();
    let hang_up = "SELECT pg_terminate_backend(pid, 5000)::text FROM pg_stat_activity \
        WHERE application_name = 'rawsink' AND datname = current_database()";
    let ended = database.connect().await.texts(hang_up).await;
    assert_eq!(ended, [Some("true".to_owned())]);
    assert_eq!(state.judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 2);
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_locked_record_is_unavailable_and_the_others_are_not() {
    let database = Postgres::new().await;
    let state = database.state();
    state.judge(&customer("1"), &passed(1), now()).await.unwrap();
    state.judge(&customer("2"), &passed(1), now()).await.unwrap();
    let mut holder = database.connect().await;
    holder.execute("BEGIN; SELECT 1 FROM partition_state WHERE customer_id = '1' FOR UPDATE").await;
    let busy = state.judge(&customer("1"), &passed(1), now()).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Unavailable, "{busy}");
    assert!(busy.message().contains("lock timeout"), "{busy}");
    assert_eq!(state.get(&customer("1")).await.unwrap().unwrap().attempt_count, 1);
    assert_eq!(state.judge(&customer("2"), &passed(1), now()).await.unwrap().attempt_count, 2);
    holder.execute("ROLLBACK").await;
    assert_eq!(state.judge(&customer("1"), &passed(1), now()).await.unwrap().attempt_count, 2);
}

/// How a proxy treats the commit message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    /// It arrives; its reply does not.
    Arrives,
    /// It arrives; a pooler that has lost the server replies.
    IsDoubted,
    /// It does not arrive.
    IsLost,
    /// It does not arrive, and the server does not notice that the client is gone.
    Stalls,
}

/// `PgBouncer`'s reply for a crashed server: an error response.
const LOST_SERVER: &[u8] = b"E\0\0\0\x30SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";

/// Forwards bytes between client and server until the client commits, then disconnects.
async fn proxy(server: PostgresConfig, commit: Commit) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect((server.host, server.port)).await.unwrap();
        let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                count = client.read(&mut asked) => {
                    let asked = &asked[..count.unwrap()];
                    let is_commit = asked.windows(7).any(|word| word == b"COMMIT\0");
                    match commit {
                        Commit::IsLost if is_commit => return,
                        Commit::Stalls if is_commit => std::future::pending().await,
                        _ => {}
                    }
                    server.write_all(asked).await.unwrap();
                    if is_commit {
                        // The server has replied, and nobody receives it.
                        assert!(server.read(&mut answered).await.unwrap() > 0);
                        if commit == Commit::IsDoubted {
                            client.write_all(LOST_SERVER).await.unwrap();
                        }
                        return;
                    }
                }
                count = server.read(&mut answered) => {
                    client.write_all(&answered[..count.unwrap()]).await.unwrap();
                }
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_change_with_an_unanswered_commit_is_unknown() {
    let database = Postgres::new().await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    for (commit, attempts) in [(Commit::Arrives, 2), (Commit::IsLost, 2), (Commit::IsDoubted, 3)] {
        let port = proxy(database.settings(), commit).await;
        let settings = changed(database.settings(), |config| {
            config.host = "127.0.0.1".into();
            config.port = port;
        });
        let lost = PostgresState::new(&settings).judge(&key(), &passed(1), now()).await;
        let lost = lost.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Unknown, "{lost}");
        assert!(lost.message().starts_with("the change may have been recorded"), "{lost}");
        // The next caller waits until the server has noticed.
        let record = database.state().get(&key()).await.unwrap().unwrap();
        assert_eq!(record.attempt_count, attempts, "{commit:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_host_that_hangs_does_not_block_the_others_forever() {
    let database = Postgres::new().await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    let port = proxy(database.settings(), Commit::Stalls).await;
    let settings = changed(database.settings(), |config| {
        config.host = "127.0.0.1".into();
        config.port = port;
    });
    let state = PostgresState::new(&settings);
    let state = state.busy_timeout(Duration::from_millis(500));
    let standing = tokio::spawn(async move { state.judge(&key(), &passed(1), now()).await });
    let other = PostgresState::new(&database.settings()).busy_timeout(Duration::from_secs(20));
    let holds = "SELECT 'it holds'::text FROM pg_stat_activity \
        WHERE state = 'idle in transaction' AND datname = current_database()";
    let mut watch = database.connect().await;
    eventually(async || !watch.texts(holds).await.is_empty()).await;
    assert_eq!(other.judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 2);
    standing.abort();
}

/// Forwards bytes to the server; connections from before a failover are dead afterwards, and
/// neither side is notified.
async fn failing_over(server: PostgresConfig) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (failover, failed_over) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect((&*server.host, server.port)).await.unwrap();
            let is_new = *failed_over.borrow();
            let mut failed_over = failed_over.clone();
            tokio::spawn(async move {
                let over = async { drop(failed_over.wait_for(|over| *over && !is_new).await) };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => return,
                    () = over => {}
                }
                // Neither side is notified that the other is gone.
                std::future::pending::<()>().await;
            });
        }
    });
    (port, failover)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn dead_connections_after_a_failover_are_replaced_together() {
    let database = Postgres::new().await;
    let (port, failover) = failing_over(database.settings()).await;
    let settings = changed(database.settings(), |config| {
        config.host = "127.0.0.1".into();
        config.port = port;
    });
    let state = Arc::new(PostgresState::new(&settings));
    let mut at_once = JoinSet::new();
    for id in 0..8 {
        let (state, key) = (state.clone(), customer(&id.to_string()));
        at_once.spawn(async move { state.judge(&key, &passed(1), now()).await.unwrap() });
    }
    at_once.join_all().await;
    failover.send(true).unwrap();
    let found = timeout(Duration::from_secs(20), state.get(&customer("1"))).await;
    assert!(found.expect("less than waiting for each of them").unwrap().is_some());
}
