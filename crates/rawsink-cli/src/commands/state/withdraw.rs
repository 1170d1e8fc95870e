//! `rawsink state withdraw`

use std::iter;

use rawsink::{
    Error, RunId, SystemClock,
    layout::Place,
    runtime::Clock,
    state::{Change, Record},
};
use rawsink_ops::withdraw::{Step, plan_all, plan_run};
use serde::Serialize;

use crate::{
    complete,
    context::Context,
    exit::{Errors, Exit, Failure},
    filter::ComponentArgs,
    output, partition, progress, table,
};

/// The command asks before it withdraws more runs than this.
const MAX_UNCONFIRMED: usize = 20;

/// Number of changes in one transaction.
const MAX_BATCH: usize = 500;

/// Withdraw a run, so that no consumer reads it
///
/// If the run has authority, the newest other run that passed its last validation gets it, or none. The
/// run is not validated again, and a plan of `rawsink coverage` does not write it again. No data is
/// deleted. `rawsink state restore` ends a withdrawal.
///
/// With --erased the command withdraws every run below PATH, also those whose files are deleted, so
/// that a customer can be erased: withdraw first, then delete the files or objects. `rawsink coverage`
/// then shows the partitions as withdrawn, not as lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  R=$P/run_id=2024-06-02T04:05:06.789Z
  rawsink state withdraw $R --reason 'wrong currency'
  rawsink state withdraw google_ads --customer 123 --erased --reason 'ticket 7'")]
pub(crate) struct Args {
    /// Canonical path of a run; with --erased of any level
    #[arg(add = complete::paths())]
    path: String,

    /// Why, for the verdict log
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,

    /// Withdraw every run below PATH
    #[arg(long)]
    erased: bool,

    #[command(flatten)]
    components: ComponentArgs,

    /// Print the runs without withdrawing them
    #[arg(long)]
    dry_run: bool,

    /// Withdraw more than 20 runs without asking
    #[arg(long)]
    yes: bool,
}

/// One withdrawal or restore, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    run_id: &'a RunId,
    /// The run that has authority after it; `null` for none, or if nothing was changed.
    authority: Option<&'a RunId>,
    done: bool,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let plan = plan(args, context).await?;
    if plan.is_empty() {
        output::note("no run is left to withdraw");
        return Ok(Exit::Success);
    }
    let runs = progress::count(plan.len() as u64, "run");
    if args.dry_run {
        for step in &plan {
            print(step, None, "would be withdrawn", context)?;
        }
        output::note(format!("{runs} would be withdrawn; nothing was changed"));
        return Ok(Exit::Success);
    }
    if plan.len() > MAX_UNCONFIRMED && !args.yes {
        match output::confirm(&format!("withdraw {runs}?"))? {
            Some(true) => {}
            Some(false) => return Err(Failure::check_failed("nothing was changed")),
            None => {
                let message = format!(
                    "withdrawing {runs} needs a confirmation; add --yes, or --dry-run to list them"
                );
                return Err(Error::invalid(message).into());
            }
        }
    }
    apply(&plan, "withdrawn", context).await
}

/// Makes withdrawals or restores and prints each.
pub(super) async fn apply(
    plan: &[Step],
    done: &str,
    context: &Context<'_>,
) -> Result<Exit, Failure> {
    let (mut changed, mut errors) = (0, Errors::default());
    for steps in plan.chunks(MAX_BATCH) {
        let outcomes = context.state.change_many(steps, SystemClock.now()).await?;
        for (step, outcome) in steps.iter().zip(outcomes) {
            let place = Place::of_partition(&step.0);
            match outcome {
                Ok(Some(record)) => {
                    changed += 1;
                    print(step, Some(&record), done, context)?;
                }
                Ok(None) => {
                    output::note(format!("{place} has changed in the meantime and is skipped"));
                }
                Err(error) => errors.report(&error.at(place), context.output),
            }
        }
    }
    output::note(format!("{} {done}", progress::count(changed, "run")));
    errors.finish("not all runs could be changed", Exit::Success)
}

async fn plan(args: &Args, context: &Context<'_>) -> Result<Vec<Step>, Failure> {
    let (sink, state) = (&context.sink, &*context.state);
    if args.erased {
        let partitions = args.components.selection(&args.path, context)?;
        return Ok(plan_all(sink, state, &partitions, &args.reason).await?);
    }
    let place = partition::parse(&args.path, context)?;
    let Some(run) = place.run().filter(|_| args.components.is_empty()) else {
        let message = "only a run can be withdrawn: add run_id= to the path, or --erased to withdraw \
                       every run below it";
        return Err(Error::invalid(message).at(place).into());
    };
    Ok(plan_run(sink, state, &partition::partition_of(&place)?, &run, &args.reason).await?)
}

fn print(
    (key, change): &Step,
    after: Option<&Record>,
    done: &str,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let (Change::Withdraw { run_id, .. } | Change::Restore { run_id }) = change else {
        return Ok(());
    };
    let place = Place::of_run(key, run_id);
    let authority = after.and_then(Record::authoritative_run);
    let shown = match authority {
        Some(run) => Some(format!("run {run} has authority")),
        None => after.map(|_| "no run has authority".to_owned()),
    };
    let fields: Vec<&str> = iter::once(done).chain(shown.as_deref()).collect();
    let row = Row { path: &place.to_string(), run_id, authority, done: after.is_some() };
    // A closed pipe does not stop the changes.
    Ok(output::if_read(table::row(&row, &place, &fields, context.output))?)
}
