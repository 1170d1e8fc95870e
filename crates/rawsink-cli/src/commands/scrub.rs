//! `rawsink scrub`

mod report;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rawsink::{Error, ErrorKind, PartitionKey, RunId, layout::Place};
use rawsink_ops::scrub::{self, Event, Recording, Sample, Scope, Shard, Share, Stop, Total, Work};

use self::report::Report;
use crate::{
    again,
    context::Context,
    exit::{Exit, Failure},
    filter::{self, FilterArgs},
    output, partition,
    progress::{Progress, Steps, count},
    shell::path_argument,
    signals::{Signals, StoppableEvents},
};

/// Read sealed runs and report those that are damaged or lost
///
/// The command reads metadata.json and payload of every sealed run below PATH and compares them with the
/// seal. A run that has authority must also be the one that was validated. A difference is reported
/// only after a second reading. The state does not change, unless you pass --record.
///
/// With --current the command reads the runs that the state names, and reports those that do not exist.
/// Without it, it finds a lost run only if another file of its partition exists.
///
/// Exit code 5 means that a run is damaged or lost. After an interruption the command prints the command
/// that resumes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink scrub google_ads
  rawsink scrub --current --jobs 8
  rawsink scrub --sample 5%
  rawsink scrub --since -7d --record

Output: path, what is wrong (payload_differs, payload_missing, seal_unreadable,
seal_replaced, lost), and the difference.")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Read only the runs that have authority in the state
    #[arg(long)]
    current: bool,

    /// Read a random sample of the runs, such as 5%
    #[arg(long, value_name = "PERCENT")]
    sample: Option<Share>,

    /// Repeat the sample that this seed selects; each call has a new one by default
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,

    /// Record a failed verdict for each damaged run
    #[arg(long)]
    record: bool,

    /// Skip all runs up to this one, in the order of paths
    #[arg(long, value_name = "RUN")]
    resume_after: Option<String>,

    /// Read up to N runs in parallel
    #[arg(long, value_name = "N", default_value = "4", value_parser = super::jobs_parser())]
    jobs: NonZeroUsize,

    /// Read only shard I of N, to split the work between hosts
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
}

impl Args {
    /// Returns the number of runs to read in parallel.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.get()
    }

    fn work(&self, context: &Context<'_>) -> Result<Work, Failure> {
        // A short seed is easier to repeat.
        let fresh = || context.sink.runtime().tokens.next() % u128::from(u32::MAX);
        let seed = || self.seed.or_else(|| fresh().try_into().ok()).unwrap_or_default();
        let after = self.resume_after.as_deref().map(|path| run_of(path, context)).transpose()?;
        Ok(Work {
            partitions: self.filter.selection(context)?,
            shard: self.shard.unwrap_or_default(),
            scope: if self.current { Scope::Current } else { Scope::Sealed },
            sample: self.sample.map(|share| Sample { share, seed: seed() }),
            after,
            recording: if self.record { Recording::Failures } else { Recording::Nothing },
            jobs: self.jobs,
            stop: Stop::default(),
        })
    }
}

/// Parses the path of a run.
fn run_of(path: &str, context: &Context<'_>) -> Result<(PartitionKey, RunId), Failure> {
    let place = partition::parse(path, context)?;
    let named = place.partition().zip(place.run());
    let wrong = || Error::invalid(format!("--resume-after {path:?} does not name a run"));
    Ok(named.ok_or_else(wrong)?)
}

/// The end of a command that cannot end its reads in time.
const UNFINISHED: &str =
    "interrupted by a signal; a scrub starts over unless --resume-after names a run";

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let work = args.work(context)?;
    let mut signals = Signals::new(UNFINISHED)?;
    let meter = tokio::select! {
        number = signals.next() => {
            return Err(Failure::signal(number, "interrupted by a signal; nothing was read"));
        }
        bar = progress(&work, context) => Meter::new(bar?),
    };
    let events = scrub::all(&context.sink, &context.state, &work, meter.callback());
    let mut events = StoppableEvents::new(events, signals, work.stop.clone());
    let mut report = Report::default();
    let mut outcome = Ok(());
    while let Some(event) = events.next().await {
        if let Ok(Event::Read(_)) = &event {
            meter.finish_run();
        }
        // While it prints, the line cannot be set.
        outcome = meter.bar.print_above(|| print(event, &mut report, context));
        if outcome.is_err() {
            report.end_early();
            break;
        }
    }
    let (signal, bytes) = (events.signal(), meter.bytes.load(Ordering::Relaxed));
    // The line on the terminal ends with its last owner.
    drop((events, meter));
    if signal.is_some() {
        report.end_early();
    }
    report.note(&work, bytes, context);
    if report.has_ended_early() {
        let command = resume_command(&work, report.after(), context);
        output::note(format!("to resume, run: {command}"));
        if let (None, Some(unread)) = (signal, report.after_unread()) {
            let command = resume_command(&work, Some(unread), context);
            output::note(format!("to skip the runs that cannot be read, run: {command}"));
        }
    }
    outcome?;
    if let Some(number) = signal {
        return Err(Failure::signal(number, "interrupted by a signal"));
    }
    if report.is_empty() && work.scope == Scope::Sealed {
        check_empty(&work, context).await?;
    }
    report.finish()
}

fn print(
    event: rawsink::Result<Event>,
    report: &mut Report,
    context: &Context<'_>,
) -> Result<(), Failure> {
    match event {
        Ok(Event::Selected { runs, sampled }) => report.selected(runs, sampled),
        Ok(Event::Read(read)) => report.read(&read, context)?,
        Ok(Event::UnusableRecord(error) | Event::Unlisted(error)) => report.error(&error, context),
        Err(error) => {
            report.error(&error, context);
            report.end_early();
        }
    }
    Ok(())
}

/// Runs and bytes so far, and the line that shows them.
struct Meter {
    bar: Arc<Progress>,
    runs: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    fn new(bar: Progress) -> Self {
        Self { bar: Arc::new(bar), runs: Arc::default(), bytes: Arc::default() }
    }

    /// Returns the function that counts bytes.
    fn callback(&self) -> scrub::Progress {
        let (bar, runs, bytes) = (self.bar.clone(), self.runs.clone(), self.bytes.clone());
        Arc::new(move |more| {
            let bytes = bytes.fetch_add(more, Ordering::Relaxed) + more;
            bar.set(runs.load(Ordering::Relaxed), bytes);
        })
    }

    fn finish_run(&self) {
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set(runs, self.bytes.load(Ordering::Relaxed));
    }
}

/// Fails if the storage has no sealed run where the state has runs with authority, as it is with an
/// unmounted disk.
async fn check_empty(work: &Work, context: &Context<'_>) -> Result<(), Failure> {
    let current = Work { scope: Scope::Current, ..work.clone() };
    let total = scrub::total(&context.sink, &*context.state, &current).await?;
    if total.runs == 0 {
        return Ok(());
    }
    let runs = count(total.runs, "run");
    let message =
        format!("the storage has no sealed run here, but the state gives authority to {runs}");
    Err(Failure::Summary(ErrorKind::Corrupt, message))
}

/// Returns the progress line. On a terminal it shows the time left, so the runs are counted first.
async fn progress(work: &Work, context: &Context<'_>) -> Result<Progress, Failure> {
    let mut total = Total::default();
    if output::stderr_is_terminal() {
        let steps = Steps::new("scrubbing");
        steps.show("counting the runs");
        total = scrub::total(&context.sink, &*context.state, work).await?;
    }
    Ok(Progress::of_known_runs("scrubbing", total.runs, total.bytes))
}

/// Returns the command that reads the rest.
fn resume_command(work: &Work, after: Option<&Place>, context: &Context<'_>) -> String {
    let mut words = vec!["rawsink".to_owned()];
    if context.output.is_json() {
        words.push("--json".to_owned());
    }
    words.push("scrub".to_owned());
    words.extend(filter::arguments(&work.partitions));
    if work.scope == Scope::Current {
        words.push("--current".to_owned());
    }
    if let Some(Sample { share, seed }) = work.sample {
        words.push(format!("--sample={share} --seed={seed}"));
    }
    if work.recording == Recording::Failures {
        words.push("--record".to_owned());
    }
    words.push(format!("--jobs={}", work.jobs));
    if work.shard != Shard::WHOLE {
        words.push(format!("--shard={}", work.shard));
    }
    let before = work.after.as_ref().map(|(key, run)| Place::of_run(key, run));
    if let Some(after) = after.or(before.as_ref()) {
        words.push(format!("--resume-after {}", path_argument(after)));
    }
    again::with_settings(&words.join(" ")).into_owned()
}
