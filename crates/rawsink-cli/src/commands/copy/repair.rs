//! `rawsink copy --repair`

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use indicatif::HumanBytes;
use rawsink::{RawSink, Result, layout::Place};
use rawsink_ops::copy::{self, Damage, Processed, RepairOutcome};
use serde::Serialize;

use super::{
    Args,
    working::{INTERRUPTED, Stopping, Work},
};
use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    output,
    shell::path_argument,
    table,
};

/// The outcome of a run, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    outcome: &'a str,
    damage: Option<&'a Damage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Numbers of runs by outcome.
#[derive(Debug, Default)]
struct Totals {
    intact: u64,
    missing: u64,
    withdrawn: u64,
    damaged: u64,
    repaired: u64,
    failed: u64,
    /// Number of bytes that were or would be written.
    bytes: u64,
    unsealed: Arc<AtomicU64>,
}

pub(super) async fn run(args: &Args, context: &Context<'_>, to: &RawSink) -> Result<Exit, Failure> {
    let mut totals = Totals::default();
    let runs = super::selected(args, context, totals.unsealed.clone())?;
    let (from, state, jobs) = (&context.sink, &context.state, args.jobs);
    let work = Work::new(if args.apply { "repairing" } else { "checking" }, args, context).await?;
    let (done, stopping) = if args.apply {
        let repairs = copy::repair_runs(from, to, state, runs, jobs, work.progress());
        (repairs, Stopping::Cleanly)
    } else {
        let plans = copy::plan_repairs(from, to, state, runs, jobs, work.progress());
        (plans, Stopping::AtOnce)
    };
    let mut errors = Errors::default();
    let print = |done| match done {
        Ok(done) => print(&done, args, &mut totals, &mut errors, context),
        Err(error) => {
            errors.report(&error, context.output);
            Ok(())
        }
    };
    let stopped_by = work.follow(done, stopping, print).await?;
    totals.print(context);
    match stopped_by {
        Some(number) => Err(Failure::signal(number, INTERRUPTED)),
        None if totals.damaged > 0 => errors.finish("not all runs were checked", Exit::CheckFailed),
        None => errors.finish("not all runs were checked or repaired", Exit::Success),
    }
}

fn print(
    Processed { run, outcome }: &Processed<RepairOutcome>,
    args: &Args,
    totals: &mut Totals,
    errors: &mut Errors,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let path = Place::of_run(&run.key, &run.run_id).to_string();
    let (outcome, damage, error) = match outcome {
        Ok(outcome) => {
            totals.add(outcome);
            (outcome.name(), outcome.damage(), None)
        }
        Err(error) => {
            totals.failed += 1;
            match super::hint(error, &path, args) {
                Some(hint) => errors.report_with(error, Some(hint), context.output),
                None => errors.report(error, context.output),
            }
            ("failed", None, Some(error.to_string()))
        }
    };
    let place = Place::of_run(&run.key, &run.run_id);
    let described = damage.map(|damage| described(damage, outcome == "repaired"));
    let fields: Vec<&str> = iter::once(outcome).chain(described.as_deref()).collect();
    if outcome == "repaired" && damage.is_some_and(|damage| damage.has_failed) {
        output::hint(format!(
            "run \"rawsink validate {}\": it failed before",
            path_argument(&place)
        ));
    }
    let line = Line { path: &path, outcome, damage, error };
    // A closed pipe does not stop the repairs.
    Ok(output::if_read(table::line(&line, &place, &fields, context.output))?)
}

/// Describes what was wrong, and what is or was written.
fn described(Damage { seal, payload, bytes, .. }: &Damage, is_repaired: bool) -> String {
    let files = [("metadata.json", seal), ("payload.jsonl", payload)];
    let wrong = files
        .iter()
        .filter_map(|(name, damage)| damage.as_ref().map(|damage| format!("{name} {damage}")));
    let written = if is_repaired { "written" } else { "to write" };
    format!("{}\t{bytes} bytes {written}", wrong.collect::<Vec<_>>().join("; "))
}

impl Totals {
    fn add(&mut self, outcome: &RepairOutcome) {
        let count = match outcome {
            RepairOutcome::Intact => &mut self.intact,
            RepairOutcome::Missing => &mut self.missing,
            RepairOutcome::Withdrawn => &mut self.withdrawn,
            RepairOutcome::Damaged(_) => &mut self.damaged,
            RepairOutcome::Repaired(_) => &mut self.repaired,
        };
        *count += 1;
        self.bytes += outcome.damage().map_or(0, |damage| damage.bytes);
    }

    fn print(&self, context: &Context<'_>) {
        let Self { intact, missing, withdrawn, damaged, repaired, failed, .. } = self;
        let unsealed = self.unsealed.load(Ordering::Relaxed);
        if intact + missing + withdrawn + damaged + repaired + failed + unsealed == 0 {
            output::note(format!("nothing to repair; {}", context.place()));
            return;
        }
        let bytes = HumanBytes(self.bytes);
        let mut parts = vec![format!("{intact} intact in the destination")];
        if *damaged > 0 {
            parts.push(format!("{damaged} damaged, {bytes} to write; add --apply to repair them"));
        }
        if *repaired > 0 {
            parts.push(format!("{repaired} repaired, {bytes}"));
        }
        let more = [(withdrawn, "withdrawn and left alone"), (failed, "failed")];
        let more = more.iter().filter(|(count, _)| **count > 0);
        parts.extend(more.map(|(count, what)| format!("{count} {what}")));
        output::note(parts.join(", "));
        if *missing > 0 {
            output::note(format!(
                "{missing} not sealed in the destination: copy them without --repair"
            ));
        }
        if unsealed > 0 {
            output::note(format!("{unsealed} skipped because they are not sealed in the source"));
        }
    }
}
