//! `rawsink clean`

use std::time::Duration;

use futures_util::StreamExt;
use indicatif::HumanBytes;
use jiff::{Span, SpanRelativeTo};
use rawsink::{
    clean::{Fate, Payloads, Planned, Rules, execute, plan},
    layout::Place,
    store::{Discarded, LeftoverKind, Presence},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure, Faults},
    output, partition,
};

/// Show what dead writers left, and remove it
///
/// Leftovers are payloads without a seal, open uploads and staging files. Without --apply nothing is
/// removed. Sealed runs and whatever is younger than the age are never touched, nor in a directory
/// what a living writer holds. A payload without a seal in a bucket is only shown: write its run
/// again, which takes it over. Goes on after an error; the exit code is that of the gravest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink clean
  rawsink clean google_ads/customer_id=123 --older-than 7d --apply
  rawsink clean --apply --json")]
pub(crate) struct Args {
    /// Canonical path, as deep as wanted
    #[arg(default_value = "")]
    prefix: String,

    /// Leave alone what showed life within this time, such as 90m, 24h or 7d; in a bucket at least 1h
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = age)]
    older_than: Duration,

    /// Remove what the plan says
    #[arg(long)]
    apply: bool,

    /// Remove payloads without a seal from a bucket, too; you state that no writer of these runs lives
    #[arg(long)]
    payloads_too: bool,
}

/// A leftover, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    kind: &'a str,
    name: &'a str,
    bytes: u64,
    modified: jiff::Timestamp,
    age_s: u64,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What the command came across.
#[derive(Debug, Default)]
struct Totals {
    removable: u64,
    removed: u64,
    bytes: u64,
    kept: u64,
    shown: u64,
    young: u64,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let place = partition::parse(&args.prefix, context)?;
    let payloads = if args.payloads_too { Payloads::Everywhere } else { Payloads::UnderLock };
    let rules = Rules { older_than: args.older_than, payloads };
    let mut planned = plan(&context.sink, &place, rules)?;
    let (mut totals, mut faults) = (Totals::default(), Faults::default());
    while let Some(planned) = planned.next().await {
        match planned {
            Ok(planned) => deal_with(&planned, args, context, &mut totals, &mut faults).await?,
            Err(error) => faults.tell(&error),
        }
    }
    totals.tell(args, context);
    faults.end("what is left behind could not be listed or removed in full")
}

/// Removes one leftover, where that is wanted, and prints what became of it.
async fn deal_with(
    planned: &Planned,
    args: &Args,
    context: &Context<'_>,
    totals: &mut Totals,
    faults: &mut Faults,
) -> Result<(), Failure> {
    let bytes = planned.leftover.found.bytes;
    match planned.fate {
        Fate::Young => {
            totals.young += 1;
            return Ok(());
        }
        Fate::Shown => {
            totals.shown += 1;
            return print(planned, "shown", None, context);
        }
        Fate::Remove => {}
    }
    if !args.apply {
        totals.removable += 1;
        totals.bytes += bytes;
        return print(planned, "planned", None, context);
    }
    let outcome = match execute(&context.sink, planned).await {
        Ok(outcome) => outcome.unwrap_or(Discarded::Changed),
        Err(error) => {
            faults.tell(&error);
            return print(planned, "failed", Some(error.to_string()), context);
        }
    };
    if outcome == Discarded::Removed {
        totals.removed += 1;
        totals.bytes += bytes;
    } else {
        totals.kept += 1;
    }
    print(planned, outcome.name(), None, context)
}

fn print(
    Planned { leftover, age, .. }: &Planned,
    outcome: &str,
    error: Option<String>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let path = Place::of_run(&leftover.key, &leftover.run_id).to_string();
    let (found, age_s) = (&leftover.found, age.as_secs());
    let kind = found.kind.name();
    let (bytes, hours, minutes) = (found.bytes, age_s / 3600, age_s % 3600 / 60);
    let text = format!("{path}\t{kind}\t{bytes} bytes\t{hours}h{minutes:02}m\t{outcome}");
    let (name, modified) = (found.name.as_str(), found.modified);
    let line = Line { path: &path, kind, name, bytes, modified, age_s, outcome, error };
    // Whoever reads no more wants no less removed.
    Ok(context.output.answer(&line, text)?)
}

impl Totals {
    fn tell(&self, args: &Args, context: &Context<'_>) {
        let Self { removable, removed, kept, shown, young, .. } = self;
        let bytes = HumanBytes(self.bytes);
        if args.apply {
            output::note(format!("{removed} removed, {bytes}; {kept} left where they are"));
        } else if *removable > 0 {
            output::note(format!("{removable} would be removed, {bytes}; --apply does it"));
        } else if *shown == 0 {
            output::note(format!("nothing is to be removed; {}", context.place()));
        }
        if *young > 0 {
            output::note(format!("{young} younger than the age are left alone"));
        }
        if *shown > 0 && context.sink.presence() == Presence::Age {
            let payload = LeftoverKind::Payload.name();
            output::note(format!(
                "{shown} of the kind {payload} are only shown: write their runs again, which takes \
                 them over, or remove them by --payloads-too when no writer of them lives"
            ));
        }
    }
}

/// Reads a time with its unit.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time such as 90m, 24h or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
}
