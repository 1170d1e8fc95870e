//! `rawsink state init`

use rawsink::state::Table;
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
};

/// Make the state's table where it is missing
///
/// The first verdict does the same. A table that is there is checked for the columns that are
/// needed, and not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink state init
  RAW_SINK_STATE_URL=postgres://me@db.example.org/pipeline rawsink state init")]
pub(crate) struct Args {}

/// What was done, as JSON.
#[derive(Serialize)]
struct Initialised {
    state: String,
    made: bool,
}

pub(crate) async fn run(_args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let made = context.state.init().await? == Table::Made;
    let state = context.settings().state_url.to_string();
    let text = format!("{state}\t{}", if made { "made" } else { "there already" });
    context.output.data(&Initialised { state, made }, text)?;
    Ok(Answer::Yes)
}
