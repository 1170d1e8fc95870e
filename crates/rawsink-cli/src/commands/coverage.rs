//! `rawsink coverage`

mod expected;
mod page;
mod plan;
mod table;

use std::path::PathBuf;

use rawsink::{
    Clock, SystemClock,
    coverage::{Coverage, PageFacts, Tally, coverage},
};

use self::expected::ExpectedArgs;
use super::state::{end, tell_fault};
use crate::{
    context::Context,
    exit::{Answer, Failure},
    filter::FilterArgs,
    output, progress,
};

/// Show what is there of every customer, query and day, and what is missing
///
/// Compares the state with the storage: sealed and validated, sealed only, unsealed, failed, missing;
/// and where they contradict each other. Expected is every customer with every query of its source,
/// on every day from the first to the last that was seen, unless options say so. Reads no payload and
/// changes nothing. Exit code 1 means that something is missing, or that a run which has authority is
/// not in the storage.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink coverage google_ads --since 2024-06-01 --until 2024-06-30
  rawsink coverage google_ads --customers-file ids.txt --queries campaign,ad
  rawsink coverage --json | jq -r 'select(.standing == \"missing\").path'
  rawsink coverage --plan > backfill.sh
  rawsink coverage --html coverage.html")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    expected: ExpectedArgs,

    /// Print what is to be done, as commands; what has to be extracted stands in comments
    #[arg(long)]
    plan: bool,

    /// Write one page that shows the grid in a browser, without any network
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    html: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let scope = args.expected.scope(args.filter.selection(context)?)?;
    let made = SystemClock.now();
    if let Some(path) = &args.html {
        page::check(path, context)?;
    }
    let coverage = coverage(&context.sink, &*context.state, &scope).await?;
    if let Some(path) = &args.html {
        let facts = PageFacts { made, place: context.place() };
        page::write(&coverage, &facts, path)?;
    }
    if args.plan {
        plan::print(&coverage, context)?;
    } else if context.output.is_json() {
        table::print_cells(&coverage)?;
    } else if args.html.is_none() {
        table::print_rows(&coverage)?;
    }
    let tally = coverage.tally();
    tell(&coverage, &tally, context);
    coverage.faults().iter().for_each(tell_fault);
    end(coverage.faults().len())?;
    Ok(if tally.is_complete() { Answer::Yes } else { Answer::No })
}

/// Tells a person the sum.
fn tell(coverage: &Coverage, tally: &Tally, context: &Context<'_>) {
    let (rows, days) = (coverage.rows().len(), coverage.days());
    let (Some(since), Some(until)) = (days.first(), days.last()) else {
        output::note(format!("nothing is landed, and nothing expected; {}", context.place()));
        return;
    };
    let Tally { validated, sealed, unsealed, failed, missing, lost, unknown } = *tally;
    let count = |number: usize, thing| progress::count(number as u64, thing);
    let (rows, days) = (count(rows, "row"), count(days.len(), "day"));
    output::note(format!(
        "{rows} of {days}, {since} to {until}: {validated} validated, {sealed} sealed only, \
         {unsealed} unsealed, {failed} failed, {missing} missing"
    ));
    if lost + unknown > 0 {
        let (lost, unknown) = (count(lost, "run"), count(unknown, "sealed run"));
        output::note(format!(
            "{lost} with authority not in the storage, {unknown} unknown to the state"
        ));
    }
}
