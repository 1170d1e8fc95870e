//! `rawsink state history`

use rawsink::{
    PartitionKey, RunId,
    layout::Place,
    state::{History, LogEntry},
};
use serde::Serialize;

use crate::{
    complete,
    context::Context,
    escape,
    exit::{Exit, Failure},
    output, partition, progress, table,
};

/// Show the verdict log of a logical partition
///
/// The log holds every verdict on every run, with SHA-256 and length of the validated bytes, and every
/// withdrawal, restore and retry, oldest first. It gives no authority: `rawsink state show` prints the
/// record that does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink state history $P
  rawsink state history $P --json | jq -r .seal_sha256")]
pub(crate) struct Args {
    /// Canonical path of a logical partition, or of one run
    #[arg(add = complete::paths())]
    path: String,
}

/// An entry, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: String,
    #[serde(flatten)]
    entry: &'a LogEntry,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let place = partition::parse(&args.path, context)?;
    let (key, run) = (partition::partition_of(&place)?, place.run());
    let history = context.state.history(&key).await.map_err(|error| error.at(&place))?;
    let wanted = |entry: &&LogEntry| run.is_none() || entry.run_id.is_none() || entry.run_id == run;
    let mut is_empty = true;
    for entry in history.entries().iter().filter(wanted) {
        print(&key, entry, context)?;
        is_empty = false;
    }
    if is_empty {
        note_empty(&history, context);
    }
    Ok(Exit::Success)
}

fn print(key: &PartitionKey, entry: &LogEntry, context: &Context<'_>) -> Result<(), Failure> {
    let place = match &entry.run_id {
        Some(run) => Place::of_run(key, run),
        None => Place::of_partition(key),
    };
    let time = entry.judged_at.map_or("-".to_owned(), |time| time.to_string());
    let rows =
        entry.record_count.map(|rows| format!("\t{}", progress::rows(rows))).unwrap_or_default();
    let reason = entry
        .reason
        .as_ref()
        .map(|reason| format!("\t{}", escape::field(reason)))
        .unwrap_or_default();
    let (path, event) = (place.to_string(), entry.event);
    let about = if table::screen(context.output).is_some() {
        table::heading(&Place::of_partition(key))?;
        entry.run_id.as_ref().map_or("-", RunId::as_str)
    } else {
        &path
    };
    let text = format!("{time}\t{event}\t{about}{rows}{reason}");
    Ok(context.output.data(&Row { path, entry }, text)?)
}

fn note_empty(history: &History, context: &Context<'_>) {
    if history.has_log() {
        context.note_empty_state("no verdicts are logged");
    } else {
        output::note("the state database has no table run_verdict");
    }
}
