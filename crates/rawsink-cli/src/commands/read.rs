//! `rawsink read`

use std::io::Write;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    hint::Stage,
    output,
    partition::RunArgs,
    progress::Progress,
};

/// Print the rows of a sealed run and check them against its seal
///
/// The command copies the payload to standard output and compares its length, SHA-256 and number of
/// rows with the seal. Exit code 5 means that the printed rows differ from the sealed rows.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink read $P --current > rows.jsonl
  rawsink read $P --latest | jq .campaign.name

If the reader of a pipe closes it early, the command exits with 0 and has not checked the rest.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut reader = if let Some(key) = args.run.consumed(context)? {
        let opened = rawsink::consume::open_current(&context.sink, &*context.state, &key).await;
        opened.map_err(|error| Failure::At(Stage::Consuming, error))?
    } else {
        let (key, run) = args.run.choose(context).await?;
        context.sink.open_partition(&key, &run).await?
    };
    let mut stdout = output::unbuffered()?;
    let progress = Progress::of_bytes("reading", reader.payload_bytes());
    let mut read_bytes = 0;
    while let Some(chunk) = reader.next_chunk().await? {
        stdout.write_all(&chunk)?;
        read_bytes += chunk.len() as u64;
        progress.set(0, read_bytes);
    }
    Ok(Exit::Success)
}
