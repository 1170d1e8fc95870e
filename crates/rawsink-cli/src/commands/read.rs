//! `rawsink read`

use std::io::Write;

use rawsink::layout::Place;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
    partition::RunArgs,
    progress::Progress,
};

/// Print the rows of a sealed run, checked against its seal
///
/// Rows come to standard output byte for byte. Length, SHA-256 and number of rows are compared
/// while they stream: exit code 5 means that what was printed is not what was sealed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink read $P --current > rows.jsonl
  rawsink read $P --latest | jq .campaign.name")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let (key, run) = args.run.choose(context).await?;
    let mut reader = if args.run.choice.current {
        rawsink::consume::open_current(&context.sink, &*context.state, &key).await?
    } else {
        context.sink.open_partition(&key, &run).await?
    };
    let mut stdout = output::bulk()?;
    let progress = Progress::of_bytes("reading", reader.payload_bytes());
    let mut read_bytes = 0;
    while let Some(chunk) =
        reader.next_chunk().await.map_err(|error| error.at(Place::of_run(&key, &run)))?
    {
        stdout.write_all(&chunk)?;
        read_bytes += chunk.len() as u64;
        progress.set(0, read_bytes);
    }
    Ok(Answer::Yes)
}
