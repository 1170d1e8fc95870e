//! `rawsink state init`

use rawsink::state::Table;
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Exit, Failure},
};

/// Create the table of the state if it does not exist
///
/// The first validation does the same. In an existing table the command checks the columns and changes
/// nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink state init
  RAW_SINK_STATE_URL=postgres://me@db.example.org/pipeline rawsink state init")]
pub(crate) struct Args {}

/// The outcome, as JSON.
#[derive(Serialize)]
struct Initialised {
    state: String,
    made: bool,
}

pub(crate) async fn run(_args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let made = context.state.init().await? == Table::Created;
    let state = context.config().state.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!("{state}\t{}", if made { "created" } else { "exists already" });
    context.output.data(&Initialised { state, made }, text)?;
    Ok(Exit::Success)
}
