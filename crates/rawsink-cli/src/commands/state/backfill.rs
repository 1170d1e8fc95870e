//! `rawsink state backfill`

use rawsink::{
    Error, LogicalDate,
    state::{Days, Series, plan_backfill},
};

use super::changes;
use crate::{
    complete,
    context::Context,
    exit::{Exit, Failure},
    partition,
};

/// Create pending records for the days that have none
///
/// The command prints each record it creates and keeps existing records.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  Q=google_ads/customer_id=123/query_name=campaign
  rawsink state backfill $Q --since 2024-06-01 --until 2024-06-30
  rawsink state backfill $Q/logical_date=2024-06-01 --dry-run")]
pub(crate) struct Args {
    /// Canonical paths down to `query_name=` or `logical_date=`
    #[arg(required = true, value_name = "PATH", add = complete::paths())]
    paths: Vec<String>,

    /// First reporting day
    #[arg(long, value_name = "YYYY-MM-DD", requires = "until")]
    since: Option<LogicalDate>,

    /// Last reporting day
    #[arg(long, value_name = "YYYY-MM-DD", requires = "since")]
    until: Option<LogicalDate>,

    /// Print the records to create and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let named = args.paths.iter().map(|path| series(path, args, context));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let plan = plan_backfill(&*context.state, &named).await?;
    if args.dry_run { changes::show(&plan, context) } else { changes::apply(&plan, context).await }
}

/// Returns the customer's query that a path names, and its days.
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
            let message = "the path already names a day; remove --since and --until";
            return Err(Error::invalid(message).at(place).into());
        }
        ([_, _, _], None) => {
            return Err(Error::invalid("the path names no day; add --since and --until")
                .at(place)
                .into());
        }
        _ => {
            let message = format!(
                "{path:?} is not a query of a customer: expected a path down to query_name="
            );
            return Err(Error::invalid(message).into());
        }
    };
    let [source, customer_id, query_name] = [0, 1, 2].map(|level| names[level].to_owned());
    Ok((Series { source, customer_id, query_name }, days))
}
