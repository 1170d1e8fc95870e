//! `rawsink state show`

use rawsink::{
    Error,
    state::{Entry, Record},
};

use crate::{
    complete,
    context::Context,
    exit::{Exit, Failure},
    partition,
};

/// Show the record of a logical partition
///
/// A partition without a record is pending.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Canonical path of a logical partition
    #[arg(add = complete::paths())]
    partition: String,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let place = partition::parse_prefix(&args.partition, context)?;
    let key = partition::partition_of(&place)?;
    let record = context.state.get(&key).await.map_err(|error: Error| error.at(place))?;
    let record = record.unwrap_or_else(Record::pending);
    super::print(&Entry { key, record }, context)?;
    Ok(Exit::Success)
}
