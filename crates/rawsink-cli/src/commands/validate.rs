//! `rawsink validate`

mod all;

use std::num::NonZeroUsize;

use rawsink::{
    Error, PartitionKey, RunId,
    layout::Place,
    state::Status,
    validate::{self, Gaps, HazardPolicy, Holder, Rules, Validation},
};
use rawsink_ops::validate::Shard;
use serde::Serialize;

use super::rows::warn_of_hazards;
use crate::{
    complete,
    context::Context,
    exit::{Exit, Failure},
    filter::ComponentArgs,
    output,
    partition::ChoiceArgs,
    progress,
    shell::path_argument,
    table,
};

/// Validate sealed runs and record the results in the state
///
/// The command reads every row once. A run that passes gets authority unless a newer run has it. Exit
/// code 1 means that the run failed and that the failure is recorded, or that the run passed and a run
/// that is lost, or whose id is a time in the future, keeps authority. Exit code 3 means that the run
/// does not exist or is not sealed; the state does not change.
///
/// With --all the command validates every due run below PATH, oldest first: sealed runs without a
/// verdict, if their partition is pending or they are newer than the run that has authority. A run that
/// cannot be validated does not block the others; the next call tries it again. Rerun the command to
/// resume after an interruption.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink validate $P --latest
  rawsink validate $P --current --strict
  rawsink validate --all
  rawsink validate --all ads --since 2024-06-01 --jobs 8 --shard 2/8")]
pub(crate) struct Args {
    /// Canonical path of a partition or run; with --all an optional path prefix
    #[arg(required_unless_present = "all", add = complete::paths())]
    path: Option<String>,

    #[command(flatten)]
    choice: ChoiceArgs,

    #[command(flatten)]
    strictness: StrictnessArgs,

    /// Exit with code 1 if another run has authority in the end
    #[arg(long, conflicts_with = "all")]
    require_authority: bool,

    /// Validate all due runs
    #[arg(long, conflicts_with_all = ["current", "latest"])]
    all: bool,

    #[command(flatten)]
    components: ComponentArgs,

    /// With --all: validate up to N partitions in parallel
    #[arg(long, value_name = "N", default_value = "4", value_parser = super::jobs_parser())]
    jobs: NonZeroUsize,

    /// With --all: validate only shard I of N, to split the work between hosts
    #[arg(long, value_name = "I/N", requires = "all")]
    shard: Option<Shard>,
}

/// What fails a run that is otherwise only warned of.
#[derive(Debug, clap::Args)]
struct StrictnessArgs {
    /// Fail runs whose metadata lacks a recommended field
    #[arg(long)]
    strict: bool,

    /// Fail runs with rows that common readers cannot read
    #[arg(long)]
    strict_rows: bool,
}

impl Args {
    /// Returns the number of partitions to validate in parallel.
    pub(crate) fn jobs(&self) -> usize {
        if self.all { self.jobs.get() } else { 1 }
    }

    fn rules(&self) -> Rules {
        let StrictnessArgs { strict, strict_rows } = self.strictness;
        let gaps = if strict { Gaps::Refuse } else { Gaps::Warn };
        let hazards = if strict_rows { HazardPolicy::Refuse } else { HazardPolicy::Warn };
        Rules { gaps, hazards, ..Rules::default() }
    }
}

/// The result, as JSON.
#[derive(Serialize)]
struct ValidatedRun<'a> {
    path: &'a str,
    passed: bool,
    #[serde(flatten)]
    validation: &'a Validation,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let path = args.path.as_deref().unwrap_or_default();
    if args.all {
        return all::run(args, path, context).await;
    }
    if !args.components.is_empty() {
        let message = "--customer, --query, --since and --until need --all";
        return Err(Error::invalid(message).into());
    }
    let (key, run) = args.choice.choose(path, context).await?;
    let validation =
        validate::run(&context.sink, &*context.state, &key, &run, args.rules()).await?;
    // The notes come first, because standard output may be full.
    if !args.strictness.strict_rows {
        warn_of_hazards(validation.hazards.iter().copied());
    }
    print_notes(&key, &run, &validation);
    print(&key, &run, &validation, context)?;
    Ok(exit(&validation, args.require_authority))
}

/// Returns how a command ends after a validation.
pub(crate) fn exit(validation: &Validation, require_authority: bool) -> Exit {
    let is_missing = require_authority && validation.authority != Holder::ThisRun;
    if validation.passed() && !validation.is_blocked() && !is_missing {
        Exit::Success
    } else {
        Exit::CheckFailed
    }
}

fn print(
    key: &PartitionKey,
    run: &RunId,
    validation: &Validation,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let (place, passed) = (Place::of_run(key, run), validation.passed());
    let record = ValidatedRun { path: &place.to_string(), passed, validation };
    let verdict = if passed { "passed" } else { "failed" };
    Ok(output::if_read(table::line(&record, &place, &[verdict], context.output))?)
}

/// Prints what a validation found and changed, for a person.
fn print_notes(key: &PartitionKey, run: &RunId, validation: &Validation) {
    for warning in &validation.warnings {
        output::warning(format!("metadata: {warning}"));
    }
    print_outcome(key, run, validation);
}

/// Prints the same without the warnings of the metadata, which its writer has printed.
pub(crate) fn print_outcome(key: &PartitionKey, run: &RunId, validation: &Validation) {
    for fault in &validation.faults {
        output::validation_fault(fault);
    }
    if validation.passed() && validation.rows == 0 {
        output::warning("the payload has no rows");
    }
    let state = &validation.state;
    let authority = match (state.status, &state.current_run_id) {
        (Status::Success, Some(run)) => format!("run {run} has authority"),
        _ => "no run has authority".to_owned(),
    };
    let rows = progress::rows(validation.rows);
    output::note(format!("read {rows}; status {}, {authority}", state.status));
    if let Some(holder) = state.authoritative_run().filter(|_| validation.passed()) {
        print_holder(key, run, holder, validation.authority);
    }
}

/// Prints why a run that passed has no authority, and what to do.
fn print_holder(key: &PartitionKey, run: &RunId, holder: &RunId, authority: Holder) {
    match authority {
        Holder::ThisRun | Holder::NoRun => {}
        Holder::OtherRun => {
            output::note(format!(
                "run {run} passed and got no authority, because the id of run {holder} sorts after it"
            ));
            // An id that is no time may sort after those of all runs to come.
            if holder.time().is_none() && run.time().is_some() {
                output::hint(withdrawal(key, holder));
            }
        }
        Holder::FutureRun => {
            output::warning(format!(
                "run {run} passed and got no authority: run {holder} has it, and its id is a time in the \
                 future"
            ));
            output::hint(withdrawal(key, holder));
        }
        Holder::LostRun => {
            output::warning(format!(
                "run {run} passed and got no authority: run {holder} has it and is lost"
            ));
            output::hint(format!(
                "restore run {holder} from a backup, or {}",
                withdrawal(key, holder)
            ));
        }
    }
}

/// Returns what to do about a run that must not keep authority.
fn withdrawal(key: &PartitionKey, holder: &RunId) -> String {
    let path = path_argument(&Place::of_run(key, holder));
    format!(r#"run "rawsink state withdraw {path} --reason REASON", then "rawsink validate --all""#)
}
