//! `rawsink state`

mod backfill;
mod changes;
mod history;
mod init;
mod list;
mod restore;
mod retry;
mod show;
mod withdraw;

use rawsink::{layout::Place, partition::RunId, state::Entry};
use serde::Serialize;

use crate::{
    context::Context,
    escape,
    exit::{Exit, Failure},
    table,
};

/// Show and change the records of partitions
///
/// Only `rawsink validate` records results. An operator can mark failed partitions for another try,
/// missing partitions as pending, and runs as withdrawn. These commands never change raw data.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StateCommand {
    Init(init::Args),
    Show(show::Args),
    List(list::Args),
    History(history::Args),
    Retry(retry::Args),
    Backfill(backfill::Args),
    Withdraw(withdraw::Args),
    Restore(restore::Args),
}

/// The summary of a command that met malformed records.
pub(super) const MALFORMED: &str = "some records of the state are malformed";

/// A record, as JSON: the columns of the table.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    source: &'a str,
    customer_id: &'a str,
    query_name: &'a str,
    logical_date: String,
    #[serde(flatten)]
    record: &'a rawsink::state::Record,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    match &args.command {
        StateCommand::Init(args) => init::run(args, context).await,
        StateCommand::Show(args) => show::run(args, context).await,
        StateCommand::List(args) => list::run(args, context).await,
        StateCommand::Retry(args) => retry::run(args, context).await,
        StateCommand::Backfill(args) => backfill::run(args, context).await,
        StateCommand::History(args) => history::run(args, context).await,
        StateCommand::Withdraw(args) => withdraw::run(args, context).await,
        StateCommand::Restore(args) => restore::run(args, context).await,
    }
}

fn print(entry: &Entry, context: &Context<'_>) -> Result<(), Failure> {
    let Entry { key, record } = entry;
    let place = Place::of_partition(key);
    let row = Row {
        path: &place.to_string(),
        source: key.source(),
        customer_id: key.customer_id(),
        query_name: key.query_name(),
        logical_date: key.logical_date().to_string(),
        record,
    };
    let run = record.current_run_id.as_ref().map_or("-", RunId::as_str);
    let error = record.error_message.as_ref().map(|message| escape::field(message));
    let mut fields = vec![record.status.as_str(), run];
    fields.extend(error.as_deref());
    Ok(table::row(&row, &place, &fields, context.output)?)
}
