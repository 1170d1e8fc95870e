//! `list` at every level.

use std::fs;

use crate::landing::{Landing, PARTITION, RUN, run_path};

const NEWER: &str = "2024-06-03T00:00:00.000Z";

/// Returns two sources; one partition with a sealed and an unsealed run; entries that are no partitions.
fn filled() -> Landing {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.land(NEWER, "{\"unsealed\":1}\n");
    fs::remove_file(landing.metadata(NEWER)).unwrap();
    let other = "crm/customer_id=9/query_name=a/logical_date=2024-05-01/run_id=r";
    landing.feed(["write", other], "{}\n").exits(0);
    landing.file(
        &format!(
            "data/raw/{PARTITION}/run_id=staged/.payload.jsonl.00000000000000000000000000000000"
        ),
        "{}",
    );
    for stray in [
        "data/raw/README",
        "data/raw/_tmp/customer_id=1/query_name=q/logical_date=2024-06-01/run_id=r/payload.jsonl",
        "data/raw/google_ads/not-a-customer/payload.jsonl",
        "data/raw/google_ads/customer_id=123/query_name=campaign/logical_date=june/run_id=r/payload.jsonl",
    ] {
        landing.file(stray, "{}");
    }
    fs::create_dir_all(landing.dir().join("data/raw/empty/customer_id=1")).unwrap();
    landing
}

#[test]
fn every_level_lists_its_direct_children() {
    let landing = filled();
    let list = |args: &[&str]| landing.rawsink([&["list"], args].concat()).exits(0).stdout;
    assert_eq!(list(&[]), "crm\ngoogle_ads\n");
    assert_eq!(list(&["data/raw"]), "crm\ngoogle_ads\n");
    let mut path = "google_ads".to_owned();
    for segment in ["customer_id=123", "query_name=campaign", "logical_date=2024-06-01"] {
        let below = format!("{path}/{segment}");
        assert_eq!(list(&[&path]), format!("{below}\n"));
        path = below;
    }
    let (sealed, unsealed) = (
        format!("{}\tsealed\t3 bytes\n", run_path(RUN)),
        format!("{}\tunsealed\t15 bytes\n", run_path(NEWER)),
    );
    assert_eq!(list(&[PARTITION]), format!("{sealed}{unsealed}"));
    assert_eq!(list(&[&run_path(NEWER)]), unsealed);
    assert_eq!(list(&["nobody"]), "");
}

#[test]
fn runs_lists_all_runs_at_any_depth_in_order() {
    let landing = filled();
    let list =
        |args: &[&str]| landing.rawsink([&["list", "--runs"], args].concat()).exits(0).stdout;
    let crm = "crm/customer_id=9/query_name=a/logical_date=2024-05-01/run_id=r\tsealed\t3 bytes\n";
    let ads =
        format!("{}\tsealed\t3 bytes\n{}\tunsealed\t15 bytes\n", run_path(RUN), run_path(NEWER));
    assert_eq!(list(&[]), format!("{crm}{ads}"));
    assert_eq!(list(&["crm"]), crm);
    for prefix in ["google_ads", "google_ads/customer_id=123", PARTITION] {
        assert_eq!(list(&[prefix]), ads);
    }
}

#[test]
fn a_json_list_has_one_object_per_line() {
    let landing = filled();
    let list =
        |args: &[&str]| landing.rawsink([&["list", "--json"], args].concat()).exits(0).json();
    let places = list(&["google_ads"]);
    assert_eq!(places.len(), 1);
    assert_eq!(places[0]["path"], "google_ads/customer_id=123");
    assert_eq!(places[0]["level"], "customer_id");
    assert_eq!(places[0]["value"], "123");
    let runs = list(&[PARTITION]);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["path"], run_path(RUN));
    assert_eq!((&runs[0]["sealed"], &runs[1]["sealed"]), (&true.into(), &false.into()));
    assert_eq!(runs[1]["run_id"], NEWER);
    assert_eq!(runs[1]["payload_bytes"], 15);
    assert_eq!(list(&["--runs"]).len(), 3);
}

#[test]
fn an_empty_sink_lists_nothing_and_creates_no_directory() {
    let landing = Landing::new();
    let before = landing.snapshot();
    for args in [&["list"][..], &["list", "--runs"], &["list", PARTITION]] {
        let answer = landing.rawsink(args).exits(0);
        assert_eq!(answer.stdout, "");
        assert!(answer.stderr.starts_with("no runs exist"), "{}", answer.stderr);
        assert!(answer.stderr.ends_with("RAW_SINK_ROOT=data/raw\n"), "{}", answer.stderr);
    }
    assert_eq!(landing.snapshot(), before);
}

#[test]
fn staging_files_are_no_run() {
    let landing = filled();
    let staged = run_path("staged");
    landing.rawsink(["read", &staged]).exits(3).one_error("NotFound");
    landing.rawsink(["show", &staged]).exits(3).one_error("NotFound");
    landing.feed(["write", &staged], "{}\n").exits(0);
    let names: Vec<String> =
        landing.files().into_iter().filter(|path| path.contains("run_id=staged")).collect();
    assert_eq!(names.len(), 2, "a staging file is left: {names:?}");
}

#[test]
fn links_are_refused_or_followed_but_never_in_circles() {
    let landing = filled();
    for name in ["x", "y", "z"] {
        std::os::unix::fs::symlink(".", landing.dir().join("data/raw").join(name)).unwrap();
    }
    let answer = landing.rawsink(["list", "--runs"]).exits(2);
    assert_eq!(answer.stdout.lines().count(), 3, "{answer:#?}");
    let answer = answer.says(&["symbolic link (", "data/raw/x)", "data/raw/y)", "data/raw/z)"]);
    answer.says(&["hint: replace the link by what it leads to, or set RAW_SINK_FOLLOW_LINKS=1"]);
    let landing = landing.with("RAW_SINK_FOLLOW_LINKS", "1");
    let listed = landing.rawsink(["list", "--runs"]).exits(0).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
}
