//! The state commands.

mod log; // the verdict log: history, withdrawals, restores, marks
mod operator; // an operator's commands: init, retry, backfill

use std::fs;

use crate::landing::{Landing, PARTITION, RUN, run_path};

const OTHER: &str = "google_ads/customer_id=456/query_name=campaign/logical_date=2024-06-02";

#[test]
fn no_record_means_pending() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let text = landing.rawsink(["state", "show", PARTITION]).exits(0).stdout;
    assert!(text.starts_with(&format!("{PARTITION}\tpending\t")), "{text}");
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    assert_eq!(state["status"], "pending");
    assert_eq!(state["attempt_count"], 0);
    for empty in ["current_run_id", "schema_version", "record_count", "updated_at", "error_message"]
    {
        assert!(
            state.as_object().unwrap().contains_key(empty) && state[empty].is_null(),
            "{state}"
        );
    }
    assert_eq!(landing.rawsink(["state", "list"]).exits(0).stdout, "");
}

#[test]
fn a_record_as_json_has_the_columns_of_the_contract() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n{}\n");
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    let mut columns: Vec<&str> = state.as_object().unwrap().keys().map(String::as_str).collect();
    columns.sort_unstable();
    let expected = [
        "attempt_count",
        "current_run_id",
        "customer_id",
        "error_message",
        "logical_date",
        "path",
        "query_name",
        "record_count",
        "schema_version",
        "source",
        "status",
        "updated_at",
    ];
    assert_eq!(columns, expected);
    for (column, value) in [
        ("source", "google_ads"),
        ("customer_id", "123"),
        ("query_name", "campaign"),
        ("logical_date", "2024-06-01"),
        ("status", "success"),
        ("current_run_id", RUN),
        ("schema_version", "v1"),
    ] {
        assert_eq!(state[column], value);
    }
    assert_eq!((&state["record_count"], &state["attempt_count"]), (&2.into(), &1.into()));
    assert!(state["updated_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{state}");
}

#[test]
fn list_takes_a_prefix_and_a_status() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    let failing = format!("{OTHER}/run_id={RUN}");
    landing.feed(["write", &failing], "{}\n").exits(0);
    landing.rawsink(["validate", &failing, "--strict"]).exits(1);
    let list = |args: &[&str]| {
        let text = landing.rawsink([&["state", "list"], args].concat()).exits(0).stdout;
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), [PARTITION, OTHER]);
    assert_eq!(list(&["google_ads"]), [PARTITION, OTHER]);
    assert_eq!(list(&["google_ads/customer_id=456"]), [OTHER]);
    assert_eq!(list(&["data/raw/google_ads/customer_id=123"]), [PARTITION]);
    assert_eq!(list(&[PARTITION]), [PARTITION]);
    assert_eq!(list(&["--status", "success"]), [PARTITION]);
    assert_eq!(list(&["--status", "failed"]), [OTHER]);
    assert_eq!(list(&["google_ads/customer_id=123", "--status", "failed"]), Vec::<String>::new());
    assert_eq!(list(&["--status", "pending"]), Vec::<String>::new());
    assert_eq!(list(&["nobody"]), Vec::<String>::new());
    landing
        .rawsink(["state", "list", "--status", "done"])
        .exits(2)
        .says(&["pending, success, failed"]);
}

#[test]
fn a_run_has_no_state() {
    let landing = Landing::new();
    landing.rawsink(["state", "show", &run_path(RUN)]).exits(2).one_error("Invalid");
    landing.rawsink(["state", "show", "google_ads"]).exits(2).one_error("Invalid");
}

#[test]
fn g13_an_older_run_validated_late_gains_no_authority() {
    let (landing, newer) = (Landing::new(), "2024-06-03T00:00:00.000Z");
    landing.land(RUN, "{\"old\":1}\n");
    landing.land(newer, "{\"new\":1}\n");
    landing.rawsink(["validate", &run_path(newer)]).exits(0);
    let answer = landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    answer.says(&[&format!("run {newer} has authority")]);
    landing.rawsink(["validate", &run_path(RUN), "--strict"]).exits(1);
    let read = landing.rawsink(["read", PARTITION, "--current"]).exits(0);
    assert_eq!(read.stdout, "{\"new\":1}\n");
}

#[test]
fn reading_and_writing_create_no_state_database() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let path = run_path(RUN);
    let before = landing.snapshot();
    for args in [
        &["read", &*path][..],
        &["show", &path],
        &["verify", &path],
        &["scrub"],
        &["list", "--runs"],
        &["state", "show", PARTITION],
        &["state", "list"],
        &["config"],
    ] {
        landing.rawsink(args).exits(0);
    }
    landing.rawsink(["read", PARTITION, "--current"]).exits(3);
    assert!(landing.snapshot() == before, "{:?}", landing.files());
}

#[test]
fn a_file_that_is_no_database_is_corrupt_and_unchanged() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.file(
        "data/state_store.db",
        "this is not a database, but long enough to be read".repeat(99),
    );
    let before = landing.snapshot();
    for args in [
        &["validate", PARTITION, "--latest"][..],
        &["state", "list"],
        &["read", PARTITION, "--current"],
    ] {
        let answer = landing.rawsink(args).exits(5);
        assert!(answer.one_error("Corrupt").contains("state_store.db"), "{answer:#?}");
    }
    assert!(landing.snapshot() == before);
}

#[test]
fn a_malformed_record_is_named_and_the_others_are_listed() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    landing.file(&format!("data/raw/{OTHER}/run_id={RUN}/payload.jsonl"), "not a row\n");
    landing.file(&format!("data/raw/{OTHER}/run_id={RUN}/metadata.json"), "{}");
    landing.rawsink(["validate", &format!("{OTHER}/run_id={RUN}")]).exits(1);
    let mut database = fs::read(landing.dir().join("data/state_store.db")).unwrap();
    let at = memchr::memmem::find(&database, b"2024-06-02failed").unwrap();
    database[at..at + 16].copy_from_slice(b"2024-06-31failed");
    landing.file("data/state_store.db", database);
    for args in [&["state", "list"][..], &["state", "list", "--json"]] {
        let answer = landing.rawsink(args).exits(5);
        assert_eq!(answer.stdout.lines().count(), 1, "{answer:#?}");
        if args.len() == 2 {
            answer.says(&[
                "error[Corrupt]: the state record of (google_ads, 456, campaign, 2024-06-31) has",
                "error[Corrupt]: some records of the state are malformed: 1 error, see above",
            ]);
        }
    }
    let retry = landing.rawsink(["state", "retry"]).exits(5);
    assert_eq!(retry.stdout, "");
    retry.says(&["2024-06-31", "not all records could be read or changed: 1 error"]);
}

#[test]
fn a_state_that_cannot_be_stored_is_refused() {
    for url in ["sqlite::memory:", "sqlite:file:data/t.db?mode=memory", "sqlite:data/t.db?mode=ro"]
    {
        let landing = Landing::new().with("RAW_SINK_STATE_URL", url);
        let answer = landing.rawsink(["state", "list"]).exits(2);
        assert!(answer.one_error("Invalid").contains("RAW_SINK_STATE_URL"), "{answer:?}");
    }
}

#[test]
fn a_limit_of_the_validator_gives_no_verdict() {
    let landing = Landing::new();
    landing.land(RUN, "{\"text\":\"longer than the limit\"}\n");
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
    let landing = landing.with("RAW_SINK_MAX_ROW_BYTES", "10");
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(2).one_error("Invalid");
    let state = landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0);
    assert_eq!(
        (&state.json()[0]["status"], &state.json()[0]["attempt_count"]),
        (&"success".into(), &1.into())
    );
}

#[test]
fn new_files_and_directories_are_not_for_all_users() {
    use std::os::unix::fs::PermissionsExt;
    for (umask, file, directory) in
        [("000", 0o640, 0o750), ("022", 0o640, 0o750), ("077", 0o600, 0o700)]
    {
        let landing = Landing::without_root();
        let write = format!(
            "printf '{{}}\\n{{\\n' | rawsink write {PARTITION} --run-id r --then-validate --rejects refused \
             --max-rejects 1"
        );
        landing.shell(&format!("umask {umask}; {write}")).exits(0);
        let mut found = 0;
        for path in landing.snapshot().into_keys() {
            let path = landing.dir().join(path);
            let there = fs::metadata(&path).unwrap();
            let expected = if there.is_dir() { directory } else { file };
            let mode = there.permissions().mode() & 0o777;
            // The seal is made read-only.
            assert!(mode == expected || mode == 0o440 & expected, "{umask} {path:?}: {mode:o}");
            found += 1;
        }
        assert!(found >= 10, "data, its state, the root, five levels, three files: {found}");
    }
}
