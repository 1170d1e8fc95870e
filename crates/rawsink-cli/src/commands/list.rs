//! `rawsink list`

mod long;

use futures_util::StreamExt;
use rawsink::{Error, Result, RunId, layout::Place, sink::Run};
use serde::Serialize;

use crate::{
    complete,
    context::Context,
    exit::{Errors, Exit, Failure},
    nearest::nearest,
    output, partition,
    shell::path_argument,
    table,
};

/// List the paths directly below a prefix
///
/// These are sources, customers, queries, dates or runs. The command prints the canonical path of each
/// one that has a payload or a seal, and whether a run is sealed.
///
/// After an error of a part, such as a directory without permission, the command continues with the
/// others and exits with the code of the most severe error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink list
  rawsink list ads/123
  rawsink list ads/123/campaign -l
  rawsink list ads --runs --json")]
pub(crate) struct Args {
    /// Canonical path at any level; empty lists the sources
    #[arg(default_value = "", hide_default_value = true, add = complete::paths())]
    path: String,

    /// List all runs below PATH
    #[arg(long)]
    runs: bool,

    /// List all runs below PATH with size, rows and age, and which are current or withdrawn
    #[arg(short, long)]
    long: bool,
}

/// A place above the runs, as JSON.
#[derive(Serialize)]
struct ListedPlace<'a> {
    path: String,
    level: &'a str,
    value: &'a str,
}

/// A run, as JSON.
#[derive(Serialize)]
struct ListedRun<'a> {
    path: String,
    run_id: &'a RunId,
    sealed: bool,
    payload_bytes: Option<u64>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let place = partition::parse(&args.path, context)?;
    let mut listing = Listing { found: 0, first: None, errors: Errors::default(), context };
    let is_run_level = place.partition().is_some();
    if args.long {
        let mut runs = long::details(context.sink.runs_below(&place), context);
        while let Some(run) = runs.next().await {
            listing.take(run, long::print)?;
        }
    } else if args.runs {
        let mut runs = context.sink.runs_below(&place);
        while let Some(run) = runs.next().await {
            listing.take(run, print_run)?;
        }
    } else if is_run_level {
        let mut runs: Vec<Result<Run>> = context.sink.runs_below(&place).collect().await;
        // Paths sort differently if one run id starts with another. Errors come last.
        runs.sort_by_cached_key(|run| {
            run.as_ref().map_or((1, None), |run| (0, Some(run.run_id.clone())))
        });
        for run in runs {
            listing.take(run, print_run)?;
        }
    } else {
        let mut places = context.sink.children(&place);
        while let Some(place) = places.next().await {
            listing.take(place, print_place)?;
        }
    }
    if let Some(error) = listing.first {
        return Err(error.into());
    }
    if listing.found == 0 && listing.errors.is_empty() {
        let below =
            if args.path.is_empty() { String::new() } else { format!(" below {}", args.path) };
        output::note(format!("no runs exist{below}; {}", context.place()));
        if let Some(nearest) = nearest(&context.sink, &place).await {
            output::hint(format!("did you mean {}?", path_argument(&nearest)));
        }
    }
    listing.errors.finish("not everything could be listed", Exit::Success)
}

/// The listing so far.
struct Listing<'a> {
    found: u64,
    /// The first error, until something else is found: alone it is the error of the command.
    first: Option<Error>,
    errors: Errors,
    context: &'a Context<'a>,
}

impl Listing<'_> {
    /// Prints an entry, or reports an error.
    fn take<T>(
        &mut self,
        entry: Result<T>,
        print: impl FnOnce(&T, &Context<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(first) = self.first.take() {
            self.errors.report(&first, self.context.output);
        }
        match entry {
            Ok(entry) => {
                self.found += 1;
                print(&entry, self.context)
            }
            Err(error) if self.found == 0 && self.errors.is_empty() => {
                self.first = Some(error);
                Ok(())
            }
            Err(error) => {
                self.errors.report(&error, self.context.output);
                Ok(())
            }
        }
    }
}

fn print_place(place: &Place, context: &Context<'_>) -> Result<(), Failure> {
    let Some((level, value)) = place.innermost() else { return Ok(()) };
    let path = place.to_string();
    Ok(context
        .output
        .data(&ListedPlace { path: path.clone(), level: level.name(), value }, path)?)
}

fn print_run(run: &Run, context: &Context<'_>) -> Result<(), Failure> {
    let place = Place::of_run(&run.key, &run.run_id);
    let size = run.payload_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes"));
    let fields = [if run.sealed { "sealed" } else { "unsealed" }, &size];
    let (run_id, sealed, payload_bytes) = (&run.run_id, run.sealed, run.payload_bytes);
    let record = ListedRun { path: place.to_string(), run_id, sealed, payload_bytes };
    Ok(table::row(&record, &place, &fields, context.output)?)
}
