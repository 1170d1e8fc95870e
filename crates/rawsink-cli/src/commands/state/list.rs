//! `rawsink state list`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rawsink::state::{Filter, Status};

use crate::{
    context::Context,
    exit::{Answer, Failure},
    filter::FilterArgs,
};

/// List the records, sorted by partition
///
/// A record that makes no sense is named on standard error; the others are listed all the same, and
/// the exit code is 5.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink state list --status failed
  rawsink state list google_ads/customer_id=123 --since 2024-06-01 --json")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Only records with this status
    #[arg(long, value_parser = status_parser())]
    status: Option<Status>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let filter = Filter { partitions: args.filter.selection(context)?, status: args.status };
    let mut faults = 0;
    let records = context.state.list(&filter).await?;
    if records.is_empty() {
        context.note_empty_state("no records");
    }
    for found in records {
        match found {
            Ok(entry) => super::print(&entry, context)?,
            Err(fault) => {
                super::tell_fault(&fault);
                faults += 1;
            }
        }
    }
    super::end(faults)
}

/// Offers the statuses that exist, to the help and to completions.
fn status_parser() -> impl TypedValueParser<Value = Status> {
    let all = [Status::Pending, Status::Success, Status::Failed].map(Status::as_str);
    PossibleValuesParser::new(all).try_map(|text| text.parse::<Status>())
}
