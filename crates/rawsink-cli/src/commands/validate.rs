//! `rawsink validate`

use rawsink::{
    layout::Place,
    state::Status,
    validate::{Gaps, Missing, Rules, Validation, validate},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
    partition::RunArgs,
    progress,
};

/// Judge a sealed run and record the verdict in the state
///
/// Reads every row once. A run that passes gets authority, unless a newer run has it; exit code 1
/// means that the run failed, and that this was recorded. A run that is not there or not sealed is
/// exit code 3 and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink validate ads/customer_id=123/query_name=campaign/logical_date=2024-06-01 --latest
  rawsink validate ads/customer_id=123/query_name=campaign/logical_date=2024-06-01 --current --strict")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,

    /// Fail a run whose metadata lacks a field of the contract
    #[arg(long)]
    strict: bool,

    /// Record a failure for a run that is not there or not sealed
    #[arg(long)]
    record_missing: bool,
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
    let (key, run) = args.run.choose(context).await?;
    let rules = Rules {
        gaps: if args.strict { Gaps::Refuse } else { Gaps::Warn },
        missing: if args.record_missing { Missing::Record } else { Missing::Error },
    };
    let validation = validate(&context.sink, &*context.state, &key, &run, rules).await?;
    let (path, passed) = (Place::of_run(&key, &run).to_string(), validation.passed());
    // To the person first: standard output may be full.
    tell(&validation);
    let judged = Judged { path: &path, passed, validation: &validation };
    context
        .output
        .answer(&judged, format!("{path}\t{}", if passed { "passed" } else { "failed" }))?;
    Ok(if passed { Answer::Yes } else { Answer::No })
}

/// Tells a person what a validation found and what it changed.
pub(crate) fn tell(validation: &Validation) {
    for warning in &validation.warnings {
        output::warning(format!("metadata: {warning}"));
    }
    for fault in &validation.faults {
        output::note(format!("fault: {fault}"));
    }
    let state = &validation.state;
    let authority = match (state.status, &state.current_run_id) {
        (Status::Success, Some(run)) => format!("run {run} has authority"),
        _ => "no run has authority".to_owned(),
    };
    let rows = progress::rows(validation.rows);
    output::note(format!("read {rows}; the status is {}, {authority}", state.status));
}
