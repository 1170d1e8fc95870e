//! An operator's commands: init, retry, backfill.

use serde_json::{Value, json};

use crate::landing::{Landing, PARTITION, RUN, run_path};

const SERIES: &str = "google_ads/customer_id=123/query_name=campaign";

/// Lands a partition that fails strict validation.
fn failing(landing: &Landing, customer: &str, query: &str, day: &str) -> String {
    let path = format!("google_ads/customer_id={customer}/query_name={query}/logical_date={day}");
    landing.feed(["write", &path, "--run-id", RUN], "{}\n").exits(0);
    landing.rawsink(["validate", &path, "--latest", "--strict"]).exits(1);
    path
}

fn paths(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split('\t').next().unwrap()).collect()
}

fn record(landing: &Landing, path: &str) -> Value {
    landing.rawsink(["state", "show", path, "--json"]).exits(0).json()[0].clone()
}

#[test]
fn init_creates_the_table_once() {
    let landing = Landing::new();
    let place = "sqlite:data/state_store.db";
    let made = landing.rawsink(["state", "init"]).exits(0).stdout;
    assert_eq!(made, format!("{place}\tcreated\n"));
    let again = landing.rawsink(["state", "init", "--json"]).exits(0).json();
    assert_eq!(again, [json!({"state": place, "made": false})]);
    assert_eq!(landing.files(), ["data/state_store.db"]);
}

#[test]
fn a_retry_prints_each_change_and_changes_nothing_else() {
    let landing = Landing::new();
    let failed = failing(&landing, "123", "campaign", "2024-06-01");
    let other = failing(&landing, "456", "campaign", "2024-06-02");
    let good = "google_ads/customer_id=789/query_name=campaign/logical_date=2024-06-01";
    landing.feed(["write", good, "--run-id", RUN], "{}\n").exits(0);
    landing.rawsink(["validate", good, "--latest"]).exits(0);
    let (before, good_before) = (record(&landing, &failed), record(&landing, good));
    let raw = |landing: &Landing| {
        let mut all = landing.snapshot();
        all.retain(|path, _| path.starts_with("data/raw"));
        all
    };
    let raw_before = raw(&landing);

    let plan = landing.rawsink(["state", "retry", "--dry-run", "--json"]).exits(0);
    let row = |path: &str, done: bool| json!({"path": path, "from": "failed", "to": "pending", "done": done});
    assert_eq!(plan.json(), [row(&failed, false), row(&other, false)]);
    assert!(plan.stderr.contains("2 partitions would be set back to pending; nothing was changed"));
    assert_eq!(record(&landing, &failed), before, "a dry run changes");

    let one = landing.rawsink(["state", "retry", "google_ads", "--customer", "123"]).exits(0);
    assert_eq!(one.stdout, format!("{failed}\tfailed -> pending\n"));
    assert!(one.stderr.contains("1 partition set back to pending"), "{one:?}");
    let after = record(&landing, &failed);
    assert_eq!(after["status"], "pending");
    for kept in ["attempt_count", "error_message", "current_run_id"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    let rest = landing.rawsink(["state", "retry", "--json"]).exits(0).json();
    assert_eq!(rest, [row(&other, true)]);
    assert_eq!(landing.rawsink(["state", "retry"]).exits(0).stdout, "");
    assert_eq!(record(&landing, good), good_before);
    assert!(raw(&landing) == raw_before, "raw data was touched");
    landing.rawsink(["read", good, "--current"]).exits(0);
}

#[test]
fn records_are_selected_by_path_customer_query_and_days() {
    let landing = Landing::new();
    let all = [
        failing(&landing, "1", "campaign", "2024-06-01"),
        failing(&landing, "1", "campaign", "2024-06-02"),
        failing(&landing, "1", "keyword", "2024-06-03"),
        failing(&landing, "2", "campaign", "2024-06-03"),
    ];
    for (args, expected) in [
        (&[][..], &[0, 1, 2, 3][..]),
        (&["google_ads/customer_id=1/query_name=campaign"], &[0, 1]),
        (&["--customer", "2"], &[3]),
        (&["google_ads", "--query", "campaign"], &[0, 1, 3]),
        (&["--since", "2024-06-02"], &[1, 2, 3]),
        (&["--until", "2024-06-02", "--customer", "1"], &[0, 1]),
        (&["--since", "2024-06-02", "--until", "2024-06-02"], &[1]),
        (&[&*all[1]], &[1]),
        (&["bing"], &[]),
    ] {
        let expected: Vec<&str> = expected.iter().map(|n| all[*n].as_str()).collect();
        let listed = landing.rawsink([&["state", "list"], args].concat()).exits(0);
        assert_eq!(paths(&listed.stdout), expected, "list {args:?}");
        let plan = landing.rawsink([&["state", "retry", "--dry-run"], args].concat()).exits(0);
        assert_eq!(paths(&plan.stdout), expected, "retry {args:?}");
    }
    for args in [
        &["google_ads/customer_id=1", "--customer", "2"][..],
        &[&all[0], "--since", "2024-06-01"],
        &[&run_path(RUN)],
        &["--since", "2024-06-31"],
    ] {
        landing.rawsink([&["state", "retry"], args].concat()).exits(2);
        landing.rawsink([&["state", "list"], args].concat()).exits(2);
    }
}

#[test]
fn retrying_more_than_twenty_partitions_needs_confirmation() {
    let landing = Landing::new();
    let days = format!("{SERIES} --since 2024-06-01 --until 2024-06-21");
    let backfill = format!("state backfill {days}");
    let made = landing.rawsink(backfill.split(' ')).exits(0);
    assert_eq!(made.stdout.lines().count(), 21);
    fail_all(&landing);
    let refused = landing.rawsink(["state", "retry"]).exits(2);
    assert!(refused.one_error("Invalid").contains("21 partitions"), "{refused:?}");
    assert_eq!(refused.stdout, "");
    let failed = |landing: &Landing| {
        landing.rawsink(["state", "list", "--status", "failed"]).exits(0).stdout.lines().count()
    };
    assert_eq!(failed(&landing), 21);
    landing.rawsink(["state", "retry", "--dry-run"]).exits(0);
    let twenty = landing.rawsink(["state", "retry", "--since", "2024-06-02"]).exits(0);
    assert_eq!(twenty.stdout.lines().count(), 20);
    fail_all(&landing);
    assert_eq!(landing.rawsink(["state", "retry", "--yes"]).exits(0).stdout.lines().count(), 21);
    assert_eq!(failed(&landing), 0);
}

/// Lets every pending record fail, by sealed runs with a malformed row.
fn fail_all(landing: &Landing) {
    let pending = landing.rawsink(["state", "list", "--status", "pending"]).exits(0).stdout;
    for path in paths(&pending) {
        let run = format!("{path}/run_id={RUN}");
        landing.file(&format!("data/raw/{run}/payload.jsonl"), "not a row\n");
        landing.file(&format!("data/raw/{run}/metadata.json"), "{}");
        landing.rawsink(["validate", &run]).exits(1);
    }
}

#[test]
fn any_answer_but_yes_changes_nothing() {
    let landing = Landing::new();
    let backfill = format!("state backfill {SERIES} --since 2024-06-01 --until 2024-06-21");
    landing.rawsink(backfill.split(' ')).exits(0);
    fail_all(&landing);
    // `script` gives the program its own terminal.
    let asked = |answer: &str| {
        landing.shell(&format!("echo {answer} | script -qec 'rawsink state retry' /dev/null"))
    };
    let refused = asked("n").exits(1);
    assert!(refused.stdout.contains("set 21 partitions back to pending? [y/N]"), "{refused:?}");
    assert!(refused.stdout.contains("nothing was changed"), "{refused:?}");
    assert_eq!(asked("yes").exits(0).stdout.matches("failed -> pending").count(), 21);
}

#[test]
fn a_backfill_creates_and_prints_missing_records() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    let before = record(&landing, PARTITION);
    let days = ["--since", "2024-05-31", "--until", "2024-06-02"];
    let dry = [&["state", "backfill", SERIES, "--dry-run"], &days[..]].concat();
    let plan = landing.rawsink(&dry).exits(0);
    let missing = ["2024-05-31", "2024-06-02"].map(|day| format!("{SERIES}/logical_date={day}"));
    assert_eq!(
        plan.stdout,
        format!("{}\tnone -> pending\n{}\tnone -> pending\n", missing[0], missing[1])
    );
    assert!(
        plan.stderr.contains("2 partitions would be marked as pending, 1 kept; nothing"),
        "{plan:?}"
    );
    assert_eq!(landing.rawsink(["state", "list"]).exits(0).stdout.lines().count(), 1);

    let backfill = [&["state", "backfill", SERIES, "--json"], &days[..]].concat();
    let made = landing.rawsink(&backfill).exits(0);
    let rows = missing
        .each_ref()
        .map(|path| json!({"path": path, "from": null, "to": "pending", "done": true}));
    assert_eq!(made.json(), rows);
    assert_eq!(record(&landing, &missing[0])["attempt_count"], 0);
    assert!(record(&landing, &missing[0])["updated_at"].is_string());
    assert_eq!(record(&landing, PARTITION), before);
    assert_eq!(landing.rawsink(&backfill).exits(0).stdout, "");

    let day = format!("{SERIES}/logical_date=2024-07-01");
    let two = [&*day, "google_ads/customer_id=124/query_name=q/logical_date=2024-07-01"];
    let made = landing.rawsink([&["state", "backfill"], &two[..]].concat());
    assert_eq!(paths(&made.exits(0).stdout), two);
    for wrong in [
        &["google_ads/customer_id=123", "--since", "2024-06-01", "--until", "2024-06-02"][..],
        &[SERIES],
        &[SERIES, "--since", "2024-06-01"],
        &[SERIES, "--since", "2024-06-02", "--until", "2024-06-01"],
        &[SERIES, "--since", "1024-06-02", "--until", "2024-06-01"],
        &[&day, "--since", "2024-06-01", "--until", "2024-06-02"],
        &[],
    ] {
        landing.rawsink([&["state", "backfill"], wrong].concat()).exits(2);
    }
}

#[test]
fn changes_are_made_even_if_output_is_not_read() {
    let landing = Landing::new();
    let days = "--since 2024-01-01 --until 2024-01-31";
    landing.shell(&format!("rawsink state backfill {SERIES} {days} | true")).exits(0);
    assert_eq!(landing.rawsink(["state", "list"]).exits(0).stdout.lines().count(), 31);
}
