//! Leftovers of crashed writers: listed, and deleted on request.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use nix::sys::signal::Signal;

use crate::{
    landing::{Landing, PARTITION, run_path},
    running::{Running, until_staged},
};

/// Creates a file in a run's directory that was modified `hours` hours ago.
fn left(landing: &Landing, run: &str, name: &str, hours: u64) {
    let path = landing.file(&format!("data/raw/{}/{name}", run_path(run)), "{\"left\":1}\n");
    let time = SystemTime::now() - Duration::from_secs(hours * 3600 + 60);
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

fn landing() -> Landing {
    let landing = Landing::new();
    landing.land("sealed", "{}\n").exits(0);
    left(&landing, "sealed", ".payload.jsonl.00000000000000000000000000000000", 30);
    left(&landing, "old", "payload.jsonl", 48);
    left(&landing, "young", "payload.jsonl", 2);
    landing
}

#[test]
fn a_plan_lists_leftovers_and_deletes_nothing() {
    let landing = landing();
    let before = landing.snapshot();
    let plan = landing.rawsink(["clean"]).exits(0);
    let expected = format!(
        "{}\tpayload\t11 bytes\t48h01m\tplanned\n{}\tstaging\t11 bytes\t30h01m\tplanned\n",
        run_path("old"),
        run_path("sealed")
    );
    assert_eq!(plan.stdout, expected);
    plan.says(&["2 would be removed, 22 B; add --apply", "1 kept because they are younger"]);
    assert_eq!(landing.snapshot(), before);
    let older = landing.rawsink(["clean", "--older-than", "7d"]).exits(0);
    assert_eq!(older.stdout, "");
    older.says(&["nothing to remove", "3 kept because they are younger"]);
}

#[test]
fn g03_apply_deletes_the_listed_leftovers_and_no_sealed_object() {
    let landing = landing();
    let done = landing.rawsink(["clean", "--apply", "--json"]).exits(0);
    let lines = done.json();
    assert_eq!(lines.len(), 2, "{}", done.stdout);
    for (line, (run, kind, name)) in lines.iter().zip([
        ("old", "payload", "payload.jsonl"),
        ("sealed", "staging", ".payload.jsonl.00000000000000000000000000000000"),
    ]) {
        assert_eq!(line["path"], run_path(run));
        assert_eq!((line["kind"].as_str(), line["name"].as_str()), (Some(kind), Some(name)));
        assert_eq!((line["outcome"].as_str(), line["bytes"].as_u64()), (Some("removed"), Some(11)));
        assert!(line["age_s"].as_u64() > Some(100_000) && line["modified"].is_string());
    }
    done.says(&["2 removed, 22 B; 0 kept"]);
    assert!(!landing.run_dir("old").exists() && landing.payload("young").exists());
    landing.rawsink(["verify", &run_path("sealed")]).exits(0);
    assert_eq!(landing.rawsink(["clean", "--apply"]).exits(0).stdout, "");
    // A path limits the cleanup.
    let args = ["clean", &run_path("young"), "--older-than", "60m", "--apply"];
    assert!(landing.rawsink(args).exits(0).stdout.ends_with("\tremoved\n"));
}

#[test]
fn g18_staging_files_of_live_writers_stay_and_of_killed_ones_go() {
    let landing = Landing::new();
    let mut writer = Running::start(landing.command(["write", PARTITION, "--run-id", "alive"]));
    writer.feed(&b"{\"pad\":\"0123456789\"}\n".repeat(200_000));
    until_staged(&landing.run_dir("alive"), 1 << 20);
    let clean = ["clean", "--older-than", "0s", "--apply"];
    let met = landing.rawsink(clean).exits(0);
    assert!(met.stdout.ends_with("\tin use\n"), "{}", met.stdout);
    writer.signal(Signal::SIGKILL);
    writer.finish();
    assert!(landing.rawsink(clean).exits(0).stdout.ends_with("\tremoved\n"));
    assert_eq!(landing.files(), Vec::<String>::new());
    assert!(!landing.run_dir("alive").exists());
}

#[test]
fn g03_the_payload_of_a_validated_run_that_lost_its_seal_stays_until_the_run_is_withdrawn() {
    let landing = Landing::new();
    landing.land("validated", "{\"only\":\"copy\"}\n").exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    std::fs::remove_file(landing.metadata("validated")).unwrap();
    left(&landing, "validated", "payload.jsonl", 2000);
    let before = landing.snapshot();
    let kept = landing.rawsink(["clean", "--apply"]).exits(0);
    assert!(kept.stdout.ends_with("\tnamed\n"), "{kept:#?}");
    kept.says(&["0 removed", "1 kept because the state names their runs, which lost their seals"]);
    assert_eq!(landing.snapshot(), before);
    let withdraw = ["state", "withdraw", &run_path("validated"), "--reason", "not needed"];
    landing.rawsink(withdraw).exits(0);
    landing.rawsink(["clean", "--apply"]).exits(0).says(&["1 removed"]);
}

#[test]
fn a_malformed_age_and_one_too_low_for_a_bucket_are_invalid() {
    let landing = Landing::new();
    landing.rawsink(["clean", "--older-than", "soon"]).exits(2).says(&["\"soon\" is not an age"]);
    landing.rawsink(["clean", "--older-than", "-1h"]).exits(2);
    let bucket = landing
        .in_bucket("http://127.0.0.1:1")
        .with("RAW_SINK_ACCESS_KEY_ID", "k")
        .with("RAW_SINK_SECRET_ACCESS_KEY", "s");
    let refused = bucket.rawsink(["clean", "--older-than", "59m", "--apply"]).exits(2);
    assert!(refused.one_error("Invalid").contains("minimum age is 1 h"), "{}", refused.stderr);
}
