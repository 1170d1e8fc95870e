//! CPU time of the commands and their floors.

use crate::{
    budget::{CPU_RATIO, judge},
    lab::{Lab, PARTITION, ROWS, Sink},
    measure::Usage,
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
        let results = rounds(case, lab);
        let (command, floors) = results.split_first().unwrap();
        for (usage, floor) in floors.iter().zip(case.floors) {
            let ratio = command.cpu_s / usage.cpu_s;
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

/// Runs a command and its floors in turn, and returns the minimum of each.
fn rounds(case: &Case, lab: &Lab) -> Vec<Usage> {
    let mut least: Vec<Usage> = Vec::new();
    for _ in 0..lab.rounds {
        if case.name == "write" {
            // Another round needs the space; readers need one run.
            lab.clear(case.sink);
            lab.warm_page_cache();
        }
        let mut round = vec![lab.program(case.sink, case.arguments)];
        for floor in case.floors {
            if floor.name.contains("store") {
                lab.warm_page_cache();
            }
            round.push(lab.own(case.sink, &["floor", floor.name, ROWS]));
        }
        if least.is_empty() {
            least = round;
        } else {
            least = least.into_iter().zip(round).map(|(best, now)| best.least(now)).collect();
        }
    }
    least
}
