//! `rawsink copy`

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use rawsink::{
    Error, RawSink, Result, Settings,
    config::{Loaded, SinkKind},
    copy::{Done, Existing, Outcome, compare_all, copy_all},
    layout::Place,
    sink::Run,
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure, Faults},
    filter::FilterArgs,
    output,
    progress::Progress,
    signals::Signals,
};

/// Copy sealed runs to another sink, byte for byte
///
/// Payload and metadata.json with its seal stay as they are; the bytes are compared with the seal on
/// the way. A run that is there already and is the same is fine, another one of its name is exit code
/// 5. Cut off, the same command goes on. Goes on after an error of one run; the exit code is that of
/// the gravest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink copy --to-env /etc/rawsink/store.env
  rawsink copy google_ads --since 2024-06-01 --to-root /mnt/backup --jobs 8
  rawsink copy google_ads/customer_id=123 --to-bucket archive/raw --dry-run

FILE holds NAME=VALUE lines, quoted as for sh or systemd; the environment has no say in it.")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    to: Destination,

    /// Copy so many runs at a time; memory is this times that of one writer
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: NonZeroUsize,

    /// Print what is missing there, and copy nothing
    #[arg(long)]
    dry_run: bool,

    /// Read runs that are there already again, in both sinks, and compare every byte
    #[arg(long)]
    reread: bool,
}

/// Where the runs go.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Destination {
    /// The sink that the `RAW_SINK_*` variables in this file name
    #[arg(long = "to-env", value_name = "FILE")]
    env: Option<PathBuf>,

    /// A directory
    #[arg(long = "to-root", value_name = "DIR")]
    root: Option<PathBuf>,

    /// Another bucket, or prefix in it, of the endpoint and key that are configured
    #[arg(long = "to-bucket", value_name = "BUCKET[/PREFIX]")]
    bucket: Option<String>,
}

impl Args {
    /// Returns how many runs are copied at a time.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.get()
    }
}

/// What became of a run, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    outcome: &'a str,
    payload_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What the command came across.
#[derive(Debug, Default)]
struct Totals {
    copied: u64,
    there: u64,
    missing: u64,
    failed: u64,
    unsealed: Arc<AtomicU64>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let to = args.to.open(context)?;
    let existing = if args.reread { Existing::ReadAgain } else { Existing::BySeal };
    let mut totals = Totals::default();
    let runs = chosen(args, context, totals.unsealed.clone())?;
    let (stop, bar) = (Arc::new(AtomicBool::new(false)), Arc::new(Progress::of_runs("copying")));
    let (finished, bytes) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
    let mut done = if args.dry_run {
        compare_all(&context.sink, &to, runs, args.jobs, existing)
    } else {
        let (stop, bar, finished) = (stop.clone(), bar.clone(), finished.clone());
        let progress = move |more| {
            let bytes = bytes.fetch_add(more, Ordering::Relaxed) + more;
            bar.set(finished.load(Ordering::Relaxed), bytes);
            let stopped = stop.load(Ordering::Relaxed);
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        copy_all(&context.sink, &to, runs, args.jobs, existing, Arc::new(progress))
    };
    let mut signals = Signals::new().map_err(|cause| Failure::internal(&cause))?;
    let (mut faults, mut ended_by) = (Faults::default(), None);
    loop {
        let next = tokio::select! {
            next = done.next() => next,
            number = signals.next() => {
                let goes_on = "run the same command to go on";
                if ended_by.is_some() || args.dry_run {
                    return Err(Failure::Signal(number, format!("ended by a signal; {goes_on}")));
                }
                output::note("ending the copies under way; a second signal does not wait for them");
                stop.store(true, Ordering::Relaxed);
                ended_by = Some(number);
                continue;
            }
        };
        match next {
            None => break,
            Some(Err(error)) => faults.tell(&error),
            Some(Ok(done)) => {
                finished.fetch_add(1, Ordering::Relaxed);
                print(&done, &mut totals, &mut faults, context)?;
            }
        }
    }
    drop((done, bar));
    totals.tell(context);
    match ended_by {
        Some(number) => {
            let message = "ended by a signal; run the same command to go on".to_owned();
            Err(Failure::Signal(number, message))
        }
        None => faults.end("not everything was copied"),
    }
}

/// Streams the sealed runs that are meant, and counts those that are not sealed.
fn chosen(
    args: &Args,
    context: &Context<'_>,
    unsealed: Arc<AtomicU64>,
) -> Result<BoxStream<'static, Result<Run>>, Failure> {
    let (place, selection) = args.filter.place_and_selection(context)?;
    if let (Some(key), Some(run_id)) = (place.partition(), place.run()) {
        // Named outright, it is an error where it is not there or not sealed.
        let run = Run { key, run_id, payload_bytes: None, sealed: true };
        let runs = selection.contains(&run.key).then_some(Ok(run));
        return Ok(stream::iter(runs).boxed());
    }
    let runs = context.sink.runs_below(&Place::around(&selection)).filter(move |run| {
        let chosen = match run {
            Ok(run) if !selection.contains(&run.key) => false,
            Ok(run) if !run.sealed => {
                unsealed.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => true,
        };
        std::future::ready(chosen)
    });
    Ok(runs.boxed())
}

fn print(
    Done { run, outcome }: &Done,
    totals: &mut Totals,
    faults: &mut Faults,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let path = Place::of_run(&run.key, &run.run_id).to_string();
    let (outcome, error) = match outcome {
        Ok(outcome) => {
            let count = match outcome {
                Outcome::Copied => &mut totals.copied,
                Outcome::AlreadyThere => &mut totals.there,
                Outcome::Missing => &mut totals.missing,
            };
            *count += 1;
            (outcome.name(), None)
        }
        Err(error) => {
            totals.failed += 1;
            faults.tell(error);
            ("failed", Some(error.to_string()))
        }
    };
    let payload_bytes = run.payload_bytes;
    let size = payload_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes"));
    let text = format!("{path}\t{outcome}\t{size}");
    let line = Line { path: &path, outcome, payload_bytes, error };
    // Whoever reads no more wants no less copied.
    Ok(context.output.answer(&line, text)?)
}

impl Totals {
    fn tell(&self, context: &Context<'_>) {
        let Self { copied, there, missing, failed, unsealed } = self;
        let unsealed = unsealed.load(Ordering::Relaxed);
        if copied + there + missing + failed + unsealed == 0 {
            output::note(format!("nothing is to be copied; {}", context.place()));
            return;
        }
        let mut told = vec![format!("{copied} copied"), format!("{there} already there")];
        let more = [(missing, "missing"), (failed, "failed")];
        let more = more.iter().filter(|(count, _)| **count > 0);
        told.extend(more.map(|(count, what)| format!("{count} {what}")));
        output::note(told.join(", "));
        if unsealed > 0 {
            output::note(format!("{unsealed} not sealed, and left out"));
        }
    }
}

impl Destination {
    fn open(&self, context: &Context<'_>) -> Result<RawSink, Failure> {
        let configured = context.settings();
        let settings = match (&self.env, &self.root, &self.bucket) {
            (Some(file), ..) => {
                let loaded = Loaded::from_file(file)?;
                for warning in &loaded.warnings {
                    output::warning(format!("{}: {warning}", file.display()));
                }
                Settings { blocking: configured.blocking, ..loaded.settings }
            }
            (_, Some(root), _) => Settings {
                sink: SinkKind::Filesystem,
                root: root.clone(),
                object: None,
                ..configured.clone()
            },
            (_, _, Some(bucket)) => in_bucket(configured, bucket)?,
            (None, None, None) => unreachable!("one of them is required"),
        };
        Ok(RawSink::open_in(&settings, context.sink.surroundings().clone())?)
    }
}

/// Returns the settings of another bucket, or another prefix.
fn in_bucket(configured: &Settings, bucket: &str) -> Result<Settings, Failure> {
    let Some(object) = &configured.object else {
        let message = "--to-bucket takes endpoint and key from the environment, which names a \
                       directory; take --to-env";
        return Err(Error::invalid(message).into());
    };
    let (name, path) = bucket.split_once('/').unwrap_or((bucket, ""));
    let object =
        object.in_bucket(name, Some(path).filter(|path| !path.trim_matches('/').is_empty()))?;
    Ok(Settings { object: Some(object), ..configured.clone() })
}
