//! `rawsink verify`

use rawsink::{
    layout::Place,
    verify::{Covered, Verified, verify},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    partition::RunArgs,
    progress,
};

/// Compare a run's stored bytes with its seal
///
/// Reads the payload once; prints and changes nothing of it. A difference is exit code 5.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink verify $P --latest")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

/// What was compared, as JSON.
#[derive(Serialize)]
struct Compared {
    path: String,
    #[serde(flatten)]
    verified: Verified,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let (key, run) = args.run.choose(context).await?;
    let verified = verify(&context.sink, &key, &run).await?;
    let path = Place::of_run(&key, &run).to_string();
    let agreed = match verified.covered {
        Covered::Seal => "agree with the seal",
        Covered::RecordCount => {
            "agree with record_count; other software sealed, so there is no length or SHA-256"
        }
        Covered::Nothing => {
            "could be read; other software sealed and nothing says what they should be"
        }
    };
    let amount = progress::amount(verified.found.record_count, verified.found.payload_bytes);
    let text = format!("{path}\t{amount} {agreed}");
    context.output.data(&Compared { path, verified }, text)?;
    Ok(Answer::Yes)
}
