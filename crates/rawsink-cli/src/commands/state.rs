//! `rawsink state`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rawsink::{
    Error,
    key::RunId,
    layout::Place,
    state::{Entry, Filter, Record, Status},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    partition,
};

/// Show what the state says about partitions
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StateCommand {
    /// Show the record of one logical partition; none means pending
    Show {
        /// Canonical path of a logical partition
        partition: String,
    },
    /// List the records, sorted by partition
    List {
        /// Canonical path, as deep as wanted
        #[arg(default_value = "")]
        prefix: String,
        /// Only records with this status
        #[arg(long, value_parser = status_parser())]
        status: Option<Status>,
    },
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
    record: &'a Record,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    match &args.command {
        StateCommand::Show { partition } => {
            let place = partition::parse(partition, context)?;
            let key = partition::partition_of(&place)?;
            if place.run().is_some() {
                return Err(Error::invalid(
                    "the state knows logical partitions; leave the run out",
                )
                .at(place)
                .into());
            }
            let record = context.state.get(&key).await?.unwrap_or_else(Record::pending);
            print(&Entry { key, record }, context)?;
        }
        StateCommand::List { prefix, status } => {
            let filter = Filter { status: *status, ..filter(&partition::parse(prefix, context)?) };
            for entry in context.state.list(&filter).await? {
                print(&entry, context)?;
            }
        }
    }
    Ok(Answer::Yes)
}

/// Offers the statuses that exist, to the help and to completions.
fn status_parser() -> impl TypedValueParser<Value = Status> {
    let all = [Status::Pending, Status::Success, Status::Failed].map(Status::as_str);
    PossibleValuesParser::new(all).try_map(|text| text.parse::<Status>())
}

fn filter(place: &Place) -> Filter {
    let mut values = place.values().map(|value| Some(value.to_owned()));
    let mut next = || values.next().flatten();
    Filter {
        source: next(),
        customer_id: next(),
        query_name: next(),
        logical_date: next(),
        status: None,
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
