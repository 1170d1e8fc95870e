//! Simulates the real code over seeds, and replays one of them.

use std::{
    io::{self, Write},
    num::NonZero,
    process::ExitCode,
    thread,
};

use clap::Parser;
use rawsink_proof::simulation::{Lateness, Lie, Options, Telling, simulate, simulate_all};

/// Simulate writers, readers, validators and cleaners over a server that misbehaves, in virtual time
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only this seed, told line by line
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Let requests be applied hours later; then only "nobody is told sealed wrongly" is looked for
    #[arg(long)]
    unbounded: bool,
    /// Let the server break an assumption
    #[arg(long, value_parser = lie)]
    lie: Option<Lie>,
    /// How many seeds at the same time; as many as there are processors unless set
    #[arg(long)]
    threads: Option<NonZero<usize>>,
}

fn lie(text: &str) -> Result<Lie, String> {
    let known = || Lie::ALL.iter().map(|lie| format!("{lie:?}")).collect::<Vec<_>>().join(", ");
    let lie = Lie::ALL.into_iter().find(|lie| format!("{lie:?}") == text);
    lie.ok_or_else(|| format!("is none of {}", known()))
}

impl Args {
    fn options(&self) -> Options {
        Options {
            lateness: if self.unbounded { Lateness::Unbounded } else { Lateness::Assumed },
            lie: self.lie,
            telling: if self.seed.is_some() { Telling::Every } else { Telling::Silent },
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
    let story = simulate(seed, args.options());
    for line in &story.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\n{}", story.coverage)?;
    match story.violation {
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
    write!(out, "{}", summary.coverage)?;
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
