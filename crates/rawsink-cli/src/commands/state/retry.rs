//! `rawsink state retry`

use rawsink::{
    Error,
    state::{Marked, plan_retry},
};

use super::changes;
use crate::{
    context::Context,
    exit::{Exit, Failure},
    filter::FilterArgs,
    output,
};

/// The command asks before it changes more partitions than this.
const MAX_UNCONFIRMED: usize = 20;

/// Set failed partitions back to pending
///
/// Pending partitions are written or validated again. The command prints each change and keeps the run,
/// the reason and the number of attempts. Records that are no longer failed are skipped. Records whose
/// message starts with a mark of other software, such as `[terminal]`, are kept unless --marked is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink state retry --dry-run
  rawsink state retry google_ads --query campaign --since 2024-06-01
  rawsink state retry google_ads/customer_id=123 --yes")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// Print the changes without making them
    #[arg(long)]
    dry_run: bool,

    /// Also change records that other software marked
    #[arg(long)]
    marked: bool,

    /// Change more than 20 partitions without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let marked = if args.marked { Marked::Retry } else { Marked::Keep };
    let plan = plan_retry(&*context.state, &args.filter.selection(context)?, marked).await?;
    if args.dry_run {
        return changes::show(&plan, context);
    }
    let count = plan.keys.len();
    if count > MAX_UNCONFIRMED && !args.yes {
        let question = format!("set {count} partitions back to pending?");
        match output::confirm(&question)? {
            Some(true) => {}
            Some(false) => return Err(Failure::check_failed("nothing was changed")),
            None => {
                let message = format!(
                    "setting {count} partitions back to pending needs a confirmation; add --yes, or \
                     --dry-run to list them"
                );
                return Err(Error::invalid(message).into());
            }
        }
    }
    changes::apply(&plan, context).await
}
