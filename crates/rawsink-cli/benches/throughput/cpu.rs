//! CPU time of the commands and their floors.

use crate::{
    budget::{CPU_RATIO, judge},
    lab::{Lab, PARTITION, ROWS, Sink},
    rounds::Rounds,
};

/// A command of the program and its floors.
struct Case {
    sink: Sink,
    name: &'static str,
    arguments: &'static [&'static str],
    floors: &'static [Floor],
}

struct Floor {
    name: &'static str,
    /// Maximum CPU time of the command as a multiple of this floor's.
    budget: Option<f64>,
}

const fn promised(name: &'static str) -> Floor {
    Floor { name, budget: Some(CPU_RATIO) }
}

const WRITE: &[&str] = &["write", PARTITION, ROWS];
const READ: &[&str] = &["read", PARTITION, "--latest"];
const VERIFY: &[&str] = &["verify", PARTITION, "--latest"];
const VALIDATE: &[&str] = &["validate", PARTITION, "--latest"];

/// Reading commands come after the one that writes their data.
const CASES: [Case; 8] = [
    Case {
        sink: Sink::Filesystem,
        name: "write",
        arguments: WRITE,
        floors: &[
            promised("read+json+sha256"),
            Floor { name: "read+json+sha256+store", budget: None },
        ],
    },
    Case {
        sink: Sink::Filesystem,
        name: "read",
        arguments: READ,
        floors: &[promised("read+sha256")],
    },
    Case {
        sink: Sink::Filesystem,
        name: "verify",
        arguments: VERIFY,
        floors: &[promised("read+sha256")],
    },
    Case {
        sink: Sink::Filesystem,
        name: "validate",
        arguments: VALIDATE,
        floors: &[promised("read+json+sha256")],
    },
    Case {
        sink: Sink::Object,
        name: "write",
        arguments: WRITE,
        floors: &[promised("read+json+sha256+upload")],
    },
    Case {
        sink: Sink::Object,
        name: "read",
        arguments: READ,
        floors: &[promised("download+sha256")],
    },
    Case {
        sink: Sink::Object,
        name: "verify",
        arguments: VERIFY,
        floors: &[promised("download+sha256")],
    },
    Case {
        sink: Sink::Object,
        name: "validate",
        arguments: VALIDATE,
        floors: &[promised("download+json+sha256")],
    },
];

/// Prints the table for rows of `bytes` bytes.
pub(crate) fn table(lab: &Lab, sinks: &[Sink], bytes: u64) {
    println!(
        "| sink | command | CPU s/GiB | floor | CPU s/GiB | ratio | budget | verdict |\n|---|---|---|---|---|---|---|---|"
    );
    for case in CASES.iter().filter(|case| sinks.contains(&case.sink)) {
        let rounds = rounds(case, lab);
        let command = rounds.least(0);
        for (way, floor) in (1..).zip(case.floors) {
            let (usage, ratio) = (rounds.least(way), rounds.ratio(way, |usage| usage.cpu_s));
            let (budget, verdict) = match floor.budget {
                Some(budget) => (budget.to_string(), judge(ratio, budget)),
                None => (String::new(), ""),
            };
            println!(
                "| {} | `{}` | {:.2} | {} | {:.2} | {ratio:.2} | {budget} | {verdict} |",
                case.sink.name(),
                case.name,
                command.cpu_per_gib(bytes),
                floor.name,
                usage.cpu_per_gib(bytes),
            );
        }
    }
    for sink in sinks {
        lab.clear_everything(*sink);
    }
}

/// Runs a command and its floors in turn.
fn rounds(case: &Case, lab: &Lab) -> Rounds {
    Rounds::measure(lab.rounds, 1 + case.floors.len(), |way| match way.checked_sub(1) {
        None => {
            if case.name == "write" {
                // Another round needs the space; readers need one run.
                lab.clear(case.sink);
                lab.warm_page_cache();
            }
            lab.program(case.sink, case.arguments)
        }
        Some(floor) => {
            let floor = case.floors[floor].name;
            if floor.contains("store") {
                lab.warm_page_cache();
            }
            lab.own(case.sink, &["floor", floor, ROWS])
        }
    })
}
