//! `rawsink copy`

mod repair;
mod working;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use rawsink::{
    Backend, Config, Error, RawSink, Result, env::Loaded, layout::Place, sink::Run,
    store::fs::FsConfig,
};
use rawsink_ops::copy::{self, CopyFault, CopyOutcome, Processed};
use serde::Serialize;

use self::working::{Stopping, Work};
use crate::{
    context::{self, Context},
    exit::{Errors, Exit, Failure},
    filter::FilterArgs,
    hint::Stage,
    output,
    shell::{path_argument, quoted},
    table,
};

/// Copy sealed runs byte for byte to another sink
///
/// The payload and metadata.json with its seal do not change. The command compares the bytes with the
/// seal while it copies. It skips a run that already exists with the same
/// metadata.json and payload length, and exits with code 5 if they differ; `verify` checks every byte. Rerun the command to resume an interrupted copy.
///
/// With --repair, the command reads every byte of the destination instead, and lists damaged runs that
/// exist there. With --apply it replaces their damaged files: a payload if both runs have the same
/// metadata.json, a metadata.json only if the source's is the one that the verdict log names. It reads
/// the source first and the repaired run afterwards. Exit code 1 means that runs are damaged.
///
/// After an error the command continues with the next run and exits with the code of the most severe error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink copy --to-env /etc/rawsink/store.env
  rawsink copy google_ads --since 2024-06-01 --to-root /mnt/backup --jobs 8
  rawsink copy google_ads/customer_id=123 --to-env archive.env --dry-run
  RAW_SINK_ROOT=/mnt/backup rawsink copy --to-root /srv/raw --repair
  RAW_SINK_ROOT=/mnt/backup rawsink copy --to-root /srv/raw --repair --apply

FILE has NAME=VALUE lines, quoted as for sh or systemd. For the destination, environment variables
are ignored.")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    to: Destination,

    /// Copy up to N runs in parallel; memory grows with N
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: NonZeroUsize,

    /// Print the missing runs and copy nothing
    #[arg(long)]
    dry_run: bool,

    /// List damaged runs of the destination that the source can repair; copy nothing
    #[arg(long, conflicts_with = "dry_run")]
    repair: bool,

    /// With --repair: replace the damaged files
    #[arg(long, requires = "repair")]
    apply: bool,
}

/// The destination of the runs.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Destination {
    /// Copy to the sink that the `RAW_SINK_*` variables in this file configure
    #[arg(long = "to-env", value_name = "FILE")]
    env: Option<PathBuf>,

    /// Copy to this directory
    #[arg(long = "to-root", value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Args {
    /// Returns the number of runs to copy in parallel.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.get()
    }
}

/// The outcome of a run, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    outcome: &'a str,
    payload_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Numbers of runs by outcome.
#[derive(Debug, Default)]
struct Totals {
    copied: u64,
    there: u64,
    missing: u64,
    failed: u64,
    unsealed: Arc<AtomicU64>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let to = args.to.open(context)?;
    if args.repair {
        return repair::run(args, context, &to).await;
    }
    let mut totals = Totals::default();
    let runs = selected(args, context, totals.unsealed.clone())?;
    let work = Work::new("copying", args, context).await?;
    let (done, stopping) = if args.dry_run {
        (copy::compare_runs(&context.sink, &to, runs, args.jobs), Stopping::AtOnce)
    } else {
        let copies = copy::runs(&context.sink, &to, runs, args.jobs, work.progress());
        (copies, Stopping::Cleanly)
    };
    let mut errors = Errors::default();
    let print = |done| match done {
        Ok(done) => print(&done, args, &mut totals, &mut errors, context),
        Err(error) => {
            errors.report(&error, context.output);
            Ok(())
        }
    };
    let stopped_by = work.follow(done, stopping, print).await?;
    totals.print(context);
    match stopped_by {
        Some(number) => Err(Failure::signal(number, working::INTERRUPTED)),
        None => errors.finish("not all runs were copied", Exit::Success),
    }
}

/// Streams the selected sealed runs and counts the unsealed ones.
fn selected(
    args: &Args,
    context: &Context<'_>,
    unsealed: Arc<AtomicU64>,
) -> Result<BoxStream<'static, Result<Run>>, Failure> {
    let (place, selection) = args.filter.place_and_selection(context)?;
    if let (Some(key), Some(run_id)) = (place.partition(), place.run()) {
        // A run named by its path must exist and be sealed; copying it reports an error otherwise.
        let run = Run { key, run_id, payload_bytes: None, seal_bytes: None, sealed: true };
        let runs = selection.contains(&run.key).then_some(Ok(run));
        return Ok(stream::iter(runs).boxed());
    }
    let runs = context.sink.runs_below(&Place::enclosing(&selection)).filter(move |run| {
        let is_copied = match run {
            Ok(run) if !selection.contains(&run.key) => false,
            Ok(run) if !run.sealed => {
                unsealed.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => true,
        };
        std::future::ready(is_copied)
    });
    Ok(runs.boxed())
}

fn print(
    Processed { run, outcome }: &Processed<CopyOutcome>,
    args: &Args,
    totals: &mut Totals,
    errors: &mut Errors,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let place = Place::of_run(&run.key, &run.run_id);
    let path = place.to_string();
    let (outcome, error) = match outcome {
        Ok(outcome) => {
            let count = match outcome {
                CopyOutcome::Copied => &mut totals.copied,
                CopyOutcome::AlreadyThere => &mut totals.there,
                CopyOutcome::Missing => &mut totals.missing,
            };
            *count += 1;
            (outcome.name(), None)
        }
        Err(error) => {
            totals.failed += 1;
            match hint(error, &path, args) {
                Some(hint) => errors.report_with(error, Some(hint), context.output),
                None => errors.report(error, context.output),
            }
            ("failed", Some(error.to_string()))
        }
    };
    let payload_bytes = run.payload_bytes;
    let size = payload_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes"));
    let line = Line { path: &path, outcome, payload_bytes, error };
    // A closed pipe does not stop the copies.
    Ok(output::if_read(table::line(&line, &place, &[outcome, &size], context.output))?)
}

/// Returns the next step after an error that a repair may help against.
fn hint(error: &Error, path: &str, args: &Args) -> Option<String> {
    let place = Place::parse(path, "").ok()?;
    let repair =
        || format!("rawsink copy {} {} --repair", path_argument(&place), args.to.arguments());
    Some(match CopyFault::of(error)? {
        CopyFault::PayloadDiffers => {
            format!(r#"run "{}" to see whether the source can repair it"#, repair())
        }
        CopyFault::SealDiffers => {
            format!(r#"run "{}" to see whether the verdict log shows which one is right"#, repair())
        }
        CopyFault::NoEvidence => {
            "set RAW_SINK_STATE_URL to the state that validated this run; without one, compare both \
             runs and delete the wrong metadata.json: then a copy lands the run again"
                .to_owned()
        }
    })
}

impl Totals {
    fn print(&self, context: &Context<'_>) {
        let Self { copied, there, missing, failed, unsealed } = self;
        let unsealed = unsealed.load(Ordering::Relaxed);
        if copied + there + missing + failed + unsealed == 0 {
            output::note(format!("nothing to copy; {}", context.place()));
            return;
        }
        let mut parts = vec![format!("{copied} copied"), format!("{there} already there")];
        let more = [(missing, "missing"), (failed, "failed")];
        let more = more.iter().filter(|(count, _)| **count > 0);
        parts.extend(more.map(|(count, what)| format!("{count} {what}")));
        output::note(parts.join(", "));
        if unsealed > 0 {
            output::note(format!("{unsealed} skipped because they are not sealed"));
        }
    }
}

/// Names the destination in an error. The settings of this process are those of the source.
fn of_destination(error: &Error) -> Error {
    let named = Error::new(error.kind(), format!("the destination: {}", error.message()));
    match error.path() {
        Some(path) => named.on_path(path),
        None => named,
    }
}

impl Destination {
    /// Returns the option that names this destination, for a shell.
    fn arguments(&self) -> String {
        let (option, path) = match (&self.env, &self.root) {
            (Some(file), _) => ("--to-env", file.as_path()),
            (None, root) => ("--to-root", root.as_deref().unwrap_or(Path::new(""))),
        };
        format!("{option} {}", quoted(&path.display().to_string()))
    }

    fn open(&self, context: &Context<'_>) -> Result<RawSink, Failure> {
        let mut config = match (&self.env, &self.root) {
            (Some(file), _) => {
                let loaded = Loaded::from_file(file)?;
                for warning in &loaded.warnings {
                    output::warning(format!("{}: {warning}", file.display()));
                }
                Config::new(loaded.config.backend).options(loaded.config.options)
            }
            (None, Some(root)) => {
                let mut directory = FsConfig::new(root);
                if let Backend::Directory(source) = &context.config().backend {
                    directory = directory.links(source.links);
                }
                Config::new(Backend::Directory(directory)).options(context.config().options.clone())
            }
            (None, None) => unreachable!("one of them is required"),
        };
        config.backend = context::inline(config.backend).as_destination();
        if let Backend::Directory(to) = &config.backend {
            let checked = to.check().map_err(|error| of_destination(&error));
            checked.map_err(|error| Failure::At(Stage::OpeningDestination, error))?;
        }
        Ok(RawSink::open_in(&config, context.sink.runtime().clone())?)
    }
}
