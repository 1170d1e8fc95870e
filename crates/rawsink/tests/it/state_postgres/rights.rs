//! Passwords, roles and certificates.

use std::fs;

use rawsink::{
    ErrorKind,
    secret::Secret,
    state::{PartitionState, PostgresState, TlsMode},
};

use super::{now, passed};
use crate::state_suite::log::check_without_log;
use rawsink_testkit::{
    databases::{Database, Postgres, certificates, changed, server},
    sample::key,
    states::StateBackend,
};

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn g17_a_wrong_password_is_denied_and_not_shown() {
    let database = Postgres::new().await;
    let password = Some(Secret::value("canary-password"));
    let settings = changed(database.settings(), |config| {
        config.password = password;
    });
    let state = PostgresState::new(&settings);
    let denied = state.get(&key()).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
    assert!(denied.to_string().contains("password authentication failed"), "{denied}");
    let source = std::error::Error::source(&denied).map(|cause| format!("{cause} {cause:?}"));
    let all = format!("{denied} {denied:?} {source:?} {state:?} {settings:?} {settings}");
    assert!(!all.contains("canary"), "{all}");
    // No variable of the environment helps.
    let none = changed(database.settings(), |config| {
        config.password = None;
    });
    assert_eq!(PostgresState::new(&none).get(&key()).await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_password_in_a_file_is_read_at_each_connection() {
    let (database, folder) = (Postgres::new().await, tempfile::tempdir().unwrap());
    let (path, nobody) = (folder.path().join("password"), database.without_permissions().await);
    let password = Some(Secret::file(&path));
    let state = PostgresState::new(&changed(nobody.clone(), |config| {
        config.password = password;
    }));
    assert_eq!(state.get(&key()).await.unwrap_err().kind(), ErrorKind::Invalid, "no file");
    fs::write(&path, "first\n").unwrap();
    assert_eq!(state.get(&key()).await.unwrap(), None);
    let user = &nobody.user;
    database.execute(&format!("ALTER ROLE {user} PASSWORD 'second'")).await;
    assert_eq!(state.get(&key()).await.unwrap(), None, "an open connection stays");
    hang_up(&database, user).await;
    assert_eq!(state.get(&key()).await.unwrap_err().kind(), ErrorKind::Denied);
    fs::write(&path, "second\n").unwrap();
    assert_eq!(state.get(&key()).await.unwrap(), None);
}

/// Ends every connection of a role.
async fn hang_up(database: &Postgres, user: &str) {
    let ended = format!(
        "SELECT pg_terminate_backend(pid, 5000)::text FROM pg_stat_activity WHERE usename = '{user}'"
    );
    assert_eq!(database.connect().await.texts(&ended).await, [Some("true".to_owned())]);
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn each_missing_privilege_is_denied() {
    let database = Postgres::new().await;
    let nobody = database.without_permissions().await;
    let (state, user) = (PostgresState::new(&nobody), &nobody.user);
    database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    assert_eq!(state.get(&key()).await.unwrap(), None);
    let denied = state.judge(&key(), &passed(1), now()).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
    assert!(denied.message().contains("schema public"), "{denied}");

    database.state().init().await.unwrap();
    assert_eq!(state.get(&key()).await.unwrap_err().kind(), ErrorKind::Denied);
    database.execute(&format!("GRANT SELECT ON partition_state TO {user}")).await;
    assert_eq!(state.get(&key()).await.unwrap(), None);
    assert_eq!(state.judge(&key(), &passed(1), now()).await.unwrap_err().kind(), ErrorKind::Denied);
    database.execute(&format!("GRANT INSERT, UPDATE ON partition_state TO {user}")).await;
    assert_eq!(state.judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 1);
    assert_eq!(state.judge(&key(), &passed(1), now()).await.unwrap().attempt_count, 2);

    database.execute(&format!("ALTER ROLE {user} SET default_transaction_read_only = on")).await;
    let state = PostgresState::new(&nobody);
    assert_eq!(state.get(&key()).await.unwrap().unwrap().attempt_count, 2);
    let denied = state.judge(&key(), &passed(1), now()).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied, "as on a standby: {denied}");
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn without_the_right_to_create_the_log_verdicts_are_recorded_without_it() {
    let database = Postgres::new().await;
    let nobody = database.without_permissions().await;
    let user = &nobody.user;
    database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    database.execute(database.contract()).await;
    let grant = format!("GRANT SELECT, INSERT, UPDATE ON partition_state TO {user}");
    database.execute(&grant).await;
    check_without_log(&PostgresState::new(&nobody)).await;

    // A role that may create it does, with the grants of the records' table.
    database.execute("CREATE ROLE reader_of_records").await;
    database.execute("GRANT SELECT ON partition_state TO reader_of_records").await;
    database.state().judge(&key(), &passed(2), now()).await.unwrap();
    let privileges = "SELECT grantee || ' ' || string_agg(privilege_type, ' ' ORDER BY privilege_type) \
        FROM information_schema.role_table_grants WHERE table_name = 'run_verdict' \
        AND grantee <> current_user GROUP BY grantee ORDER BY grantee";
    let granted = database.connect().await.texts(privileges).await;
    database.execute("DROP OWNED BY reader_of_records; DROP ROLE reader_of_records").await;
    let granted: Vec<_> = granted.into_iter().flatten().collect();
    assert_eq!(granted, [format!("{user} INSERT SELECT"), "reader_of_records SELECT".to_owned()]);
    let state = PostgresState::new(&nobody);
    state.judge(&key(), &passed(3), now()).await.unwrap();
    let history = state.history(&key()).await.unwrap();
    assert_eq!(history.entries().len(), 2, "{history:?}");
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_log_that_may_not_be_read_is_denied_with_the_statement() {
    let database = Postgres::new().await;
    let nobody = database.without_permissions().await;
    let user = &nobody.user;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    let grant = format!("GRANT SELECT, INSERT, UPDATE ON partition_state TO {user}");
    database.execute(&grant).await;
    let state = PostgresState::new(&nobody);
    let expected = format!("GRANT SELECT, INSERT ON public.run_verdict TO {user}");
    let read = state.history(&key()).await.unwrap_err();
    let judged = state.judge(&key(), &passed(2), now()).await.unwrap_err();
    for denied in [read, judged] {
        assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
        assert!(denied.message().contains(&expected), "{denied}");
    }
    assert_eq!(state.get(&key()).await.unwrap().unwrap().attempt_count, 1, "nothing is recorded");
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_missing_database_is_a_configuration_error() {
    let settings = changed(server(), |config| {
        config.database = "no_such_database".into();
    });
    let refused = PostgresState::new(&settings).get(&key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("\"no_such_database\" does not exist"), "{refused}");
}

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_certificate_is_checked_according_to_the_mode() {
    use TlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    let database = Postgres::new().await;
    database.state().judge(&key(), &passed(1), now()).await.unwrap();
    let authority = Some(certificates().into());
    // The certificate is for localhost, by an authority unknown to this machine.
    for (tls, host, ca_file, expected) in [
        (Disable, "127.0.0.1", None, Ok("false")),
        (Prefer, "127.0.0.1", None, Ok("true")),
        (Require, "127.0.0.1", None, Ok("true")),
        // An address of this machine that counts as another one's: with SCRAM only.
        (Disable, "0.0.0.0", None, Ok("false")),
        (Prefer, "0.0.0.0", None, Ok("true")),
        (Require, "0.0.0.0", None, Ok("true")),
        (VerifyCa, "127.0.0.1", None, Err(ErrorKind::Denied)),
        (VerifyCa, "127.0.0.1", authority.clone(), Ok("true")),
        (VerifyFull, "127.0.0.1", authority.clone(), Err(ErrorKind::Denied)),
        (VerifyFull, "localhost", None, Err(ErrorKind::Denied)),
        (VerifyFull, "localhost", authority, Ok("true")),
        (VerifyFull, "localhost", Some("/no/such/file".into()), Err(ErrorKind::Invalid)),
    ] {
        let row = format!("{tls:?} {host} {ca_file:?}");
        let settings = changed(database.settings(), |config| {
            config.tls = tls;
            config.host = host.into();
            config.ca_file = ca_file;
        });
        let state = PostgresState::new(&settings);
        let found = state.get(&key()).await;
        assert_eq!(
            found.as_ref().map(|_| ()).map_err(rawsink::Error::kind),
            expected.map(|_| ()),
            "{row}: {found:?}"
        );
        if let Err(untrusted) = found
            && untrusted.kind() == ErrorKind::Denied
        {
            let next = "set sslrootcert to a file with the certificate of the server's authority, or \
                sslmode=require";
            assert!(untrusted.message().contains(next), "{untrusted}");
        }
        if let Ok(encrypted) = expected {
            let ours = "SELECT s.ssl::text FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                WHERE a.application_name = 'rawsink' AND a.datname = current_database()";
            let shown = database.connect().await.texts(ours).await;
            assert_eq!(shown.last(), Some(&Some(encrypted.to_owned())), "{row}");
        }
    }
}
