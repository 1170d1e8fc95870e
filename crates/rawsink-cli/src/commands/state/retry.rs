//! `rawsink state retry`

use rawsink::{Error, state::plan_retry};

use super::changes;
use crate::{
    context::Context,
    exit::{Answer, Failure},
    filter::FilterArgs,
    output,
};

/// More partitions than these are not changed without being asked for.
const UNASKED: usize = 20;

/// Set partitions that failed back to pending, so that they are landed or validated again
///
/// Prints each change. Run, reason and number of attempts are kept. What is not failed any more when
/// its turn comes is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink state retry --dry-run
  rawsink state retry google_ads --query campaign --since 2024-06-01
  rawsink state retry google_ads/customer_id=123 --yes")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Print what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before more than 20 partitions are changed
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let plan = plan_retry(&*context.state, &args.filter.selection(context)?).await?;
    if args.dry_run {
        return changes::show(&plan, context);
    }
    let count = plan.keys.len();
    if count > UNASKED && !args.yes {
        let question = format!("set {count} partitions back to pending?");
        match output::ask(&question)? {
            Some(true) => {}
            Some(false) => return Err(Failure::Refused("nothing was changed".to_owned())),
            None => {
                let message = format!(
                    "{count} partitions would be set back to pending and nobody can be asked; \
                     --yes does it, --dry-run lists them"
                );
                return Err(Error::invalid(message).into());
            }
        }
    }
    changes::make(&plan, context).await
}
