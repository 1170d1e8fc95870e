//! `rawsink coverage`

mod expected;
mod grid;
mod page;
mod plan;
mod table;

use std::{num::NonZeroUsize, path::PathBuf};

use indicatif::HumanCount;
use jiff::Timestamp;
use rawsink::{Clock, SystemClock, error::system_text};
use rawsink_ops::coverage::{CommandTemplate, Coverage, OddDays, PageFacts, Tally, coverage};

use self::expected::ExpectedArgs;
use super::state::MALFORMED;
use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    filter::{FilterArgs, day_at},
    output, progress,
    screen::Screen,
};

const UNREAD: &str = "not all seals and records could be read";

/// Show existing and missing partitions
///
/// The command compares the state with the storage. For each customer, query and day it prints
/// validated, sealed, unsealed, failed, missing, lost or withdrawn, and whether a run needs a verdict.
/// Lost means that the run with authority is gone, or that its files do not have the lengths that were
/// validated; with --seals also that its metadata.json is not the validated one. Unreadable means that the
/// storage cannot be listed there. A terminal shows a grid of one character a day, the worst rows first; a
/// pipe gets one line for each row. By default it expects every customer with every query of its source on every day between
/// the first and the last day with data. It reads no payload and changes nothing.
///
/// Exit code 1 means that an expected partition is neither validated nor withdrawn, that a run of the
/// future keeps another run from authority, or that the last day is before yesterday (UTC) without
/// --until. --fail-on limits the exit code to some of these, or adds `withdrawn`. Malformed
/// records and unreadable directories are errors with their own exit code.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink coverage google_ads --since 2024-06-01 --until 2024-06-30
  rawsink coverage google_ads --customers-file ids.txt --queries campaign,ad
  rawsink coverage --json | jq -r 'select(.standing == \"missing\").path'
  rawsink coverage --since -7d --until yesterday --fail-on lost,failed
  rawsink coverage --seals --jobs 32 --fail-on lost
  rawsink coverage --plan > backfill.sh
  rawsink coverage --plan --command 'extract {customer_id} {logical_date}'
  rawsink coverage --html coverage.html --open")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    expected: ExpectedArgs,

    /// Print the commands that fill the gaps; extractions are comments unless --command is given
    #[arg(long)]
    plan: bool,

    /// With --plan: the one command that prints the rows of a partition; replaces `{source}`,
    /// `{customer_id}`, `{query_name}` and `{logical_date}` by the names, quoted
    #[arg(long, value_name = "COMMAND", requires = "plan", value_parser = template)]
    command: Option<CommandTemplate>,

    /// With --command: metadata of each extract, as `rawsink write --set` takes it; repeatable
    #[arg(long, value_name = "KEY=VALUE", requires = "command")]
    set: Vec<String>,

    /// Exit with 1 only for these
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_values_t = Fault::DEFAULT)]
    fail_on: Vec<Fault>,

    /// Also read metadata.json of each validated run and compare its SHA-256 with the validated one
    #[arg(long)]
    seals: bool,

    /// With --seals: read up to N seals in parallel
    #[arg(long, value_name = "N", default_value = "16", value_parser = super::jobs_parser(), requires = "seals")]
    jobs: NonZeroUsize,

    /// Write an HTML page that shows the grid and works offline
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    html: Option<PathBuf>,

    /// With --html: show the page in the browser
    #[arg(long, requires = "html")]
    open: bool,
}

impl Args {
    /// Returns the number of seals to read in parallel.
    pub(crate) fn jobs(&self) -> usize {
        if self.seals { self.jobs.get() } else { 1 }
    }
}

/// The summary if a part of the storage could not be listed.
const UNREADABLE: &str = "not everything could be compared";

fn template(text: &str) -> Result<CommandTemplate, String> {
    CommandTemplate::parse(text).map_err(|error| error.message().to_owned())
}

/// What makes the command exit with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fault {
    /// No run exists
    Missing,
    /// The last verdict that applies is a failure
    Failed,
    /// The run with authority cannot be read
    Lost,
    /// A run is sealed and needs a verdict, or is not sealed
    Sealed,
    /// A run that passed cannot get authority: a run of the future has it
    Blocked,
    /// An operator withdrew every run (not by default)
    Withdrawn,
    /// Without --until: the last day is before yesterday
    Stale,
}

impl Fault {
    const DEFAULT: [Self; 6] =
        [Self::Missing, Self::Failed, Self::Lost, Self::Sealed, Self::Blocked, Self::Stale];

    /// Returns whether a coverage has this fault.
    fn is_in(self, tally: &Tally, is_stale: bool) -> bool {
        match self {
            Self::Missing => tally.missing > 0,
            Self::Failed => tally.failed > 0,
            Self::Lost => tally.lost > 0,
            Self::Sealed => tally.sealed + tally.unsealed > 0,
            Self::Blocked => tally.blocked > 0,
            Self::Withdrawn => tally.withdrawn > 0,
            Self::Stale => is_stale,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = clap::ValueEnum::to_possible_value(self);
        f.write_str(named.as_ref().map_or("", |named| named.get_name()))
    }
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let scope = args.expected.scope(args.filter.selection(context)?)?;
    let made = SystemClock.now();
    if let Some(path) = &args.html {
        page::check(path, context)?;
    }
    let mut coverage = coverage(&context.sink, &*context.state, &scope).await?;
    let unread = if args.seals {
        coverage.check_seals(&context.sink, &*context.state, args.jobs).await?
    } else {
        Vec::new()
    };
    let tally = coverage.tally();
    print(&coverage, &tally, args, made, context)?;
    let last = coverage.days().last().copied();
    let yesterday = day_at("yesterday", made)?;
    let stale = last.filter(|last| scope.selection.until.is_none() && *last < yesterday);
    if let Some(last) = stale {
        output::note(format!("stale: the last day is {last}, and later days are not expected"));
    }
    coverage.odd_days().iter().for_each(warn_of_odd_days);
    let mut errors = Errors::default();
    let faults = unread.iter().chain(coverage.faults());
    faults.for_each(|fault| errors.report(fault, context.output));
    let is_faulty = args.fail_on.iter().any(|fault| fault.is_in(&tally, stale.is_some()));
    let exit = if is_faulty { Exit::CheckFailed } else { Exit::Success };
    let what = match (coverage.hidden().is_empty(), unread.is_empty()) {
        (false, _) => UNREADABLE,
        (true, false) => UNREAD,
        (true, true) => MALFORMED,
    };
    errors.finish(what, exit)
}

/// Prints the coverage and its summary. On a terminal the summary comes first.
fn print(
    coverage: &Coverage,
    tally: &Tally,
    args: &Args,
    made: Timestamp,
    context: &Context<'_>,
) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        let facts = PageFacts { made, place: context.place() };
        page::write(coverage, &facts, path)?;
        output::note(format!("wrote {}", path.display()));
        if args.open
            && let Err(cause) = open::that_detached(path)
        {
            output::warning(format!("cannot show the page: {}", system_text(&cause)));
        }
    }
    if args.plan {
        plan::print(coverage, args.command.as_ref(), &args.set, made, context)?;
    } else if context.output.is_json() {
        table::print_cells(coverage)?;
    } else if args.html.is_none() {
        if let Some(grid) = Screen::of_stdout().and_then(|screen| grid::draw(coverage, screen)) {
            print_summary(coverage, tally, context);
            output::text(grid.as_bytes())?;
            return Ok(());
        }
        table::print_rows(coverage)?;
    }
    print_summary(coverage, tally, context);
    Ok(())
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
        // Nothing was found where nothing could be read.
        if !coverage.faults().is_empty() {
            return;
        }
        output::note(format!("no partitions exist and none are expected; {}", context.place()));
        return;
    };
    let Tally { validated, sealed, unsealed, failed, missing, lost, withdrawn, .. } = *tally;
    let count = |number: usize, thing| progress::count(number as u64, thing);
    let (rows, days) = (count(rows, "row"), count(days.len(), "day"));
    let [validated, sealed, unsealed, failed, missing, lost, withdrawn] =
        [validated, sealed, unsealed, failed, missing, lost, withdrawn]
            .map(|number| HumanCount(number as u64));
    output::note(format!(
        "{rows} of {days}, {since} to {until}: {validated} validated, {sealed} sealed only, \
         {unsealed} unsealed, {failed} failed, {missing} missing, {lost} lost, {withdrawn} withdrawn"
    ));
    if tally.unreadable > 0 {
        let cells = count(tally.unreadable, "partition");
        output::note(format!("{cells} unreadable: the storage cannot be listed there"));
    }
    if tally.unknown > 0 {
        let unknown = count(tally.unknown, "sealed run");
        output::note(format!("{unknown} without a verdict"));
    }
    if tally.blocked > 0 {
        let blocked = count(tally.blocked, "partition");
        output::note(format!(
            "{blocked} with a run that cannot get authority: another run has it, and its id is a time in \
             the future"
        ));
    }
    if let Some(worst) = worst_day(coverage) {
        output::note(worst);
    }
}

/// Names the day with the most cells that need work, if there are several days.
fn worst_day(coverage: &Coverage) -> Option<String> {
    let (rows, days) = (coverage.rows().len(), coverage.days());
    let mut open = vec![0_usize; days.len()];
    for (_, cells) in coverage.cells() {
        for (open, cell) in open.iter_mut().zip(cells) {
            *open += usize::from(cell.standing.needs_work());
        }
    }
    // The latest of several.
    let (day, open) = days.iter().zip(open).max_by_key(|(_, open)| *open)?;
    let is_of_interest = days.len() > 1 && open > 0;
    is_of_interest.then(|| format!("worst day {day}: {} of {rows} validated", rows - open))
}
