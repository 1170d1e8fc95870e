//! `rawsink state backfill`

use rawsink::{
    Error, LogicalDate,
    state::{Days, Series, plan_backfill},
};

use super::changes;
use crate::{
    context::Context,
    exit::{Answer, Failure},
    partition,
};

/// Make pending records of a customer's query, one for each day that has none
///
/// Prints each record that is made; what is there is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  Q=google_ads/customer_id=123/query_name=campaign
  rawsink state backfill $Q --since 2024-06-01 --until 2024-06-30
  rawsink state backfill $Q/logical_date=2024-06-01 --dry-run")]
pub(crate) struct Args {
    /// Canonical paths down to the query, or down to the day
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,

    /// First reporting day
    #[arg(long, value_name = "YYYY-MM-DD", requires = "until")]
    since: Option<LogicalDate>,

    /// Last reporting day
    #[arg(long, value_name = "YYYY-MM-DD", requires = "since")]
    until: Option<LogicalDate>,

    /// Print what would be made, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let named = args.paths.iter().map(|path| series(path, args, context));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let plan = plan_backfill(&*context.state, &named).await?;
    if args.dry_run { changes::show(&plan, context) } else { changes::make(&plan, context).await }
}

/// Reads a path and the days that go with it.
fn series(path: &str, args: &Args, context: &Context<'_>) -> Result<(Series, Days), Failure> {
    let place = partition::parse_prefix(path, context)?;
    let values: Vec<&str> = place.values().collect();
    let given = args.since.zip(args.until).map(|(since, until)| Days { since, until });
    let (names, days) = match (values.as_slice(), given) {
        ([names @ .., day], None) if names.len() == 3 => {
            let day = day.parse()?;
            (names, Days { since: day, until: day })
        }
        (names, Some(days)) if names.len() == 3 => (names, days),
        ([_, _, _, _], Some(_)) => {
            let message = "the path names a day already; leave --since and --until out";
            return Err(Error::invalid(message).at(place).into());
        }
        ([_, _, _], None) => {
            return Err(Error::invalid("which days? Add --since and --until").at(place).into());
        }
        _ => {
            let message = format!("{path:?} names no customer's query");
            return Err(Error::invalid(message).into());
        }
    };
    let [source, customer_id, query_name] = [0, 1, 2].map(|level| names[level].to_owned());
    Ok((Series { source, customer_id, query_name }, days))
}
