//! Names of partitions and runs, from the command line to the disk and back.

use crate::landing::{Landing, PARTITION, RUN, run_path};

const ROW: &str = "{}\n";

#[test]
fn the_run_may_be_in_the_path_in_an_option_or_in_both_if_equal() {
    let path = run_path(RUN);
    for args in [vec![&*path], vec![PARTITION, "--run-id", RUN], vec![&path, "--run-id", RUN]] {
        let landing = Landing::new();
        landing.feed([&["write"], &args[..]].concat(), ROW).exits(0);
        assert!(landing.metadata(RUN).exists());
    }
    let landing = Landing::new();
    let answer = landing.feed(["write", &path, "--run-id", "other"], ROW).exits(2);
    let error = answer.one_error("Invalid");
    assert!(error.contains(RUN) && error.contains("other"), "{error}");
    assert_eq!(landing.files(), Vec::<String>::new());
}

#[test]
fn run_ids_that_are_no_time_stamps_work_with_a_warning() {
    let landing = Landing::new();
    for run in ["2024-06-02T00:00:00Z", "2024-06-02", "run-1", "2024-06-02T00:00:00.000+00:00"] {
        landing.land(run, ROW).says(&["warning: run id ", run, "may not sort by time"]);
        assert_eq!(landing.rawsink(["read", &run_path(run)]).exits(0).stdout, ROW);
    }
    let answer = landing.land(RUN, ROW);
    assert!(!answer.stderr.contains("run id"), "{answer:#?}");
}

#[test]
fn a_customer_with_hyphens_works_with_a_warning() {
    let landing = Landing::new();
    let path = format!("{}/run_id={RUN}", PARTITION.replace("123", "123-456-7890"));
    landing.feed(["write", &path], ROW).exits(0).says(&["warning: customer_id", "hyphens"]);
    assert_eq!(landing.rawsink(["read", &path]).exits(0).stdout, ROW);
}

#[test]
fn unusual_characters_pass_through_unchanged() {
    let names = [
        "a:b",
        "a=b",
        "a%2Fb",
        "a+b",
        "a#b",
        "a b",
        "caf\u{e9}",
        "cafe\u{301}",
        "a?b&c",
        "~a$b`c'd\"e*",
        "-a",
    ];
    for name in names {
        let landing = Landing::new();
        let partition =
            format!("x{name}/customer_id={name}/query_name={name}/logical_date=2024-06-01");
        let path = format!("{partition}/run_id={name}");
        let answer = landing.feed(["write", &path, "--then-validate"], ROW).exits(0);
        assert_eq!(answer.stdout, format!("{path}\n"));
        let files =
            ["metadata.json", "payload.jsonl"].map(|file| format!("data/raw/{path}/{file}"));
        let landed = landing.files();
        assert!(files.iter().all(|file| landed.contains(file)), "{landed:?}");
        let mut prefix = String::new();
        for segment in path.split('/') {
            let listed = landing.rawsink(["list", &prefix]).exits(0).stdout;
            prefix = format!("{prefix}/{segment}").trim_start_matches('/').to_owned();
            assert_eq!(listed.lines().next().unwrap().split('\t').next().unwrap(), prefix);
        }
        for command in [&["read", &*path][..], &["read", &partition, "--current"]] {
            assert_eq!(landing.rawsink(command).exits(0).stdout, ROW);
        }
        let shown = &landing.rawsink(["show", &path, "--json"]).exits(0).json()[0];
        assert_eq!(shown["metadata"]["customer_id"], name);
        assert_eq!(shown["run_id"], name);
        let state = &landing.rawsink(["state", "show", &partition, "--json"]).exits(0).json()[0];
        assert_eq!((&state["query_name"], &state["current_run_id"]), (&name.into(), &name.into()));
    }
}

#[test]
fn a_path_pasted_from_the_disk_may_start_with_the_root() {
    let landing = Landing::new();
    let pasted = format!("data/raw/{}", run_path(RUN));
    landing.feed(["write", &pasted], ROW).exits(0);
    for path in [
        &*pasted,
        &format!("./{pasted}/"),
        &format!("{pasted}/payload.jsonl"),
        &format!("{pasted}/metadata.json"),
    ] {
        assert_eq!(landing.rawsink(["read", path]).exits(0).stdout, ROW, "{path}");
    }
    let absolute = Landing::new();
    let root = absolute.dir().join("data/raw").to_str().unwrap().to_owned();
    let absolute = absolute.with("RAW_SINK_ROOT", root.clone());
    absolute.feed(["write", &format!("{root}/{}", run_path(RUN))], ROW).exits(0);
    assert!(absolute.metadata(RUN).exists());
}

#[test]
fn a_wrong_path_is_refused_and_the_wrong_segment_named() {
    let landing = Landing::without_root();
    let query = "google_ads/customer_id=1/query_name=q";
    for (path, said) in [
        (
            "google_ads/customer_id=1/query=q/logical_date=2024-06-01",
            "found \"query=q\", expected \"query_name=\"",
        ),
        (
            "google_ads/customer_id=1/logical_date=2024-06-01",
            "found \"logical_date=2024-06-01\", expected \"query_name=\"",
        ),
        (
            "google_ads/customer_id=/query_name=q/logical_date=2024-06-01",
            "customer_id \"\" is empty",
        ),
        (&format!("{query}/logical_date=2024-02-30"), "logical_date \"2024-02-30\""),
        (&format!("{query}/logical_date=2024-6-1"), "logical_date \"2024-6-1\""),
        (&format!("{query}/logical_date=2024-06-01/run_id=.."), "run_id \"..\""),
        (
            &format!("{query}/logical_date=2024-06-01/run_id=r/x"),
            "unexpected segment \"x\" below the run",
        ),
        (
            &format!("other/{query}/logical_date=2024-06-01"),
            "it starts with \"other\", outside the root",
        ),
        (&format!("/{query}/logical_date=2024-06-01"), "data/raw\""),
        ("google_ads/1/query_name=q", "found \"1\", expected \"customer_id=\" as in SOURCE/"),
        ("google_ads/customer=1/q/2024-06-01", "found \"customer=1\", expected \"customer_id=\""),
        ("google_ads/1/q/2024-02-30", "logical_date \"2024-02-30\""),
        (&format!("_{query}/logical_date=2024-06-01"), "source \"_google_ads\""),
        (&format!("{query}\n/logical_date=2024-06-01"), "control character"),
        ("customer_id=1/query_name=q/logical_date=2024-06-01", "the source is missing"),
        (query, "logical_date is missing"),
        ("google_ads", "customer_id is missing"),
        ("", "source is missing"),
    ] {
        let answer = landing.feed(["write", path], ROW).exits(2);
        assert!(answer.one_error("Invalid").contains(said), "does not say {said:?}: {answer:#?}");
    }
    assert_eq!(landing.snapshot().len(), 0, "{:?}", landing.files());
}

#[test]
fn names_too_long_together_are_refused_before_extraction() {
    let landing = Landing::without_root();
    let long = "x".repeat(240);
    let path = format!(
        "{long}/customer_id={long}/query_name={long}/logical_date=2024-06-01/run_id={long}"
    );
    let answer = landing.rawsink(["write", &path, "--", "touch", "extracted"]).exits(2);
    assert!(answer.one_error("Invalid").contains("1024"), "{answer:#?}");
    assert_eq!(landing.snapshot().len(), 0, "{:?}", landing.files());
}

#[test]
fn a_path_pasted_from_a_shell_may_start_with_the_absolute_root() {
    let landing = Landing::new();
    landing.land(RUN, ROW).exits(0);
    let pasted = landing.payload(RUN).canonicalize().unwrap();
    assert_eq!(landing.rawsink(["read", pasted.to_str().unwrap()]).exits(0).stdout, ROW);
}
