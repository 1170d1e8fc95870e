//! The plan, pasted into a shell.

use super::{SERIES, landing, of_day};
use crate::landing::{Landing, RUN};

#[test]
fn a_pasted_plan_runs_and_leaves_only_extractions() {
    let landing = landing();
    let plan = landing.rawsink(["coverage", "--until", "2024-06-05", "--plan"]).exits(1).stdout;
    let expected = [
        format!("# rawsink write {} -- EXTRACT", of_day("02")),
        format!("rawsink validate {}/run_id={RUN}", of_day("03")),
        format!("# rawsink write {}/run_id={RUN} -- EXTRACT", of_day("04")),
        format!("# rawsink write {} -- EXTRACT", of_day("05")),
    ];
    assert_eq!(plan.lines().collect::<Vec<_>>(), expected);
    landing.shell(&format!("set -eu\n{plan}")).exits(0);
    let extracting = plan.lines().filter_map(|line| line.strip_prefix("# "));
    let extracting: Vec<String> =
        extracting.map(|line| line.replace("EXTRACT", "echo '{}'")).collect();
    landing.shell(&format!("set -eu\n{}", extracting.join("\n"))).exits(0);
    // The newly landed runs are sealed now.
    let plan = landing.rawsink(["coverage", "--plan"]).exits(1).stdout;
    assert_eq!(plan.lines().count(), 3, "{plan}");
    landing.shell(&format!("set -eu\n{plan}")).exits(0);
    let covered = landing.rawsink(["coverage", "--until", "2024-06-05"]).exits(0).stdout;
    assert_eq!(covered, format!("{SERIES}\tvalidated 2024-06-01..2024-06-05\n"));
    assert_eq!(landing.rawsink(["coverage", "--plan"]).stdout, "");
}

#[test]
fn a_plan_with_a_command_runs_as_it_is_and_shares_one_run() {
    let landing = landing();
    let scope = ["coverage", "--until", "2024-06-05", "--plan"];
    let command = "echo {\\\"day\\\":\\\"{logical_date}\\\",\\\"of\\\":\\\"{customer_id}\\\"}";
    for _ in 0..2 {
        let plan = landing.rawsink([&scope[..], &["--command", command]].concat()).exits(1).stdout;
        assert!(!plan.contains('#'), "{plan}");
        landing.shell(&format!("set -eu\n{plan}")).exits(0);
    }
    landing.rawsink(["coverage", "--until", "2024-06-05"]).exits(0);
    let rows = landing.rawsink(["read", &of_day("05"), "--current"]).exits(0).stdout;
    assert_eq!(rows, "{\"day\":\"2024-06-05\",\"of\":\"123\"}\n");
    let runs = landing.rawsink(["list", SERIES, "--runs"]).exits(0).stdout;
    let new: std::collections::BTreeSet<&str> = runs
        .lines()
        .filter_map(|line| line.split("run_id=").nth(1)?.split_whitespace().next())
        .filter(|run| *run != RUN)
        .collect();
    assert_eq!(new.len(), 1, "{runs}");
}

#[test]
fn a_lost_run_is_never_written_again_and_one_of_the_future_is_withdrawn() {
    let landing = Landing::new().with("RAW_SINK_MAX_RUN_AHEAD_S", "3000000000");
    for (day, run) in [("01", RUN), ("02", "2099-01-01T00:00:00.000Z")] {
        landing.feed(["write", &of_day(day), "--run-id", run], "{}\n").exits(0);
        landing.rawsink(["validate", &of_day(day), "--latest"]).exits(0);
        let seal = format!("data/raw/{}/run_id={run}/metadata.json", of_day(day));
        std::fs::remove_file(landing.dir().join(seal)).unwrap();
    }
    let scope = ["coverage", "--until", "2024-06-02", "--plan", "--command", "echo {}"];
    for _ in 0..2 {
        let plan = landing.rawsink(scope).exits(1).stdout;
        let written = plan.lines().filter(|line| line.starts_with("rawsink write"));
        assert!(!written.clone().any(|line| line.contains(RUN) || line.contains("2099")), "{plan}");
        landing
            .shell(&format!("set -eu\n{}", plan.replace("-- echo {}", "-- echo '{\"new\":1}'")))
            .exits(0);
    }
    landing.rawsink(["coverage", "--until", "2024-06-02"]).exits(0);
    for day in ["01", "02"] {
        let rows = landing.rawsink(["read", &of_day(day), "--current"]).exits(0).stdout;
        assert_eq!(rows, "{\"new\":1}\n");
    }
}

#[test]
fn names_reach_the_command_unchanged() {
    let landing = Landing::new();
    for (source, customer) in
        [("-x", "1"), ("ads", "o'brien & \"sons\" $HOME `id`"), ("~", "*"), ("a b", "#1;exit 3")]
    {
        let path =
            format!("./{source}/customer_id={customer}/query_name=q/logical_date=2024-06-01");
        landing.feed(["write", &path], "{}\n").exits(0);
    }
    let plan = landing.rawsink(["coverage", "--plan"]).exits(1).stdout;
    assert_eq!(plan.lines().count(), 4);
    landing.shell(&format!("set -eu\n{plan}")).exits(0);
    let covered = landing.rawsink(["coverage", "--until", "2024-06-01"]).exits(0).stdout;
    assert!(covered.lines().all(|line| line.ends_with("\tvalidated 2024-06-01")), "{covered}");
}

#[test]
fn steps_are_available_as_json() {
    let steps = landing().rawsink(["coverage", "--plan", "--json"]).exits(1).json();
    let step = |n: usize, name: &str| steps[n][name].as_str().unwrap().to_owned();
    assert_eq!(
        [step(0, "action"), step(1, "action"), step(2, "action")],
        ["land", "validate", "restart"]
    );
    let facts = [step(0, "path"), step(0, "logical_date"), step(0, "command")];
    let command = format!("# rawsink write {} -- EXTRACT", of_day("02"));
    assert_eq!(facts, [of_day("02"), "2024-06-02".to_owned(), command]);
}

#[test]
fn a_plan_works_on_the_store_that_env_names_and_sets_metadata() {
    let landing = Landing::new();
    let store = landing.dir().join("other store");
    std::fs::create_dir(&store).unwrap();
    let path = |name: &str| store.join(name).display().to_string();
    let settings = format!(
        "RAW_SINK_ROOT='{}'\nRAW_SINK_STATE_URL='sqlite:{}'\n",
        path("raw"),
        path("state.db")
    );
    landing.file("other.env", settings);
    let env = ["--env", "other.env"];
    let [landed, missing] = ["01", "02"].map(of_day);
    let write = [&env[..], &["write", &landed, "--then-validate"]].concat();
    landing.feed(write, "{}\n").exits(0);
    let scope = ["coverage", "--until", "2024-06-02", "--plan", "--command", "echo '{}'"];
    let set = ["--set", "api_version=v 21", "--set", "pages:=2"];
    let plan = landing.rawsink([&env[..], &scope, &set].concat()).exits(1).stdout;
    // From another directory too.
    landing.shell(&format!("set -eu; cd /\n{plan}")).exits(0);
    let shown = [&env[..], &["show", &missing, "--latest", "--json"]].concat();
    let metadata = &landing.rawsink(shown).exits(0).json()[0]["metadata"];
    assert_eq!((&metadata["api_version"], &metadata["pages"]), (&"v 21".into(), &2.into()));
    let denied = landing.rawsink(["--env", "other.env", "read", &of_day("09"), "--latest"]);
    let hint = format!("run \"rawsink --env {}/other.env list ", landing.dir().display());
    assert!(denied.exits(3).stderr.contains(&hint));
}
