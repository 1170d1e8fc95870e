//! A state in PostgreSQL: `make parity`, with one database per test.

use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    landing::{Landing, PARTITION, RUN, run_path},
    race, validate_all,
};

/// A landing on disk with its state in a database that is dropped at the end.
struct Database {
    landing: Landing,
    name: String,
}

impl Database {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rawsink_program_{}_{number}", std::process::id());
        psql(&format!("CREATE DATABASE {name}"));
        let server = server();
        let (server, _) = server.rsplit_once('/').unwrap();
        let landing = Landing::new().with("RAW_SINK_STATE_URL", format!("{server}/{name}"));
        Self { landing, name }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        psql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn server() -> String {
    let name = "RAWSINK_TEST_POSTGRES_URL";
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make parity`"))
}

fn psql(sql: &str) {
    let status = Command::new("psql").args([&server(), "-q", "-c", sql]).status().unwrap();
    assert!(status.success(), "{sql}");
}

#[test]
#[ignore = "parity: needs a PostgreSQL server"]
fn state_commands_give_the_same_results_as_with_a_file() {
    let (database, file) = (Database::new(), Landing::new());
    let other = PARTITION.replace("123", "456");
    let days = ["--since", "2024-06-01", "--until", "2024-06-03"];
    let series = PARTITION.rsplit_once('/').unwrap().0;
    for landing in [&database.landing, &file] {
        landing.land(RUN, "{\"n\":1}\n");
        landing.feed(["write", &other, "--run-id", RUN], "{}\n").exits(0);
        landing.rawsink(["read", PARTITION, "--current"]).exits(3);
    }
    for (args, code) in [
        (&["state", "list"][..], 0),
        (&["state", "show", PARTITION], 0),
        (&["validate", &run_path(RUN)], 0),
        (&["validate", &other, "--latest", "--strict"], 1),
        (&["read", PARTITION, "--current"], 0),
        (&[&["state", "backfill", series], &days[..]].concat(), 0),
        (&["state", "list"], 0),
        (&["state", "list", "--status", "failed", "--since", "2024-06-01"], 0),
        (&["state", "retry", "--dry-run"], 0),
        (&["state", "retry"], 0),
        (&["state", "retry"], 0),
        (&["state", "list", "google_ads/customer_id=456"], 0),
    ] {
        let expected = file.rawsink(args).exits(code);
        let answer = database.landing.rawsink(args).exits(code);
        // The message for an empty state differs.
        let said = |stderr: &str| stderr.split("; RAW_SINK_STATE_URL=").next().unwrap().to_owned();
        assert_eq!(said(&answer.stderr), said(&expected.stderr), "{args:?}");
        assert_eq!(answer.stdout, expected.stdout, "{args:?}");
    }
    let init = database.landing.rawsink(["state", "init"]).exits(0).stdout;
    assert!(init.ends_with("\texists already\n") && init.contains(&database.name), "{init}");
    assert!(!init.contains("testpassword"), "{init}");
    assert!(!database.landing.dir().join("data/state_store.db").exists());
}

#[test]
#[ignore = "parity: needs a PostgreSQL server"]
fn g14_eight_concurrent_validators_lose_no_update() {
    race::validators(&Database::new().landing);
}

#[test]
#[ignore = "parity: needs a PostgreSQL server"]
fn g14_processes_that_validate_all_in_parallel_lose_no_update() {
    validate_all::processes(&Database::new().landing);
}

#[test]
#[ignore = "parity: needs a PostgreSQL server"]
fn the_password_may_be_in_a_variable_or_a_file() {
    let database = Database::new();
    let url = database.landing.var("RAW_SINK_STATE_URL").to_owned();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, place) = rest.split_once('@').unwrap();
    let (user, password) = user.split_once(':').unwrap();
    let without = format!("{scheme}://{user}@{place}");
    let landing = || Landing::new().with("RAW_SINK_STATE_URL", &without);
    landing().rawsink(["state", "list"]).exits(4).one_error("Denied");
    // Variables of libpq's programs.
    let elsewhere = landing().with("PGPASSWORD", password).with("PGSSLROOTCERT", "/no/such/file");
    elsewhere.rawsink(["state", "list"]).exits(4).one_error("Denied");
    let variable = landing().with("RAW_SINK_STATE_PASSWORD", password);
    variable.rawsink(["state", "list"]).exits(0);
    let file = landing().with("RAW_SINK_STATE_PASSWORD_FILE", "password");
    file.file("password", format!("{password}\n"));
    file.rawsink(["state", "list"]).exits(0);
    let both =
        Landing::new().with("RAW_SINK_STATE_URL", &url).with("RAW_SINK_STATE_PASSWORD", password);
    both.rawsink(["state", "list"]).exits(2).one_error("Invalid");
}

#[test]
fn g17_a_database_password_is_never_printed() {
    // A socket without a listener: no network is needed.
    let place = "%2Fno%2Fsuch%2Fdirectory/state";
    let in_url = Landing::new()
        .with("RAW_SINK_STATE_URL", format!("postgres://somebody:canary%23word@{place}"));
    let beside = Landing::new()
        .with("RAW_SINK_STATE_URL", format!("postgres://somebody@{place}"))
        .with("RAW_SINK_STATE_PASSWORD", "canary#word");
    let wrong = [
        format!("postgres://somebody:canary#word@{place}"),
        format!("postgres://somebody:canary%word@{place}"),
        format!("postgres://somebody:canary@word@{place}x"),
        format!("postgres://somebody@{place}?password=canary"),
        format!("postgres://somebody@{place}?canary"),
        format!("postgres://somebody@{place}?sslmode=canary"),
        format!("postgres://:canary@{place}"),
        "postgres://somebody:canary@".to_owned(),
        "postgres:somebody:canary".to_owned(),
        "mysql://somebody:canary@host/state".to_owned(),
    ];
    let wrong = wrong.into_iter().map(|url| Landing::new().with("RAW_SINK_STATE_URL", url));
    for (landing, is_right) in
        [(in_url, true), (beside, true)].into_iter().chain(wrong.map(|landing| (landing, false)))
    {
        landing.file("rows.jsonl", "{}\n");
        for args in [
            &["config"][..],
            &["config", "--json"],
            &["write", PARTITION, "rows.jsonl", "--then-validate"],
            &["validate", PARTITION, "--latest"],
            &["read", PARTITION, "--current"],
            &["state", "init"],
            &["state", "list", "--json"],
            &["state", "show", PARTITION],
            &["state", "retry", "--yes"],
        ] {
            let answer = landing.rawsink(args);
            let url = landing.var("RAW_SINK_STATE_URL");
            assert!(!format!("{answer:?}").contains("canary"), "{url}: {answer:#?}");
            if is_right && args[0] == "state" {
                assert_eq!(answer.code, Some(75), "{url}: {answer:#?}");
                if !args.contains(&"--json") {
                    answer.one_error("Unavailable");
                }
                assert!(answer.stderr.contains("/no/such/directory"), "{answer:#?}");
            }
        }
    }
}
