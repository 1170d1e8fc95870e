//! Runs whose ids are times in the future: refused, judged, named as what blocks others, withdrawn.

use crate::landing::{Landing, PARTITION, RUN, run_path};

const FUTURE: &str = "2099-01-01T00:00:00.000Z";
/// A run of today, later than [`RUN`].
const LATER: &str = "2024-06-03T00:00:00.000Z";

/// Returns a landing in which a run of the future has authority, and the same one with today's limit.
fn careless() -> Landing {
    let landing = Landing::new().with("RAW_SINK_MAX_RUN_AHEAD_S", "3000000000");
    landing.land(FUTURE, "{\"night\":\"bad\"}\n");
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
    landing.with("RAW_SINK_MAX_RUN_AHEAD_S", "3600")
}

#[test]
fn a_run_id_from_the_future_is_refused_before_the_extraction() {
    let landing = Landing::new();
    for id in [FUTURE, "2099-01-01", "20990101T000000Z"] {
        let write = ["write", PARTITION, "--run-id", id, "--", "touch", "extracted"];
        let answer = landing.rawsink(write).exits(2);
        answer.one_error("Invalid");
        answer.says(&[
            &run_path(id),
            "is a time in the future: this host's clock is at 20",
            "3600 s ahead are allowed",
            "nothing was sealed",
            "hint: check --run-id and this host's clock, or set RAW_SINK_MAX_RUN_AHEAD_S",
        ]);
    }
    assert_eq!(landing.files(), Vec::<String>::new());
}

#[test]
fn a_run_that_a_future_run_blocks_ends_with_1_and_the_command_that_helps() {
    let landing = careless();
    let write = ["write", PARTITION, "--run-id", RUN, "--then-validate"];
    let answer = landing.feed(write, "{\"n\":1}\n").exits(1);
    let withdraw = format!("rawsink state withdraw {}", run_path(FUTURE));
    let why =
        format!("run {RUN} passed and got no authority: run {FUTURE} has it, and its id is a time");
    answer.says(&[&why, &format!("hint: run \"{withdraw} --reason REASON\"")]);
    landing.rawsink(["validate", &run_path(RUN)]).exits(1).says(&[&why]);
    let json = landing.rawsink(["validate", &run_path(RUN), "--json"]).exits(1).json();
    assert_eq!(json[0]["authority"], "future_run");
    // This run is never due, and is not kept silent.
    landing.land(LATER, "{\"n\":2}\n");
    let all = landing.rawsink(["validate", "--all"]).exits(1);
    assert_eq!(all.stdout, "");
    all.says(&[
        &format!("run {LATER} cannot get authority: run {FUTURE} has it"),
        &withdraw,
        "1 kept from authority",
    ]);
    // The commands help, as printed. The run of the future goes only if another one has passed.
    let coverage = ["coverage", "--until", "2024-06-01"];
    assert!(landing.rawsink(coverage).exits(0).stdout.contains("(unknown run)"));
    let plan = [&coverage[..], &["--plan"]].concat();
    let first = landing.rawsink(&plan).exits(0).stdout;
    assert_eq!(first, format!("rawsink validate {}\n", run_path(LATER)));
    landing.shell(&first).exits(1);
    let covered = landing.rawsink(coverage).exits(1);
    landing.rawsink([&coverage[..], &["--fail-on", "missing"]].concat()).exits(0);
    assert!(covered.stdout.contains("(blocked run)"), "{covered:#?}");
    covered.says(&["1 partition with a run that cannot get authority"]);
    let second = landing.rawsink(&plan).exits(1).stdout;
    assert_eq!(second, format!("{withdraw} --reason 'its id sorts after new runs'\n"));
    landing.shell(&second).exits(0);
    assert_eq!(landing.rawsink(["read", PARTITION, "--current"]).exits(0).stdout, "{\"n\":2}\n");
}

#[test]
fn an_older_run_that_passes_gets_a_line_and_exit_0() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.land(LATER, "{}\n{}\n");
    let newest = landing.rawsink(["validate", PARTITION, "--latest", "--require-authority"]);
    newest.exits(0);
    let older = landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    let line = format!(
        "run {RUN} passed and got no authority, because the id of run {LATER} sorts after it"
    );
    older.says(&[&line]);
    landing.rawsink(["validate", &run_path(RUN), "--require-authority"]).exits(1).says(&[&line]);
}

#[test]
fn an_older_run_that_a_lost_run_blocks_ends_with_1() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.land(LATER, "{}\n{}\n");
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
    std::fs::remove_file(landing.metadata(LATER)).unwrap();
    let answer = landing.rawsink(["validate", &run_path(RUN)]).exits(1);
    answer.says(&[
        &format!("run {RUN} passed and got no authority: run {LATER} has it and is lost"),
        &format!("restore run {LATER} from a backup, or run \"rawsink state withdraw"),
    ]);
}
