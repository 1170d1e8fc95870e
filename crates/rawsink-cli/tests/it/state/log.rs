//! The verdict log: its history, withdrawals, restores and marks.

use std::fs;

use crate::{
    coverage::execute,
    landing::{Landing, PARTITION, RUN, run_path},
};

const NEWER: &str = "2024-06-03T00:00:00.000Z";

/// Lands and validates two runs.
fn two_runs() -> Landing {
    let landing = Landing::new();
    for (run, rows) in [(RUN, "{\"n\":1}\n"), (NEWER, "{\"n\":2}\n")] {
        landing.land(run, rows);
        landing.rawsink(["validate", &run_path(run)]).exits(0);
    }
    landing
}

fn current(landing: &Landing) -> String {
    landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout
}

#[test]
fn the_history_has_every_verdict_with_the_digest_of_its_seal() {
    let landing = two_runs();
    landing.rawsink(["validate", &run_path(NEWER), "--strict"]).exits(1);
    landing.rawsink(["state", "retry"]).exits(0);
    let entries = landing.rawsink(["state", "history", PARTITION, "--json"]).exits(0).json();
    let verdicts: Vec<&str> =
        entries.iter().map(|entry| entry["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["passed", "passed", "failed", "requeued"]);
    let seal = fs::read(landing.metadata(RUN)).unwrap();
    assert_eq!(entries[0]["seal_bytes"], seal.len());
    let digest =
        landing.shell(&format!("sha256sum < '{}'", landing.metadata(RUN).display())).stdout;
    assert_eq!(entries[0]["seal_sha256"], digest.split_whitespace().next().unwrap());
    let uri = format!("file://{}/data/raw", landing.dir().canonicalize().unwrap().display());
    assert_eq!(entries[0]["sink_uri"], uri);
    let text = landing.rawsink(["state", "history", &run_path(NEWER)]).exits(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "two verdicts on the run, and the retry: {text}");
    assert!(lines[0].contains("\tpassed\t") && lines[0].ends_with("\t1 row"), "{text}");
    let none = Landing::new().rawsink(["state", "history", PARTITION]).exits(0);
    none.says(&["no verdicts are logged"]);
}

#[test]
fn a_withdrawn_run_is_not_read_until_it_is_restored_and_validated() {
    let landing = two_runs();
    assert_eq!(current(&landing), "{\"n\":2}\n");
    let newer = run_path(NEWER);
    let withdrawn = landing.rawsink(["state", "withdraw", &newer, "--reason", "wrong"]).exits(0);
    assert_eq!(withdrawn.stdout, format!("{newer}\twithdrawn\trun {RUN} has authority\n"));
    assert_eq!(current(&landing), "{\"n\":1}\n");
    assert_eq!(landing.rawsink(["validate", "--all"]).exits(0).stdout, "", "it is not due");
    let refused = landing.rawsink(["validate", &newer]).exits(2);
    assert!(refused.one_error("Invalid").contains("an operator withdrew this run: wrong"));
    refused.says(&["hint: run \"rawsink state restore "]);
    landing
        .rawsink(["state", "withdraw", &run_path(RUN), "--reason", "wrong too"])
        .exits(0)
        .says(&["1 run withdrawn"]);
    landing.rawsink(["read", PARTITION, "--current"]).exits(3);
    let restored = landing.rawsink(["state", "restore", &newer]).exits(0);
    assert_eq!(restored.stdout, format!("{newer}\trestored\tno run has authority\n"));
    let validated = landing.rawsink(["validate", "--all"]).exits(0).stdout;
    assert_eq!(validated, format!("{newer}\tpassed\n"));
    assert_eq!(current(&landing), "{\"n\":2}\n");
    landing.rawsink(["state", "restore", &newer]).exits(2).one_error("Invalid");
}

#[test]
fn only_a_known_run_can_be_withdrawn_and_only_with_a_reason() {
    let landing = two_runs();
    let unknown = run_path("2024-07-01T00:00:00.000Z");
    landing
        .rawsink(["state", "withdraw", &unknown, "--reason", "x"])
        .exits(3)
        .one_error("NotFound");
    landing.rawsink(["state", "withdraw", &run_path(RUN)]).exits(2);
    landing.rawsink(["state", "withdraw", &run_path(RUN), "--reason", ""]).exits(2);
    let partition = landing.rawsink(["state", "withdraw", PARTITION, "--reason", "x"]).exits(2);
    assert!(partition.one_error("Invalid").contains("--erased"), "{partition:#?}");
    assert_eq!(current(&landing), "{\"n\":2}\n");
}

#[test]
fn a_customer_is_erased_by_withdrawing_all_its_runs_first() {
    let landing = two_runs();
    landing.land("2024-06-04T00:00:00.000Z", "{}\n");
    let erase = ["state", "withdraw", "google_ads", "--customer", "123", "--erased"];
    let args = [&erase[..], &["--reason", "ticket 7"]].concat();
    let before = landing.snapshot();
    let planned = landing.rawsink([&args[..], &["--dry-run"]].concat()).exits(0);
    assert_eq!(planned.stdout.lines().count(), 3, "also the run without a verdict");
    assert!(landing.snapshot() == before, "a dry run changes nothing");
    landing.rawsink(&args).exits(0).says(&["3 runs withdrawn"]);
    landing.rawsink(&args).exits(0).says(&["no run is left to withdraw"]);
    let source = landing.dir().join("data/raw/google_ads");
    for _ in 0..2 {
        let covered = landing.rawsink(["coverage", "--until", "2024-06-01"]).exits(0).stdout;
        assert!(covered.ends_with("\twithdrawn 2024-06-01\n"), "{covered}");
        assert_eq!(landing.rawsink(["coverage", "--plan"]).stdout, "");
        let fails_on = ["coverage", "--until", "2024-06-01", "--fail-on", "withdrawn"];
        landing.rawsink(fails_on).exits(1);
        landing.rawsink(["read", PARTITION, "--current"]).exits(3);
        if source.exists() {
            fs::remove_dir_all(&source).unwrap();
        }
    }
}

#[test]
fn a_run_that_was_lost_and_written_again_is_not_read() {
    let landing = two_runs();
    fs::remove_file(landing.metadata(NEWER)).unwrap();
    landing.land(NEWER, "{\"n\":3}\n");
    let refused = landing.rawsink(["read", PARTITION, "--current"]).exits(5);
    assert_eq!(refused.stdout, "", "not one byte");
    assert!(
        refused.one_error("Corrupt").contains("not the one that was validated"),
        "{refused:#?}"
    );
    refused.says(&[&format!("run \"rawsink coverage {PARTITION} --plan\"")]);
    landing.rawsink(["validate", &run_path(NEWER)]).exits(0);
    assert_eq!(current(&landing), "{\"n\":3}\n");
}

#[test]
fn a_mark_of_other_software_survives_a_failure_and_a_retry_skips_it() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.rawsink(["validate", &run_path(RUN), "--strict"]).exits(1);
    execute(&landing, "UPDATE partition_state SET error_message = '[terminal] gave up'");
    landing
        .rawsink(["state", "retry"])
        .exits(0)
        .says(&["0 partitions set back to pending, 1 kept"]);
    landing.rawsink(["validate", &run_path(RUN), "--strict"]).exits(1);
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    let message = state["error_message"].as_str().unwrap();
    assert!(message.starts_with(&format!("[terminal] run {RUN}: ")), "{message}");
    landing.rawsink(["state", "retry", "--marked"]).exits(0).says(&["1 partition set back"]);
    landing.rawsink(["validate", "--all"]).exits(0);
    let state = &landing.rawsink(["state", "show", PARTITION, "--json"]).exits(0).json()[0];
    assert!(state["error_message"].is_null(), "a success clears it: {state}");
}
