//! CPU, memory and requests of the program and of floors, measured in the same run.
//!
//! `make bench` prints the tables of `docs/performance.md`. Machines are shared and noisy, so
//! figures are ratios: every command runs in turn with its floor, several rounds, and the median of
//! the rounds' ratios counts. The floors do the same work on the same bytes with the same crates.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark, not the product"
)]

mod bucket;
mod budget;
mod checks;
mod cpu;
mod floor;
mod lab;
mod many;
mod measure;
mod memory;
mod rounds;
mod rows;
mod small;

use std::path::Path;

use crate::{
    bucket::{Bucket, Clear},
    budget::{START_MS, judge},
    lab::{Lab, PARTITION, ROWS, Sink},
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["measure", command @ ..] => measure::child(command),
        ["floor", name, file] => floor::run(name, Path::new(file)),
        ["small", way, partitions] => small::child(way, partitions.parse().unwrap()),
        ["clear", "runs"] => on_runtime(Bucket::from_env().clear(Clear::Runs)),
        ["clear", "everything"] => on_runtime(Bucket::from_env().clear(Clear::Everything)),
        [] => run(),
        other => panic!("the benchmark takes its sizes from RAWSINK_BENCH_*, not {other:?}"),
    }
}

/// Prints all tables.
fn run() {
    let (mib, rounds) = (amount("RAWSINK_BENCH_MIB", 1024), amount("RAWSINK_BENCH_ROUNDS", 5));
    let partitions = amount("RAWSINK_BENCH_PARTITIONS", 500);
    let peaks = std::env::var("RAWSINK_BENCH_PEAK_MIB").unwrap_or("64 1024 4096".to_owned());
    let peaks: Vec<u64> = peaks.split_whitespace().map(|mib| mib.parse().unwrap()).collect();
    let many = std::env::var("RAWSINK_BENCH_MANY").unwrap_or("10000 100000".to_owned());
    let many: Vec<u64> = many.split_whitespace().map(|count| count.parse().unwrap()).collect();

    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let lab = Lab::new(dir.path(), rounds);
    let mut sinks = vec![Sink::Filesystem];
    if std::env::var_os("RAW_SINK_ENDPOINT_URL").is_some() {
        sinks.push(Sink::Object);
    } else {
        println!(
            "No object storage: RAW_SINK_ENDPOINT_URL is not set (`make bench` starts a MinIO)\n"
        );
    }
    println!("{mib} MiB of 300-byte rows, {rounds} rounds, {}\n", machine());
    let bytes = rows::generate(&dir.path().join(ROWS), mib.into());
    cpu::table(&lab, &sinks, bytes);
    small::directory::table(&lab, partitions);
    if sinks.contains(&Sink::Object) {
        small::bucket::table(&lab, partitions);
    }
    memory::table(&lab, &sinks, &peaks);
    many::table(&lab, &many);
    starts(&lab);
    println!("\nLoad average at the end: {}", load());
}

/// Prints the time of commands with almost no work.
fn starts(lab: &Lab) {
    println!("\n| start | least wall time | budget | verdict |\n|---|---|---|---|");
    std::fs::create_dir_all(lab.dir.join("data")).unwrap();
    for arguments in [&["--help"][..], &["list"], &["list", PARTITION]] {
        let walls = (0..20).map(|_| lab.program(Sink::Filesystem, arguments).wall_s);
        let least_ms = walls.fold(f64::MAX, f64::min) * 1000.0;
        let shown = if arguments.len() > 1 { "list PARTITION" } else { arguments[0] };
        let verdict = judge(least_ms, START_MS);
        println!("| `rawsink {shown}` | {least_ms:.1} ms | {START_MS} ms | {verdict} |");
    }
}

/// Runs a child's work on the program's kind of runtime.
fn on_runtime(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(work);
}

/// Returns a size, which the environment can override.
fn amount(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |given| given.parse().unwrap())
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

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
