//! `rawsink state`

mod backfill;
mod changes;
mod init;
mod list;
mod retry;
mod show;

use rawsink::{Error, key::RunId, layout::Place, state::Entry};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
};

/// Show what the state says about partitions, and change it as an operator
///
/// Verdicts come from `rawsink validate` alone. What an operator may change: what failed is to be
/// tried again, and what is missing is to be landed. No command touches raw data.
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
    Retry(retry::Args),
    Backfill(backfill::Args),
}

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

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    match &args.command {
        StateCommand::Init(args) => init::run(args, context).await,
        StateCommand::Show(args) => show::run(args, context).await,
        StateCommand::List(args) => list::run(args, context).await,
        StateCommand::Retry(args) => retry::run(args, context).await,
        StateCommand::Backfill(args) => backfill::run(args, context).await,
    }
}

fn print(entry: &Entry, context: &Context<'_>) -> Result<(), Failure> {
    let Entry { key, record } = entry;
    let path = Place::of_partition(key).to_string();
    let row = Row {
        path: &path,
        source: key.source(),
        customer_id: key.customer_id(),
        query_name: key.query_name(),
        logical_date: key.logical_date().to_string(),
        record,
    };
    let run = record.current_run_id.as_ref().map_or("-", RunId::as_str);
    let error =
        record.error_message.as_ref().map(|message| format!("\t{message}")).unwrap_or_default();
    Ok(context.output.data(&row, format!("{path}\t{}\t{run}{error}", record.status))?)
}

/// Tells of a record that makes no sense; the command goes on.
pub(super) fn tell_fault(fault: &Error) {
    output::fault(fault);
}

/// Ends a command that met so many records which make no sense.
pub(super) fn end(faults: usize) -> Result<Answer, Failure> {
    match faults {
        0 => Ok(Answer::Yes),
        1 => Err(Error::corrupt("1 record of the state makes no sense").into()),
        _ => Err(Error::corrupt(format!("{faults} records of the state make no sense")).into()),
    }
}
