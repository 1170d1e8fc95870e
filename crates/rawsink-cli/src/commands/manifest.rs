//! `rawsink manifest`

use std::num::NonZeroUsize;

use clap::ValueEnum;
use futures_util::StreamExt;
use rawsink::{
    Error, ErrorKind,
    manifest::{current_runs, payloads},
};

use crate::{
    context::Context,
    exit::{Answer, Failure, gravest},
    filter::FilterArgs,
    output,
    progress::count,
};

/// So many seals are read at a time.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(16).expect("sixteen is not zero");

/// Print where the payloads lie that consumers read, for DuckDB, Spark or Polars
///
/// One JSON object a line for each partition whose status is success: its key, run, URI, bytes, rows
/// and SHA-256. The state says which these are; nothing is listed. A payload that cannot be found
/// is named on standard error; the others are printed all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink manifest google_ads --query campaign --since 2024-06-01 > m.jsonl
  rawsink manifest google_ads --format uri")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// How each payload is printed
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object, which needs a look at each seal
    Json,
    /// The URI alone, from the state alone
    Uri,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let root_uri = context.settings().root_uri()?;
    let found = current_runs(&*context.state, &args.filter.selection(context)?).await?;
    if found.is_empty() {
        context.note_empty_state("no run has authority");
    }
    let (mut runs, mut faults) = (Vec::with_capacity(found.len()), Faults::default());
    for current in found {
        match current {
            Ok(current) => runs.push(current),
            Err(error) => faults.tell(&error),
        }
    }
    if args.format == Format::Uri {
        for current in &runs {
            let uri = current.uri(&root_uri);
            context.output.data(&uri, &uri)?;
        }
        return faults.answer();
    }
    let mut payloads = payloads(&context.sink, &root_uri, runs, AT_ONCE);
    while let Some(payload) = payloads.next().await {
        match payload {
            Ok(payload) => output::record(&payload)?,
            Err(error) => faults.tell(&error),
        }
    }
    faults.answer()
}

/// What could not be found.
#[derive(Default)]
struct Faults {
    count: u64,
    gravest: Option<ErrorKind>,
}

impl Faults {
    fn tell(&mut self, error: &Error) {
        output::fault(error);
        self.count += 1;
        self.gravest = gravest(self.gravest.into_iter().chain([error.kind()]));
    }

    fn answer(self) -> Result<Answer, Failure> {
        let Some(kind) = self.gravest else { return Ok(Answer::Yes) };
        let partitions = count(self.count, "partition");
        Err(Error::new(kind, format!("{partitions} could not be printed")).into())
    }
}
