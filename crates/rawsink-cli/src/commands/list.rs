//! `rawsink list`

use futures_util::StreamExt;
use rawsink::{RunId, layout::Place, sink::Run};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    output, partition,
};

/// List the paths directly below a prefix
///
/// These are sources, customers, queries, dates or runs. The command prints the canonical path of each
/// one that has a payload or a seal, and whether a run is sealed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink list
  rawsink list ads/customer_id=123
  rawsink list ads --runs --json")]
pub(crate) struct Args {
    /// Canonical path at any level; empty lists the sources
    #[arg(default_value = "", hide_default_value = true)]
    path: String,

    /// List all runs below PATH
    #[arg(long)]
    runs: bool,
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
    let mut found = 0_u64;
    match place.partition() {
        _ if args.runs => {
            let mut runs = context.sink.runs_below(&place);
            while let Some(run) = runs.next().await {
                print_run(&run?, context)?;
                found += 1;
            }
        }
        Some(key) => {
            let runs = context.sink.list_runs(&key).await?;
            for run in
                runs.iter().filter(|run| place.run().is_none_or(|wanted| wanted == run.run_id))
            {
                print_run(run, context)?;
                found += 1;
            }
        }
        None => {
            for place in context.sink.list(&place).await? {
                print_place(&place, context)?;
                found += 1;
            }
        }
    }
    if found == 0 {
        let below =
            if args.path.is_empty() { String::new() } else { format!(" below {}", args.path) };
        output::note(format!("no runs exist{below}; {}", context.place()));
    }
    Ok(Exit::Success)
}

fn print_place(place: &Place, context: &Context<'_>) -> Result<(), Failure> {
    let Some((level, value)) = place.innermost() else { return Ok(()) };
    let path = place.to_string();
    Ok(context
        .output
        .data(&ListedPlace { path: path.clone(), level: level.name(), value }, path)?)
}

fn print_run(run: &Run, context: &Context<'_>) -> Result<(), Failure> {
    let path = Place::of_run(&run.key, &run.run_id).to_string();
    let size = run.payload_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes"));
    let text = format!("{path}\t{}\t{size}", if run.sealed { "sealed" } else { "unsealed" });
    let (run_id, sealed, payload_bytes) = (&run.run_id, run.sealed, run.payload_bytes);
    Ok(context.output.data(&ListedRun { path, run_id, sealed, payload_bytes }, text)?)
}
