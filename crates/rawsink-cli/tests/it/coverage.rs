//! The `coverage` command.

mod drawn; // random landings, compared with an oracle
mod grid; // the grid on a terminal
mod oracle; // the expected coverage, computed from tree and table
mod page; // the page: complete, in its place, and harmless
mod plan; // the plan, pasted into a shell

pub(crate) use self::oracle::execute;
use serde_json::json;

use crate::landing::{Landing, PARTITION, RUN, run_path};

const SERIES: &str = "google_ads/customer_id=123/query_name=campaign";

/// Four days: validated, failed, sealed only, unsealed; the fifth and another query are missing.
fn landing() -> Landing {
    let landing = Landing::new();
    for day in ["01", "02", "03"] {
        land(&landing, day);
    }
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    landing.rawsink(["validate", &of_day("02"), "--latest", "--strict"]).exits(1);
    let unsealed = format!("data/raw/{}/run_id={RUN}/payload.jsonl", of_day("04"));
    landing.file(&unsealed, "{}\n");
    landing
}

fn land(landing: &Landing, day: &str) {
    landing.feed(["write", &of_day(day), "--run-id", RUN], "{}\n").exits(0);
}

fn of_day(day: &str) -> String {
    format!("{SERIES}/logical_date=2024-06-{day}")
}

#[test]
fn a_row_shows_the_status_of_each_day_and_the_exit_code_shows_gaps() {
    let landing = landing();
    let answer = landing.rawsink(["coverage"]).exits(1);
    let expected = format!(
        "{SERIES}\tvalidated 2024-06-01, failed 2024-06-02, sealed 2024-06-03, unsealed 2024-06-04\n"
    );
    assert_eq!(answer.stdout, expected);
    answer.says(&[
        "1 row of 4 days, 2024-06-01 to 2024-06-04: 1 validated, 1 sealed only, 1 unsealed, 1 failed, 0 missing, 0 lost, 0 withdrawn",
        "1 sealed run without a verdict",
        "worst day 2024-06-04: 0 of 1 validated",
        "stale: the last day is 2024-06-04",
    ]);
    let answer = landing.rawsink(["coverage", "--until", "2024-06-06"]).exits(1);
    assert!(answer.stdout.ends_with(", missing 2024-06-05..2024-06-06\n"), "{answer:#?}");
    let answer = landing.rawsink(["coverage", "--queries", "campaign,keyword"]).exits(1);
    assert!(answer.stdout.contains("keyword\tmissing 2024-06-01..2024-06-04\n"), "{answer:#?}");
    landing.rawsink(["coverage", &of_day("03")]).exits(1);
    landing.rawsink(["coverage", &of_day("01")]).exits(0);
    landing.rawsink(["coverage", "--fail-on", "missing,lost"]).exits(0);
    for fault in ["failed", "sealed", "stale"] {
        landing.rawsink(["coverage", "--fail-on", fault]).exits(1);
    }
    let stale = ["coverage", "--fail-on", "stale", "--until", "2024-06-04"];
    landing.rawsink(stale).exits(0);
    let landing = Landing::new();
    landing.rawsink(["coverage"]).exits(0).says(&["no partitions exist and none are expected"]);
    let named = ["coverage", "google_ads", "--customers", "123", "--since", "2024-06-01"];
    landing.rawsink(named).exits(2).one_error("Invalid");
}

#[test]
fn one_odd_date_is_a_warning_and_hides_nothing() {
    let landing = Landing::new();
    for day in ["1970-01-01", "2024-06-01"] {
        let path = format!("{SERIES}/logical_date={day}");
        landing.feed(["write", &path, "--run-id", RUN], "{}\n").exits(0);
    }
    let answer = landing.rawsink(["coverage"]).exits(1);
    assert_eq!(answer.stdout, format!("{SERIES}\tsealed 2024-06-01\n"));
    answer.says(&["warning: 1 partition of 1970-01-01 left out, far from all other days"]);
    let answer = landing.rawsink(["coverage", "--until", "1970-01-01"]).exits(1);
    assert_eq!(answer.stdout, format!("{SERIES}\tsealed 1970-01-01\n"));
}

#[test]
fn a_lost_authoritative_run_is_reported() {
    let landing = landing();
    std::fs::remove_dir_all(landing.run_dir(RUN)).unwrap();
    let answer = landing.rawsink(["coverage"]).exits(1);
    assert!(answer.stdout.contains("\tlost 2024-06-01, "), "{answer:#?}");
    answer.says(&["1 lost"]);
}

#[test]
fn a_json_cell_shows_state_and_storage() {
    let landing = landing();
    let cells = landing.rawsink(["coverage", "--json"]).exits(1).json();
    assert_eq!(cells.len(), 4);
    let message = cells[1]["error_message"].as_str().unwrap();
    assert!(message.starts_with(&format!("run {RUN}: ")), "{message}");
    let cell = |day: &str| {
        json!({
            "path": of_day(day), "source": "google_ads", "customer_id": "123",
            "query_name": "campaign", "logical_date": format!("2024-06-{day}"),
            "standing": "unsealed", "run_id": RUN, "status": null, "current_run_id": null,
            "record_count": null, "error_message": null, "sealed_run_id": null,
            "due_run_id": null, "blocked_run_id": null, "unsealed_run_id": RUN, "lost": false, "unknown": false,
            "blocked": false
        })
    };
    assert_eq!(cells[3], cell("04"));
    let mut validated = cell("01");
    validated["standing"] = "validated".into();
    validated["status"] = "success".into();
    validated["current_run_id"] = RUN.into();
    validated["record_count"] = 1.into();
    validated["sealed_run_id"] = RUN.into();
    validated["unsealed_run_id"] = json!(null);
    assert_eq!(cells[0], validated);
    assert_eq!(cells[0]["path"], PARTITION);
    let facts =
        |day: usize| [&cells[day]["standing"], &cells[day]["status"], &cells[day]["unknown"]];
    assert_eq!(facts(1), [&json!("failed"), &json!("failed"), &json!(false)]);
    assert_eq!(facts(2), [&json!("sealed"), &json!(null), &json!(true)]);
}

#[test]
fn customers_from_a_file_are_expected_even_if_never_seen() {
    let landing = landing();
    landing.file("customers.txt", "456\n\n  123 \n");
    let args = ["coverage", "google_ads", "--customers-file", "customers.txt"];
    let answer = landing.rawsink(args).exits(1);
    let customers: Vec<&str> =
        answer.stdout.lines().map(|line| line.split('/').nth(1).unwrap()).collect();
    assert_eq!(customers, ["customer_id=123", "customer_id=456"]);
    landing.feed(["coverage", "--customers-file", "-"], "123\n").exits(1);
    landing.feed(["coverage", "--customers-file", "-"], "\n").exits(2).one_error("Invalid");
    let missing = landing.rawsink(["coverage", "--customers-file", "nothing.txt"]).exits(2);
    assert!(missing.one_error("Invalid").contains("nothing.txt"));
    landing.rawsink(["coverage", "--customers", "1", "--customer", "2"]).exits(2);
}

#[test]
fn a_malformed_record_is_named_and_the_rest_is_covered() {
    let landing = landing();
    let path = landing.dir().join("data/state_store.db");
    let mut database = std::fs::read(&path).unwrap();
    let at = memchr::memmem::find(&database, b"2024-06-02failed").unwrap();
    database[at..at + 16].copy_from_slice(b"2024-06-31failed");
    std::fs::write(path, database).unwrap();
    let answer = landing.rawsink(["coverage"]).exits(5);
    assert_eq!(answer.stdout.lines().count(), 1, "{answer:#?}");
    answer.says(&["2024-06-31", "some records of the state are malformed: 1 error, see above"]);
}

#[test]
fn coverage_changes_nothing() {
    let landing = landing();
    let before = landing.snapshot();
    for args in [&["coverage"][..], &["coverage", "--json"], &["coverage", "--plan"]] {
        landing.rawsink(args).exits(1);
    }
    assert!(landing.snapshot() == before, "{:?}", landing.files());
}
