//! `rawsink validate --all`

use std::{fmt, future, pin::pin};

use futures_util::StreamExt;
use indicatif::HumanCount;
use rawsink::layout::Place;
use rawsink_ops::validate::{self, Blocked, Event, Stop, ValidatedRun, Work};

use super::Args;
use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    output,
    progress::{Progress, count},
    signals::{self, Signals, StoppableEvents},
};

pub(super) async fn run(args: &Args, prefix: &str, context: &Context<'_>) -> Result<Exit, Failure> {
    let work = Work {
        partitions: args.components.selection(prefix, context)?,
        shard: args.shard.unwrap_or_default(),
        rules: args.rules(),
        jobs: args.jobs,
        stop: Stop::default(),
    };
    let signals = Signals::new(signals::RESUMABLE)?;
    let progress = Progress::of_partitions("validating");
    let mut counting = pin!(counted(&work, context));
    let mut is_counted = !output::stderr_is_terminal();
    let (mut tally, mut errors) = (Tally::default(), Errors::default());
    let events = validate::all(&context.sink, &context.state, &work);
    let mut events = StoppableEvents::new(events, signals, work.stop.clone());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            partitions = &mut counting, if !is_counted => {
                is_counted = true;
                progress.expect(partitions);
                continue;
            }
        };
        let Some(event) = event else { break };
        match event {
            Ok(Event::Compared(partitions)) => tally.compared += partitions as u64,
            Ok(Event::Blocked(blocked)) => {
                tally.blocked += 1;
                progress.print_above(|| print_blocked(&blocked));
            }
            Ok(Event::Validated(judged)) => {
                tally.add(&judged);
                progress.print_above(|| print(*judged, &mut errors, context))?;
            }
            Ok(Event::Unlisted(hidden)) => {
                progress.print_above(|| errors.report(&hidden.error, context.output));
            }
            Err(error) => progress.print_above(|| errors.report(&error, context.output)),
        }
        let (passed, failed) = (HumanCount(tally.passed), HumanCount(tally.failed));
        progress.set_partitions(tally.compared, format_args!("  {passed} passed  {failed} failed"));
    }
    drop(progress);
    if let Some(signal) = events.signal() {
        let message = format!("interrupted by a signal; {tally}; run the same command to resume");
        return Err(Failure::signal(signal, message));
    }
    output::note(&tally);
    let is_clean = tally.failed == 0 && tally.blocked == 0;
    let exit = if is_clean { Exit::Success } else { Exit::CheckFailed };
    errors.finish("not all runs were validated", exit)
}

/// Counts the partitions with runs, as far as they can be listed.
async fn counted(work: &Work, context: &Context<'_>) -> u64 {
    let runs = context.sink.runs_below(&Place::enclosing(&work.partitions));
    let mut last = None;
    let partitions = runs.filter(|run| {
        let is_next = run.as_ref().is_ok_and(|run| {
            let is_counted = work.partitions.contains(&run.key) && work.shard.contains(&run.key);
            is_counted && last.replace(run.key.clone()).as_ref() != Some(&run.key)
        });
        future::ready(is_next)
    });
    partitions.count().await as u64
}

/// Prints the result of a run, or reports why it could not be validated.
fn print(judged: ValidatedRun, errors: &mut Errors, context: &Context<'_>) -> Result<(), Failure> {
    let ValidatedRun { key, run, outcome } = judged;
    let path = Place::of_run(&key, &run);
    match outcome {
        Ok(validation) => {
            for fault in &validation.faults {
                output::validation_fault(format_args!("{path}: {fault}"));
            }
            if validation.is_blocked()
                && let Some(holder) = validation.state.authoritative_run()
            {
                super::print_holder(&key, &run, holder, validation.authority);
            }
            // A closed pipe does not stop the validations.
            super::print(&key, &run, &validation, context)
        }
        Err(error) => {
            errors.report(&error.at(path), context.output);
            Ok(())
        }
    }
}

/// Warns of a run that never gets authority.
fn print_blocked(blocked: &Blocked) {
    let Blocked { key, holder, newest } = blocked;
    let path = Place::of_partition(key);
    output::warning(format!(
        "{path}: run {newest} cannot get authority: run {holder} has it, and its id is a time in the \
         future"
    ));
    output::hint(super::withdrawal(key, holder));
}

/// Numbers of runs by outcome.
#[derive(Default)]
struct Tally {
    compared: u64,
    passed: u64,
    failed: u64,
    with_warnings: u64,
    /// Runs that passed and have no rows.
    empty: u64,
    unvalidated: u64,
    /// Partitions in which a run of the future has authority, and runs that passed without getting it.
    blocked: u64,
}

impl Tally {
    fn add(&mut self, judged: &ValidatedRun) {
        match &judged.outcome {
            Ok(validation) => {
                let count = if validation.passed() { &mut self.passed } else { &mut self.failed };
                *count += 1;
                self.with_warnings += u64::from(validation.has_warnings());
                self.empty += u64::from(validation.passed() && validation.rows == 0);
                self.blocked += u64::from(validation.is_blocked());
            }
            Err(_) => {
                self.unvalidated += 1;
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, passed, failed, with_warnings, empty, unvalidated, blocked } = self;
        let (partitions, runs) = (count(*compared, "partition"), count(passed + failed, "run"));
        let [passed, failed] = [passed, failed].map(|number| HumanCount(*number));
        write!(f, "{partitions} compared, {runs} validated: {passed} passed, {failed} failed")?;
        if *with_warnings > 0 {
            write!(f, " ({} with warnings)", HumanCount(*with_warnings))?;
        }
        if *empty > 0 {
            write!(f, ", {} without rows", HumanCount(*empty))?;
        }
        if *unvalidated > 0 {
            write!(f, ", {} not validated", HumanCount(*unvalidated))?;
        }
        if *blocked > 0 {
            write!(f, ", {} kept from authority", HumanCount(*blocked))?;
        }
        Ok(())
    }
}
