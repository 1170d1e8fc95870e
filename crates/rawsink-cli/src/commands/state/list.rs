//! `rawsink state list`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rawsink::state::{Filter, Status};

use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    filter::FilterArgs,
};

/// List records sorted by partition
///
/// A malformed record is reported on standard error and does not stop the others. The exit code is
/// then 5.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink state list --status failed
  rawsink state list google_ads/customer_id=123 --since 2024-06-01 --json")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Select records with this status
    #[arg(long, value_parser = status_parser())]
    status: Option<Status>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let filter = Filter { partitions: args.filter.selection(context)?, status: args.status };
    let mut errors = Errors::default();
    let records = context.state.list(&filter).await?;
    if records.is_empty() {
        context.note_empty_state(match args.status {
            Some(_) => "no records have this status",
            None => "no records exist",
        });
    }
    for found in records {
        match found {
            Ok(entry) => super::print(&entry, context)?,
            Err(error) => errors.report(&error, context.output),
        }
    }
    errors.finish(super::MALFORMED, Exit::Success)
}

/// Accepts the known statuses and lists them in help and completions.
fn status_parser() -> impl TypedValueParser<Value = Status> {
    let all = [Status::Pending, Status::Success, Status::Failed].map(Status::as_str);
    PossibleValuesParser::new(all).try_map(|text| text.parse::<Status>())
}
