//! `rawsink manifest`

use std::num::NonZeroUsize;

use clap::{
    ValueEnum,
    builder::{PossibleValue, TypedValueParser},
};
use futures_util::StreamExt;
use indicatif::HumanCount;
use rawsink_ops::manifest::{self, Event, Payload, Reader, Work};

use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    filter::FilterArgs,
    hint::Stage,
    output,
    progress::count,
};

const INCOMPLETE: &str = "not all payloads could be listed";

/// List the URIs of current payloads
///
/// The command prints one JSON object per line for each partition with status success: its key, run,
/// URI, bytes, rows and SHA-256. It reads the partitions from the state and does not list the storage.
///
/// A run is listed only if it is the one that was validated: its metadata.json has the validated
/// SHA-256, and its payload exists with the validated length. Any other run is reported on standard
/// error and does not stop the others.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink manifest google_ads --query campaign --since 2024-06-01 > m.jsonl
  rawsink manifest google_ads --for duckdb --skip-empty > m.jsonl
  rawsink manifest google_ads --format uri --for polars")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Format of each payload
    #[arg(long, value_enum, default_value = "json")]
    format: Format,

    /// Write each URI so that this reader opens exactly that payload
    #[arg(long = "for", value_name = "READER", value_parser = reader_parser())]
    reader: Option<Reader>,

    /// Leave out payloads without a byte, which some readers refuse
    #[arg(long)]
    skip_empty: bool,

    /// Check up to N runs in parallel
    #[arg(long, value_name = "N", default_value = "16", value_parser = super::jobs_parser())]
    jobs: NonZeroUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object
    Json,
    /// The URI only
    Uri,
}

fn reader_parser() -> impl TypedValueParser<Value = Reader> {
    let values = Reader::ALL.map(|reader| PossibleValue::new(reader.name()).help(reader.title()));
    clap::builder::PossibleValuesParser::new(values).map(|name| {
        let known = Reader::ALL.into_iter().find(|reader| reader.name() == name);
        known.expect("the parser accepts only these names")
    })
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let work = Work {
        partitions: args.filter.selection(context)?,
        root_uri: context.config().backend.uri()?,
        reader: args.reader,
        jobs: args.jobs,
    };
    let (mut errors, mut tally) = (Errors::default(), Tally::default());
    let mut events = manifest::payloads(&context.sink, &context.state, &work);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Listed(payload)) => {
                if tally.add(&payload, args) {
                    args.format.print(&payload, context)?;
                }
            }
            Ok(Event::Refused(error)) => {
                tally.refused += 1;
                errors.report_at(Stage::Listing, &error, context.output);
            }
            Err(error) => errors.report(&error, context.output),
        }
    }
    tally.print(args, context);
    errors.finish(INCOMPLETE, Exit::Success)
}

impl Format {
    fn print(self, payload: &Payload, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Json => output::record(payload)?,
            Self::Uri => context.output.data(&payload.uri, &payload.uri)?,
        }
        Ok(())
    }
}

/// Numbers of payloads.
#[derive(Debug, Default)]
struct Tally {
    listed: u64,
    empty: u64,
    refused: u64,
    /// Listed without escapes that a reader may need.
    unescaped: u64,
}

impl Tally {
    /// Counts a payload and returns whether it is listed.
    fn add(&mut self, payload: &Payload, args: &Args) -> bool {
        let is_empty = payload.bytes == 0;
        self.empty += u64::from(is_empty);
        if is_empty && args.skip_empty {
            return false;
        }
        self.listed += 1;
        self.unescaped += u64::from(args.reader.is_none() && payload.needs_escapes());
        true
    }

    fn print(&self, args: &Args, context: &Context<'_>) {
        let Self { listed, empty, refused, unescaped } = self;
        if listed + empty + refused == 0 {
            context.note_empty_state("no run has authority");
            return;
        }
        let of_empty = if args.skip_empty { "empty left out" } else { "of them empty" };
        let mut parts = vec![format!("{} listed", count(*listed, "payload"))];
        let more = [(empty, of_empty), (refused, "refused")].into_iter();
        let more = more.filter(|(number, _)| **number > 0);
        parts.extend(more.map(|(number, what)| format!("{} {what}", HumanCount(*number))));
        output::note(parts.join(", "));
        if *unescaped > 0 {
            output::warning(format!(
                "{} with characters that readers treat as a pattern or decode; use --for READER",
                count(*unescaped, "URI")
            ));
        }
    }
}
