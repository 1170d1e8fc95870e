//! `rawsink manifest`

use std::num::NonZeroUsize;

use clap::ValueEnum;
use futures_util::StreamExt;
use rawsink_ops::manifest::{current_runs, payloads};

use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    filter::FilterArgs,
    output,
};

const INCOMPLETE: &str = "not all payloads could be listed";

/// The number of seals to read in parallel.
const PARALLEL_READS: NonZeroUsize = NonZeroUsize::new(16).expect("sixteen is not zero");

/// List the URIs of current payloads
///
/// The command prints one JSON object per line for each partition with status success: its key, run,
/// URI, bytes, rows and SHA-256. It reads the partitions from the state and does not list the storage.
/// A missing payload is reported on standard error and does not stop the others. DuckDB, Spark and
/// Polars can read the list.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink manifest google_ads --query campaign --since 2024-06-01 > m.jsonl
  rawsink manifest google_ads --format uri")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Format of each payload
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object; reads each seal
    Json,
    /// The URI only; reads no seal
    Uri,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let root_uri = context.config().backend.uri()?;
    let found = current_runs(&*context.state, &args.filter.selection(context)?).await?;
    if found.is_empty() {
        context.note_empty_state("no run has authority");
    }
    let (mut runs, mut errors) = (Vec::with_capacity(found.len()), Errors::default());
    for current in found {
        match current {
            Ok(current) => runs.push(current),
            Err(error) => errors.report(&error, context.output),
        }
    }
    if args.format == Format::Uri {
        for current in &runs {
            let uri = current.uri(&root_uri);
            context.output.data(&uri, &uri)?;
        }
        return errors.finish(INCOMPLETE, Exit::Success);
    }
    let mut payloads = payloads(&context.sink, &root_uri, runs, PARALLEL_READS);
    while let Some(payload) = payloads.next().await {
        match payload {
            Ok(payload) => output::record(&payload)?,
            Err(error) => errors.report(&error, context.output),
        }
    }
    errors.finish(INCOMPLETE, Exit::Success)
}
