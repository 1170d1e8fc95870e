//! The demo, and the commands that it suggests.

use crate::{
    landing::{Landing, answer},
    namespace,
};

/// Returns the lines after "Try next", as a script.
fn try_next(story: &str) -> Vec<String> {
    let lines = story.lines().skip_while(|line| !line.starts_with("Try next")).skip(1);
    lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_demo_shows_every_step_and_can_be_rerun() {
    let landing = Landing::new();
    for _ in 0..2 {
        let answer = landing.rawsink(["demo", "--dir", "try it"]).exits(0);
        assert_eq!(answer.stderr, "");
        for told in [
            "Write 18 extracts",
            "refused: the run is already sealed",
            "18 passed, 0 failed",
            "identical to the rows written",
            "below try it",
            "   google_ads/\n     customer_id=1234567890/\n       query_name=",
            "payload.jsonl ",
            "metadata.json\n",
            "Try next",
        ] {
            assert!(answer.stdout.contains(told), "does not tell {told:?}: {}", answer.stdout);
        }
    }
    let outside: Vec<String> =
        landing.files().into_iter().filter(|path| !path.starts_with("try it/")).collect();
    assert_eq!(outside, Vec::<String>::new());
}

#[test]
fn a_demo_reports_a_newer_run_with_authority() {
    let landing = Landing::new();
    let story = landing.rawsink(["demo"]).exits(0).stdout;
    let commands = try_next(&story);
    let partition = commands[1].split_whitespace().nth(2).unwrap();
    let newer = format!("{partition} --run-id 2099-01-01T00:00:00.000Z");
    let allowed = "RAW_SINK_MAX_RUN_AHEAD_S=3000000000";
    let land = format!("echo '{{}}' | {allowed} rawsink write {newer} --then-validate");
    landing.shell(&format!("{}\n{land}", commands[0])).exits(0);
    let answer = landing.rawsink(["demo"]).exits(1);
    assert!(answer.stderr.contains("a newer run has authority; use another --dir"), "{answer:?}");
}

#[test]
fn the_commands_that_the_demo_prints_work_as_printed() {
    for dir in ["plain", "try it's $HOME", "/absolute"] {
        let landing = Landing::without_root();
        let dir = match dir.strip_prefix('/') {
            Some(name) => landing.dir().join(name).to_str().unwrap().to_owned(),
            None => dir.to_owned(),
        };
        let story = landing.rawsink(["demo", "--dir", &dir]).exits(0).stdout;
        let commands = try_next(&story);
        assert!(commands.len() >= 4, "{story}");
        let answer = landing.shell(&format!("set -e\n{}", commands.join("\n"))).exits(0);
        for shown in ["{\"campaign\"", "\"api_version\"", "my_api/customer_id=1/"] {
            assert!(answer.stdout.contains(shown), "no {shown:?} in {}", answer.stdout);
        }
        assert!(!answer.stderr.contains("error"), "{answer:#?}");
        assert!(!answer.stderr.contains("warning"), "{answer:#?}");
        let records =
            landing.shell(&format!("{}\nrawsink state list --status success", commands[0]));
        assert_eq!(records.exits(0).stdout.lines().count(), 18);
        assert!(!landing.dir().join("data").exists(), "the default directory was used");
    }
}

#[test]
fn the_demo_uses_the_defaults_in_any_environment() {
    let landing = Landing::new()
        .with("RAW_SINK", "nonsense")
        .with("RAW_SINK_ROOT", "/nowhere/raw")
        .with("RAW_SINK_STATE_URL", "postgres://nowhere/state");
    landing.rawsink(["demo"]).exits(0);
    assert!(landing.files().iter().all(|path| path.starts_with("rawsink-demo/")));
}

#[test]
fn the_demo_needs_no_network() {
    let Some(mut command) = namespace::unshare("--net") else { return };
    let landing = Landing::new();
    let demo = landing.command(["demo"]);
    command.arg(demo.get_program()).args(demo.get_args()).current_dir(landing.dir());
    let answer = answer(command, b"").exits(0);
    assert!(answer.stdout.contains("identical to the rows written"), "{answer:#?}");
}

#[test]
fn with_json_the_demo_prints_only_json_to_standard_output() {
    let landing = Landing::new();
    let answer =
        landing.rawsink(["demo", "--json"]).exits(0).says(&["identical to the rows written"]);
    answer.json();
}

#[test]
fn a_demo_without_a_usable_directory_is_an_error() {
    let landing = Landing::new();
    landing.file("taken", "");
    landing.rawsink(["demo", "--dir", "taken"]).exits(2).one_error("Invalid");
}
