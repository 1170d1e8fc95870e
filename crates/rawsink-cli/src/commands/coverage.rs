//! `rawsink coverage`

mod expected;
mod page;
mod plan;
mod table;

use std::path::PathBuf;

use rawsink::{Clock, SystemClock};
use rawsink_ops::coverage::{Coverage, OddDays, PageFacts, Tally, coverage};

use self::expected::ExpectedArgs;
use super::state::MALFORMED;
use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    filter::FilterArgs,
    output, progress,
};

/// Show existing and missing partitions
///
/// The command compares the state with the storage. For each customer, query and day it prints
/// validated, sealed, unsealed, failed or missing, and where state and storage disagree. By default it
/// expects every customer with every query of its source on every day between the first and the last
/// day with data. It reads no payload and changes nothing.
///
/// Exit code 1 means that a partition is missing, or that a run with authority is not in the storage.
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

    /// Print the commands that fill the gaps; extractions are comments
    #[arg(long)]
    plan: bool,

    /// Write an HTML page that shows the grid and works offline
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    html: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
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
    print_summary(&coverage, &tally, context);
    coverage.odd_days().iter().for_each(warn_of_odd_days);
    let mut errors = Errors::default();
    coverage.faults().iter().for_each(|fault| errors.report(fault, context.output));
    let exit = if tally.is_complete() { Exit::Success } else { Exit::CheckFailed };
    errors.finish(MALFORMED, exit)
}

/// Warns of partitions that are not in the grid.
fn warn_of_odd_days(odd: &OddDays) {
    let OddDays { since, until, partitions } = odd;
    let partitions = progress::count(*partitions as u64, "partition");
    let days = if since == until { since.to_string() } else { format!("{since} to {until}") };
    output::warning(format!(
        "{partitions} of {days} left out, far from all other days; --since and --until select them"
    ));
}

/// Prints the totals for a person.
fn print_summary(coverage: &Coverage, tally: &Tally, context: &Context<'_>) {
    let (rows, days) = (coverage.rows().len(), coverage.days());
    let (Some(since), Some(until)) = (days.first(), days.last()) else {
        output::note(format!("no partitions exist and none are expected; {}", context.place()));
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
            "{lost} with authority missing in the storage, {unknown} without a verdict"
        ));
    }
}
