//! `rawsink validate`

mod all;

use std::num::NonZeroUsize;

use clap::builder::TypedValueParser;
use rawsink::{
    Error, PartitionKey, RunId,
    layout::Place,
    state::Status,
    validate::{Gaps, Missing, Rules, Shard, Validation, validate},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    filter::ComponentArgs,
    output,
    partition::ChoiceArgs,
    progress,
};

/// Judge sealed runs and record the verdicts in the state
///
/// Reads every row once. A run that passes gets authority, unless a newer run has it; exit code 1
/// means that the run failed, and that this was recorded. A run that is not there or not sealed is
/// exit code 3 and changes nothing.
///
/// With --all every sealed run below PATH that waits for a verdict is judged: those newer than the
/// last one judged, oldest first, and all where the state is pending. What cannot be judged stops no
/// other, and waits for the next call, as does everything when the call is cut off.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink validate $P --latest
  rawsink validate $P --current --strict
  rawsink validate --all
  rawsink validate --all ads --since 2024-06-01 --jobs 8 --shard 2/8")]
pub(crate) struct Args {
    /// Canonical path of a partition or run; with --all as deep as wanted, or none
    #[arg(required_unless_present = "all")]
    path: Option<String>,

    #[command(flatten)]
    choice: ChoiceArgs,

    /// Fail a run whose metadata lacks a field of the contract
    #[arg(long)]
    strict: bool,

    /// Record a failure for a run that is not there or not sealed
    #[arg(long, conflicts_with = "all")]
    record_missing: bool,

    /// Judge every sealed run that waits for a verdict
    #[arg(long, conflicts_with_all = ["current", "latest"])]
    all: bool,

    #[command(flatten)]
    components: ComponentArgs,

    /// With --all: judge so many partitions at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = jobs_parser())]
    jobs: NonZeroUsize,

    /// With --all: judge only this share, the I-th of N, so that hosts do not repeat each other
    #[arg(long, value_name = "I/N", requires = "all")]
    shard: Option<Shard>,
}

impl Args {
    /// Returns how many partitions are judged at once.
    pub(crate) fn jobs(&self) -> usize {
        if self.all { self.jobs.get() } else { 1 }
    }

    fn rules(&self) -> Rules {
        Rules {
            gaps: if self.strict { Gaps::Refuse } else { Gaps::Warn },
            missing: if self.record_missing { Missing::Record } else { Missing::Error },
        }
    }
}

fn jobs_parser() -> impl TypedValueParser<Value = NonZeroUsize> {
    clap::value_parser!(u8)
        .range(1..=64)
        .map(|jobs| NonZeroUsize::new(usize::from(jobs)).expect("the range begins with one"))
}

/// The verdict, as JSON.
#[derive(Serialize)]
struct Judged<'a> {
    path: &'a str,
    passed: bool,
    #[serde(flatten)]
    validation: &'a Validation,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let path = args.path.as_deref().unwrap_or_default();
    if args.all {
        return all::run(args, path, context).await;
    }
    if !args.components.is_empty() {
        let message = "--customer, --query, --since and --until go with --all";
        return Err(Error::invalid(message).into());
    }
    let (key, run) = args.choice.choose(path, context).await?;
    let validation = validate(&context.sink, &*context.state, &key, &run, args.rules()).await?;
    // To the person first: standard output may be full.
    tell(&validation);
    print(&key, &run, &validation, context)?;
    Ok(if validation.passed() { Answer::Yes } else { Answer::No })
}

fn print(
    key: &PartitionKey,
    run: &RunId,
    validation: &Validation,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let (path, passed) = (Place::of_run(key, run).to_string(), validation.passed());
    let judged = Judged { path: &path, passed, validation };
    let text = format!("{path}\t{}", if passed { "passed" } else { "failed" });
    Ok(context.output.answer(&judged, text)?)
}

/// Tells a person what a validation found and what it changed.
pub(crate) fn tell(validation: &Validation) {
    for warning in &validation.warnings {
        output::warning(format!("metadata: {warning}"));
    }
    for fault in &validation.faults {
        output::fault(fault);
    }
    let state = &validation.state;
    let authority = match (state.status, &state.current_run_id) {
        (Status::Success, Some(run)) => format!("run {run} has authority"),
        _ => "no run has authority".to_owned(),
    };
    let rows = progress::rows(validation.rows);
    output::note(format!("read {rows}; the status is {}, {authority}", state.status));
}
