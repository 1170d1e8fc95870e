//! `rawsink verify`

use rawsink::{Error, ErrorKind, PartitionKey, RunId, layout::Place};
use rawsink_ops::verify::{self, Covered, Verified};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    hint::Stage,
    partition::{self, RunArgs},
    progress, table,
};

/// Compare the stored bytes of a run with its seal
///
/// The command reads the payload once and changes nothing. Exit code 5 means that they differ. To verify
/// many runs, use `rawsink scrub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink verify $P --latest")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

/// The result, as JSON.
#[derive(Serialize)]
struct Compared {
    path: String,
    #[serde(flatten)]
    verified: Verified,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let (key, run) = choose(args, context).await?;
    let verified = verify::run(&context.sink, &key, &run).await;
    let verified = verified.map_err(|error| Failure::At(Stage::Verifying, error))?;
    let place = Place::of_run(&key, &run);
    let result = match verified.covered {
        Covered::Seal => "match the seal",
        Covered::RecordCount => {
            "match record_count; the seal of other software has no length or SHA-256"
        }
        Covered::Nothing => "are readable; the seal of other software has nothing to compare with",
    };
    let amount = progress::amount(verified.found.record_count, verified.found.payload_bytes);
    let record = Compared { path: place.to_string(), verified };
    table::line(&record, &place, &[&format!("{amount} {result}")], context.output)?;
    Ok(Exit::Success)
}

/// Returns the selected run. A path of many runs is for `rawsink scrub`, as the hint says.
async fn choose(args: &Args, context: &Context<'_>) -> Result<(PartitionKey, RunId), Failure> {
    let place = partition::parse(&args.run.partition, context)?;
    if place.partition().is_none() {
        let message = "the path names no run, and this command verifies one";
        return Err(Failure::At(Stage::NamingManyRuns, Error::invalid(message).at(place)));
    }
    let names_many = place.run().is_none() && args.run.choice.is_empty();
    args.run.choose(context).await.map_err(|failure| match failure {
        Failure::Library(error) if names_many && error.kind() == ErrorKind::Invalid => {
            Failure::At(Stage::NamingManyRuns, error)
        }
        failure => failure,
    })
}
