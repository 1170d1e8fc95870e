//! Simulates the real code over many seeds, or replays one seed.

use std::{
    io::{self, Write},
    num::NonZero,
    process::ExitCode,
    thread,
};

use clap::Parser;
use rawsink_proof::simulation::{Lateness, Lie, Options, TraceLevel, simulate, simulate_all};

/// Simulate writers, readers, validators and cleaners over a fake server in virtual time
#[derive(Debug, Parser)]
struct Args {
    /// Number of seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// First seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Replay this seed and print its trace
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Apply requests up to hours late; then only "no writer is wrongly told sealed" must hold
    #[arg(long)]
    unbounded: bool,
    /// Break an assumption, to see that the auditor notices
    #[arg(long, value_parser = lie)]
    lie: Option<Lie>,
    /// Seeds to simulate in parallel [default: number of processors]
    #[arg(long)]
    threads: Option<NonZero<usize>>,
}

fn lie(text: &str) -> Result<Lie, String> {
    let known = || Lie::ALL.iter().map(|lie| format!("{lie:?}")).collect::<Vec<_>>().join(", ");
    let lie = Lie::ALL.into_iter().find(|lie| format!("{lie:?}") == text);
    lie.ok_or_else(|| format!("expected one of {}", known()))
}

impl Args {
    fn options(&self) -> Options {
        Options {
            lateness: if self.unbounded { Lateness::Unbounded } else { Lateness::Assumed },
            lie: self.lie,
            trace: if self.seed.is_some() { TraceLevel::Every } else { TraceLevel::Silent },
        }
    }

    /// Returns the command that replays a seed.
    fn replay(&self, seed: u64) -> String {
        let unbounded = if self.unbounded { " UNBOUNDED=1" } else { "" };
        let lie = self.lie.map(|lie| format!(" LIE={lie:?}")).unwrap_or_default();
        format!("make simulate SEED={seed}{unbounded}{lie}")
    }
}

fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    let out = &mut io::stdout().lock();
    match args.seed {
        Some(seed) => replay(&args, seed, out),
        None => all(&args, out),
    }
}

fn replay(args: &Args, seed: u64, out: &mut impl Write) -> io::Result<ExitCode> {
    let result = simulate(seed, args.options());
    for line in &result.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\n{}", result.encounters)?;
    match result.violation {
        None => {
            writeln!(out, "seed {seed}: every guarantee holds")?;
            Ok(ExitCode::SUCCESS)
        }
        Some(violation) => {
            writeln!(out, "seed {seed}: {violation}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn all(args: &Args, out: &mut impl Write) -> io::Result<ExitCode> {
    let threads = args.threads.or_else(|| thread::available_parallelism().ok());
    let seeds = args.from..args.from + args.seeds;
    let summary = simulate_all(seeds, args.options(), threads.unwrap_or(NonZero::<usize>::MIN));
    write!(out, "{}", summary.encounters)?;
    match summary.violation {
        None => {
            writeln!(out, "{} seeds, every guarantee holds", summary.seeds)?;
            Ok(ExitCode::SUCCESS)
        }
        Some((seed, violation)) => {
            writeln!(out, "seed {seed}: {violation}\nreplay: {}", args.replay(seed))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
