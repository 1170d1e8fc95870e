//! `rawsink state restore`

use rawsink::{Error, state::Change};

use super::withdraw;
use crate::{
    complete,
    context::Context,
    exit::{Exit, Failure},
    partition,
};

/// End the withdrawal of a run
///
/// The run is due then: `rawsink validate --all`, or `rawsink validate` with its path, decides whether
/// it has authority again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink state restore $P/run_id=2024-06-02T04:05:06.789Z")]
pub(crate) struct Args {
    /// Canonical path of a run
    #[arg(add = complete::paths())]
    path: String,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let place = partition::parse(&args.path, context)?;
    let key = partition::partition_of(&place)?;
    let Some(run_id) = place.run() else {
        let message = "only a run can be restored: add run_id= to the path";
        return Err(Error::invalid(message).at(place).into());
    };
    let history = context.state.history(&key).await.map_err(|error| error.at(&place))?;
    if history.withdrawal(&run_id).is_none() {
        return Err(Error::invalid("this run is not withdrawn").at(place).into());
    }
    withdraw::apply(&[(key, Change::Restore { run_id })], "restored", context).await
}
