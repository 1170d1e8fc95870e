//! CPU and memory of the program beside floors measured in the same run.
//!
//! `make bench` prints the tables of `docs/performance.md`. Machines are shared and noisy, so
//! figures are ratios: every command runs in turn with its floor, several rounds, and the least
//! CPU time of each counts. The floors do the same work on the same bytes with the same crates.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark, not the product"
)]

mod floor;
mod measure;
mod rows;

use std::path::Path;

use crate::measure::{Usage, measure};

const PARTITION: &str = "ads/customer_id=123/query_name=campaign/logical_date=2024-06-01";
const DEFAULT_MIB: u64 = 1024;
const ROUNDS: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["floor", name, file] => floor::run(name, Path::new(file)),
        ["measure", command @ ..] => measure::child(command),
        [] => run(DEFAULT_MIB),
        ["--mib", mib] => run(mib.parse().unwrap()),
        other => panic!("usage: throughput [--mib N], not {other:?}"),
    }
}

/// One line of the table: a command of the program and what it is compared with.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    floors: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case {
        name: "write",
        arguments: &["write", PARTITION, "rows.jsonl"],
        floors: &["read+json+sha256+store", "read+json+sha256"],
    },
    Case { name: "read", arguments: &["read", PARTITION, "--latest"], floors: &["read+sha256"] },
    Case {
        name: "verify",
        arguments: &["verify", PARTITION, "--latest"],
        floors: &["read+sha256"],
    },
    Case {
        name: "validate",
        arguments: &["validate", PARTITION, "--latest"],
        floors: &["read+json+sha256"],
    },
];

fn run(mib: u64) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bytes = rows::generate(&dir.path().join("rows.jsonl"), mib);
    println!(
        "{} of 300-byte rows, least CPU time of {ROUNDS} rounds, {}\n",
        amount(bytes),
        machine()
    );
    println!(
        "| command | CPU s/GiB | floor | CPU s/GiB | ratio | peak memory |\n|---|---|---|---|---|---|"
    );
    for case in &CASES {
        let results = rounds(case, dir.path());
        let (command, floors) = results.split_first().unwrap();
        for (floor, name) in floors.iter().zip(case.floors) {
            println!(
                "| `{}` | {:.2} | {name} | {:.2} | {:.2} | {:.1} MiB |",
                case.name,
                command.cpu_per_gib(bytes),
                floor.cpu_per_gib(bytes),
                command.cpu_s / floor.cpu_s,
                command.peak_mib
            );
        }
    }
    println!("\n| start | least wall time |\n|---|---|");
    for arguments in [&["--help"][..], &["list"], &["list", PARTITION]] {
        let least = (0..20).map(|_| program(dir.path(), arguments).wall_s).fold(f64::MAX, f64::min);
        let shown = if arguments.len() > 1 { "list PARTITION" } else { arguments[0] };
        println!("| `rawsink {shown}` | {:.1} ms |", least * 1000.0);
    }
}

/// Runs a command and its floors in turn, and returns the least of each.
fn rounds(case: &Case, dir: &Path) -> Vec<Usage> {
    let mut least: Vec<Usage> = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        if case.name == "write" {
            // Another round needs the space; a partition has one run.
            let _ = std::fs::remove_dir_all(dir.join("data"));
            warm_page_cache(dir);
        }
        round.push(program(dir, case.arguments));
        for floor in case.floors {
            if floor.contains("store") {
                warm_page_cache(dir);
            }
            round.push(floor_of(floor, dir));
        }
        if least.is_empty() {
            least = round;
        } else {
            least = least.into_iter().zip(round).map(|(best, now)| best.least(now)).collect();
        }
    }
    least
}

/// Takes as much page cache as a command will, and gives it back.
///
/// On a virtual machine the first use of a page is paid to the host, which can cost more than the
/// whole command and falls on whoever comes first.
fn warm_page_cache(dir: &Path) {
    let (from, to) = (dir.join("rows.jsonl"), dir.join("warm"));
    let mut warm = std::fs::File::create(&to).unwrap();
    std::io::copy(&mut std::fs::File::open(from).unwrap(), &mut warm).unwrap();
    std::fs::remove_file(to).unwrap();
}

fn program(dir: &Path, arguments: &[&str]) -> Usage {
    let mut command = vec![env!("CARGO_BIN_EXE_rawsink")];
    command.extend(arguments);
    measure(dir, &command)
}

fn floor_of(name: &str, dir: &Path) -> Usage {
    let own = std::env::current_exe().unwrap();
    measure(dir, &[own.to_str().unwrap(), "floor", name, "rows.jsonl"])
}

fn amount(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let gib = bytes as f64 / f64::from(1 << 30);
    format!("{gib:.2} GiB")
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("?", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} x {model}, Linux {}", kernel.trim())
}
