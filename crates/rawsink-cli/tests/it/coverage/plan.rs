//! The plan, pasted into a shell.

use super::{SERIES, land, landing, of_day};
use crate::landing::{Landing, RUN};

#[test]
fn a_pasted_plan_runs_and_leaves_only_extractions() {
    let landing = landing();
    let plan = landing.rawsink(["coverage", "--until", "2024-06-05", "--plan"]).exits(1).stdout;
    let expected = [
        format!("rawsink state retry {}", of_day("02")),
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
    // Failed and newly landed runs are sealed now and pending.
    let plan = landing.rawsink(["coverage", "--plan"]).exits(0).stdout;
    assert_eq!(plan.lines().count(), 3, "{plan}");
    landing.shell(&format!("set -eu\n{plan}")).exits(0);
    let covered = landing.rawsink(["coverage"]).exits(0).stdout;
    assert_eq!(covered, format!("{SERIES}\tvalidated 2024-06-01..2024-06-05\n"));
    assert_eq!(landing.rawsink(["coverage", "--plan"]).exits(0).stdout, "");
}

#[test]
fn consecutive_failed_days_are_one_command_without_a_prompt() {
    let landing = Landing::new();
    for day in 1..=25 {
        let day = format!("{day:02}");
        land(&landing, &day);
        landing.rawsink(["validate", &of_day(&day), "--latest", "--strict"]).exits(1);
    }
    let plan = landing.rawsink(["coverage", "--plan"]).exits(0).stdout;
    let expected =
        format!("rawsink state retry {SERIES} --since 2024-06-01 --until 2024-06-25 --yes\n");
    assert_eq!(plan, expected);
    landing.shell(&plan).exits(0).says(&["25 partitions set back to pending"]);
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
    let plan = landing.rawsink(["coverage", "--plan"]).exits(0).stdout;
    assert_eq!(plan.lines().count(), 4);
    landing.shell(&format!("set -eu\n{plan}")).exits(0);
    let covered = landing.rawsink(["coverage"]).exits(0).stdout;
    assert!(covered.lines().all(|line| line.ends_with("\tvalidated 2024-06-01")), "{covered}");
}

#[test]
fn steps_are_available_as_json() {
    let steps = landing().rawsink(["coverage", "--plan", "--json"]).exits(0).json();
    let step = |n: usize, name: &str| steps[n][name].as_str().unwrap().to_owned();
    assert_eq!(
        [step(0, "action"), step(1, "action"), step(2, "action")],
        ["retry", "validate", "restart"]
    );
    assert_eq!([step(0, "path"), step(0, "since")], [of_day("02"), "2024-06-02".to_owned()]);
    assert_eq!(step(0, "command"), format!("rawsink state retry {}", of_day("02")));
}
