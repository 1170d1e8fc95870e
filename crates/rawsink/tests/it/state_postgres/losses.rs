//! Servers that are not there, do not answer, or are gone in the middle.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    sync::Arc,
    time::Duration,
};

use rawsink::{
    ErrorKind,
    config::{PostgresSettings, TlsMode},
    state::{PartitionState, PostgresState},
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
use crate::{
    databases::{Database, Postgres},
    sample::{customer, eventually, key},
};

/// A server's socket and the settings that reach it: no network is needed.
fn socket() -> (TempDir, UnixListener, PostgresSettings) {
    let dir = TempDir::new().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    let settings = PostgresSettings {
        host: dir.path().to_str().unwrap().into(),
        port: 5432,
        user: "somebody".into(),
        password: None,
        database: "state".into(),
        tls: TlsMode::Prefer,
        ca_file: None,
        client: None,
    };
    (dir, listener, settings)
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_at_once() {
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
async fn a_server_that_does_not_answer_is_unavailable_in_the_end() {
    // The listener is never asked to accept; time passes whenever nothing else happens.
    let (_dir, _listener, settings) = socket();
    let state = PostgresState::new(&settings).busy_timeout(Duration::from_secs(7));
    let before = tokio::time::Instant::now();
    let gone = state.get(&key()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Unavailable, "{gone}");
    assert!(before.elapsed() >= Duration::from_secs(7));
}

#[tokio::test]
async fn a_server_that_speaks_otherwise_is_unsupported() {
    let (_dir, listener, settings) = socket();
    let other = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // The answer to a question that nobody has asked.
        client.write_all(b"1\0\0\0\x04").unwrap();
        // Until the client has hung up, so that it can read.
        client.read_to_end(&mut Vec::new()).unwrap();
    });
    let refused = PostgresState::new(&settings).get(&key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    other.join().unwrap();
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn connections_that_the_server_has_closed_meanwhile_are_replaced() {
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
async fn a_record_that_somebody_holds_is_unavailable_and_the_others_are_not() {
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

/// What a proxy does with the message that commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    /// It arrives, and its answer does not.
    Arrives,
    /// It arrives, and what answers is a pooler that has lost the server.
    IsDoubted,
    /// It does not arrive.
    IsLost,
    /// It does not arrive, and the server is not told that the client is gone.
    Stalls,
}

/// What `PgBouncer` answers for a server that died: an error response.
const LOST_SERVER: &[u8] = b"E\0\0\0\x30SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";

/// Carries bytes between a client and the server until the client commits; then hangs up.
async fn proxy(server: PostgresSettings, commit: Commit) -> u16 {
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
                        // The server has answered, and nobody hears it.
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
async fn a_change_whose_commit_was_not_answered_is_unknown_and_may_have_happened() {
    let database = Postgres::new().await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    for (commit, attempts) in [(Commit::Arrives, 2), (Commit::IsLost, 2), (Commit::IsDoubted, 3)] {
        let port = proxy(database.settings(), commit).await;
        let settings = PostgresSettings { host: "127.0.0.1".into(), port, ..database.settings() };
        let lost = PostgresState::new(&settings).judge(&key(), &passed(1), now()).await;
        let lost = lost.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Unknown, "{lost}");
        assert!(lost.message().starts_with("the change may have been recorded"), "{lost}");
        // Whoever comes next waits until the server has noticed.
        let record = database.state().get(&key()).await.unwrap().unwrap();
        assert_eq!(record.attempt_count, attempts, "{commit:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_host_that_stands_still_in_the_middle_does_not_hold_up_the_others_for_ever() {
    let database = Postgres::new().await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    let port = proxy(database.settings(), Commit::Stalls).await;
    let settings = PostgresSettings { host: "127.0.0.1".into(), port, ..database.settings() };
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

/// Carries bytes to the server; connections from before a failover lead nowhere afterwards, and
/// nobody is told.
async fn failing_over(server: PostgresSettings) -> (u16, watch::Sender<bool>) {
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
                // Neither side hears that the other is gone.
                std::future::pending::<()>().await;
            });
        }
    });
    (port, failover)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn connections_that_lead_nowhere_since_a_failover_are_replaced_together() {
    let database = Postgres::new().await;
    let (port, failover) = failing_over(database.settings()).await;
    let settings = PostgresSettings { host: "127.0.0.1".into(), port, ..database.settings() };
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
