//! `rawsink validate`

mod all;

use std::num::NonZeroUsize;

use clap::builder::TypedValueParser;
use rawsink::{
    Error, PartitionKey, RunId,
    layout::Place,
    state::Status,
    validate::{self, Gaps, Rules, Validation},
};
use rawsink_ops::validate::Shard;
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    filter::ComponentArgs,
    output,
    partition::ChoiceArgs,
    progress,
};

/// Validate sealed runs and record the results in the state
///
/// The command reads every row once. A run that passes gets authority unless a newer run has it. Exit
/// code 1 means that the run failed and that the failure is recorded. Exit code 3 means that the run
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
    #[arg(required_unless_present = "all")]
    path: Option<String>,

    #[command(flatten)]
    choice: ChoiceArgs,

    /// Fail runs whose metadata lacks a recommended field
    #[arg(long)]
    strict: bool,

    /// Validate all due runs
    #[arg(long, conflicts_with_all = ["current", "latest"])]
    all: bool,

    #[command(flatten)]
    components: ComponentArgs,

    /// With --all: validate up to N partitions in parallel
    #[arg(long, value_name = "N", default_value = "4", value_parser = jobs_parser())]
    jobs: NonZeroUsize,

    /// With --all: validate only shard I of N, to split the work between hosts
    #[arg(long, value_name = "I/N", requires = "all")]
    shard: Option<Shard>,
}

impl Args {
    /// Returns the number of partitions to validate in parallel.
    pub(crate) fn jobs(&self) -> usize {
        if self.all { self.jobs.get() } else { 1 }
    }

    fn rules(&self) -> Rules {
        Rules { gaps: if self.strict { Gaps::Refuse } else { Gaps::Warn }, ..Rules::default() }
    }
}

fn jobs_parser() -> impl TypedValueParser<Value = NonZeroUsize> {
    clap::value_parser!(u8)
        .range(1..=64)
        .map(|jobs| NonZeroUsize::new(usize::from(jobs)).expect("the range begins with one"))
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
    print_notes(&validation);
    print(&key, &run, &validation, context)?;
    Ok(if validation.passed() { Exit::Success } else { Exit::CheckFailed })
}

fn print(
    key: &PartitionKey,
    run: &RunId,
    validation: &Validation,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let (path, passed) = (Place::of_run(key, run).to_string(), validation.passed());
    let record = ValidatedRun { path: &path, passed, validation };
    let text = format!("{path}\t{}", if passed { "passed" } else { "failed" });
    Ok(context.output.data_if_read(&record, text)?)
}

/// Prints what a validation found and changed, for a person.
pub(crate) fn print_notes(validation: &Validation) {
    for warning in &validation.warnings {
        output::warning(format!("metadata: {warning}"));
    }
    for fault in &validation.faults {
        output::validation_fault(fault);
    }
    let state = &validation.state;
    let authority = match (state.status, &state.current_run_id) {
        (Status::Success, Some(run)) => format!("run {run} has authority"),
        _ => "no run has authority".to_owned(),
    };
    let rows = progress::rows(validation.rows);
    output::note(format!("read {rows}; status {}, {authority}", state.status));
}
