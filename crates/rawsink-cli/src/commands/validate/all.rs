//! `rawsink validate --all`

use std::fmt;

use futures_util::StreamExt;
use indicatif::HumanCount;
use rawsink::{
    Error, ErrorKind,
    layout::Place,
    validate::{Event, Judged, Work, validate_all},
};

use super::Args;
use crate::{
    context::Context,
    exit::{Answer, Failure, gravest},
    output,
    progress::{Steps, count},
    signals::Signals,
};

pub(super) async fn run(
    args: &Args,
    prefix: &str,
    context: &Context<'_>,
) -> Result<Answer, Failure> {
    let work = Work {
        partitions: args.components.selection(prefix, context)?,
        shard: args.shard.unwrap_or_default(),
        rules: args.rules(),
        jobs: args.jobs,
    };
    let mut signals = Signals::new().map_err(|cause| Failure::internal(&cause))?;
    let steps = Steps::new("validating");
    let (mut tally, mut end) = (Tally::default(), None);
    let mut events = validate_all(&context.sink, &context.state, &work);
    loop {
        let event = tokio::select! {
            biased;
            signal = signals.next() => {
                let message = format!("ended by a signal; {tally}; the rest waits for the next call");
                return Err(Failure::Signal(signal, message));
            }
            event = events.next() => event,
        };
        match event {
            Some(Ok(Event::Compared(partitions))) => tally.compared += partitions as u64,
            Some(Ok(Event::Judged(judged))) => {
                tally.add(&judged);
                steps.aside(|| tell(&judged, context))?;
            }
            Some(Err(error)) => end = Some(error),
            None => break,
        }
        steps.at(tally.to_string());
    }
    drop(steps);
    output::note(&tally);
    tally.answer(end)
}

/// Prints a verdict, or tells why there is none.
fn tell(judged: &Judged, context: &Context<'_>) -> Result<(), Failure> {
    let Judged { key, run, outcome } = judged;
    let path = Place::of_run(key, run);
    match outcome {
        Ok(validation) => {
            for fault in &validation.faults {
                output::fault(format_args!("{path}: {fault}"));
            }
            // The rest is judged whether somebody reads on or not.
            super::print(key, run, validation, context)
        }
        Err(error) => {
            output::note(format!("not judged: {path}: {error}"));
            Ok(())
        }
    }
}

/// What has become of the runs.
#[derive(Default)]
struct Tally {
    compared: u64,
    passed: u64,
    failed: u64,
    with_warnings: u64,
    unjudged: u64,
    gravest: Option<ErrorKind>,
}

impl Tally {
    fn add(&mut self, judged: &Judged) {
        match &judged.outcome {
            Ok(validation) => {
                let side = if validation.passed() { &mut self.passed } else { &mut self.failed };
                *side += 1;
                self.with_warnings += u64::from(!validation.warnings.is_empty());
            }
            Err(error) => {
                self.unjudged += 1;
                self.gravest = gravest(self.gravest.into_iter().chain([error.kind()]));
            }
        }
    }

    /// Returns how the command ends: by what is gravest.
    fn answer(self, end: Option<Error>) -> Result<Answer, Failure> {
        let kinds = self.gravest.into_iter().chain(end.as_ref().map(Error::kind));
        let Some(kind) = gravest(kinds) else {
            return Ok(if self.failed == 0 { Answer::Yes } else { Answer::No });
        };
        let unjudged = count(self.unjudged, "run");
        Err(match end {
            Some(end) if end.kind() == kind => end,
            Some(end) => {
                Error::new(kind, format!("{unjudged} could not be judged, and then: {end}"))
            }
            None => Error::new(kind, format!("{unjudged} could not be judged")),
        }
        .into())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, passed, failed, with_warnings, unjudged, .. } = self;
        let (partitions, runs) = (count(*compared, "partition"), count(passed + failed, "run"));
        let [passed, failed] = [passed, failed].map(|number| HumanCount(*number));
        write!(f, "{partitions} compared, {runs} judged: {passed} passed, {failed} failed")?;
        if *with_warnings > 0 {
            write!(f, " ({} with warnings)", HumanCount(*with_warnings))?;
        }
        if *unjudged > 0 {
            write!(f, ", {} not judged", HumanCount(*unjudged))?;
        }
        Ok(())
    }
}
