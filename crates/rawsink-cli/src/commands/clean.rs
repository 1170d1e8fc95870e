//! `rawsink clean`

use std::time::Duration;

use futures_util::StreamExt;
use indicatif::HumanBytes;
use jiff::{Span, SpanRelativeTo};
use rawsink::{
    layout::Place,
    store::{Discarded, LeftoverKind, Presence},
};
use rawsink_ops::clean::{CleanPolicy, Fate, Payloads, Planned, execute, plan};
use serde::Serialize;

use crate::{
    complete,
    context::Context,
    exit::{Errors, Exit, Failure},
    output, partition, table,
};

/// List and remove leftovers of crashed writers
///
/// Leftovers are payloads without a seal, open uploads and staging files. Without --apply this command
/// removes nothing. It never removes sealed runs, payloads of runs that the state names, leftovers younger
/// than AGE, or files that a running writer has locked. In a bucket it only lists payloads without a seal:
/// write the run again to replace one.
///
/// After an error the command continues with the next leftover and exits with the code of the most severe error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink clean
  rawsink clean google_ads/customer_id=123 --older-than 7d --apply
  rawsink clean --apply --json")]
pub(crate) struct Args {
    /// Canonical path at any level; empty selects everything
    #[arg(default_value = "", hide_default_value = true, add = complete::paths())]
    path: String,

    /// Keep anything modified within this age (90m, 24h, 7d); at least 1h in a bucket
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = age)]
    older_than: Duration,

    /// Remove the listed leftovers
    #[arg(long)]
    apply: bool,

    /// Also remove payloads without a seal from a bucket; only safe when no writer is active
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

/// Numbers of leftovers by outcome.
#[derive(Debug, Default)]
struct Totals {
    removable: u64,
    removed: u64,
    bytes: u64,
    kept: u64,
    shown: u64,
    named: u64,
    young: u64,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let place = partition::parse(&args.path, context)?;
    let payloads = if args.payloads_too { Payloads::Everywhere } else { Payloads::UnderLock };
    let rules = CleanPolicy { older_than: args.older_than, payloads };
    let mut planned = plan(&context.sink, &context.state, &place, rules)?;
    let (mut totals, mut errors) = (Totals::default(), Errors::default());
    while let Some(planned) = planned.next().await {
        match planned {
            Ok(planned) => process(&planned, args, context, &mut totals, &mut errors).await?,
            Err(error) => errors.report(&error, context.output),
        }
    }
    totals.print(args, context);
    errors.finish("not all leftovers could be listed or removed", Exit::Success)
}

/// Removes one leftover if `--apply` is given, and prints the outcome.
async fn process(
    planned: &Planned,
    args: &Args,
    context: &Context<'_>,
    totals: &mut Totals,
    errors: &mut Errors,
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
        Fate::Named => {
            totals.named += 1;
            return print(planned, "named", None, context);
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
            errors.report(&error, context.output);
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
    let place = Place::of_run(&leftover.key, &leftover.run_id);
    let (found, age_s) = (&leftover.found, age.as_secs());
    let kind = found.kind.name();
    let (bytes, hours, minutes) = (found.bytes, age_s / 3600, age_s % 3600 / 60);
    let (size, since) = (format!("{bytes} bytes"), format!("{hours}h{minutes:02}m"));
    let (name, modified) = (found.name.as_str(), found.modified);
    let line =
        Line { path: &place.to_string(), kind, name, bytes, modified, age_s, outcome, error };
    // A closed pipe does not stop the removal.
    let fields = [kind, &size, &since, outcome];
    Ok(output::if_read(table::row(&line, &place, &fields, context.output))?)
}

impl Totals {
    fn print(&self, args: &Args, context: &Context<'_>) {
        let Self { removable, removed, kept, shown, named, young, .. } = self;
        let bytes = HumanBytes(self.bytes);
        if args.apply {
            output::note(format!("{removed} removed, {bytes}; {kept} kept"));
        } else if *removable > 0 {
            output::note(format!(
                "{removable} would be removed, {bytes}; add --apply to remove them"
            ));
        } else if *shown + *named == 0 {
            output::note(format!("nothing to remove; {}", context.place()));
        }
        if *young > 0 {
            output::note(format!("{young} kept because they are younger than --older-than"));
        }
        if *named > 0 {
            output::note(format!(
                "{named} kept because the state names their runs, which lost their seals: restore these by \
                 rawsink copy from a backup, or withdraw the runs"
            ));
        }
        if *shown > 0 && context.sink.presence() == Presence::Age {
            let payload = LeftoverKind::Payload.name();
            output::note(format!(
                "{shown} of kind {payload} are only listed: write their runs again to replace them, \
                 or add --payloads-too if no writer is active"
            ));
        }
    }
}

/// Parses an age with its unit.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not an age such as 90m, 24h or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
}
