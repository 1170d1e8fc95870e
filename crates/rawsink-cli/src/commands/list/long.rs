//! Runs with sizes, rows, ages and authority: `rawsink list -l`.

use futures_util::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use rawsink::{Clock, Result, RunId, SystemClock, layout::Place, sink::Run, state::Record};
use serde::Serialize;

use crate::{context::Context, exit::Failure, output, progress, table};

/// Number of runs to look up in parallel.
const LOOKUPS: usize = 16;

/// A run with all that a person wants to know, as JSON.
#[derive(Serialize)]
pub(super) struct LongRun {
    path: String,
    run_id: RunId,
    sealed: bool,
    payload_bytes: Option<u64>,
    /// Number of rows by the seal, or by the metadata of other software.
    rows: Option<u64>,
    /// When it was sealed, or its payload written.
    modified: Option<Timestamp>,
    /// Whether consumers read this run.
    current: bool,
    /// Whether an operator withdrew it.
    withdrawn: bool,
    #[serde(skip)]
    partition: Place,
}

/// Streams runs with their details, in the same order.
pub(super) fn details<'a>(
    runs: BoxStream<'a, Result<Run>>,
    context: &'a Context<'_>,
) -> BoxStream<'a, Result<LongRun>> {
    runs.map(move |run| async move { detailed(run?, context).await }).buffered(LOOKUPS).boxed()
}

async fn detailed(run: Run, context: &Context<'_>) -> Result<LongRun> {
    let objects = context.sink.inspect(&run.key, &run.run_id).await?;
    let mut rows = None;
    if run.sealed {
        let (metadata, seal) = context.sink.metadata(&run.key, &run.run_id).await?;
        rows = seal.map(|seal| seal.record_count).or(metadata.integer("record_count"));
    }
    let history = context.state.history(&run.key).await?;
    let holder = history.record().and_then(Record::authoritative_run);
    Ok(LongRun {
        path: Place::of_run(&run.key, &run.run_id).to_string(),
        partition: Place::of_partition(&run.key),
        current: holder == Some(&run.run_id),
        withdrawn: history.withdrawal(&run.run_id).is_some(),
        sealed: run.sealed,
        payload_bytes: run.payload_bytes,
        rows,
        modified: objects.seal.or(objects.payload).map(|object| object.modified),
        run_id: run.run_id,
    })
}

/// Prints a run: on a terminal below the path of its partition, which is printed once.
pub(super) fn print(run: &LongRun, context: &Context<'_>) -> Result<(), Failure> {
    if table::screen(context.output).is_none() {
        return Ok(context.output.data(run, line(run))?);
    }
    table::heading(&run.partition)?;
    Ok(output::line(row(run, SystemClock.now()))?)
}

fn seal_name(run: &LongRun) -> &'static str {
    if run.sealed { "sealed" } else { "unsealed" }
}

/// Returns what consumers make of a run, if the state says so. A withdrawn run may have authority if other
/// software wrote the state; consumers do not read it.
fn role(run: &LongRun) -> Option<&'static str> {
    match (run.withdrawn, run.current) {
        (true, _) => Some("withdrawn"),
        (false, true) => Some("current"),
        (false, false) => None,
    }
}

/// Returns the fields of a run for other programs.
fn line(run: &LongRun) -> String {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let modified = run.modified.map_or("-".to_owned(), |modified| modified.to_string());
    let role = role(run).unwrap_or("-");
    let (bytes, rows) = (number(run.payload_bytes), number(run.rows));
    format!("{}\t{}\t{bytes}\t{rows}\t{modified}\t{role}", run.path, seal_name(run))
}

/// Returns a row of the table: at most 80 columns with a run id that is a time.
fn row(run: &LongRun, now: Timestamp) -> String {
    let size = run.payload_bytes.map_or("-".to_owned(), progress::bytes);
    let rows = run.rows.map_or("-".to_owned(), progress::rows);
    let age = run.modified.map_or("-".to_owned(), |modified| age(modified, now));
    let role = role(run).unwrap_or_default();
    let (id, seal) = (run.run_id.as_str(), seal_name(run));
    format!("  {id:<24}  {seal:<8}  {size:>10}  {rows:>12}  {age:>5}  {role}").trim_end().to_owned()
}

/// Returns an age in its largest unit.
fn age(modified: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(modified).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> LongRun {
        let partition = "google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01";
        let run_id: RunId = "2024-06-02T00:00:00.000Z".parse().unwrap();
        LongRun {
            path: format!("{partition}/run_id={run_id}"),
            run_id,
            sealed: true,
            payload_bytes: Some(1_047_527_424),
            rows: Some(3_357_000),
            modified: Some("2024-06-02T00:00:00Z".parse().unwrap()),
            current: true,
            withdrawn: false,
            partition: Place::parse(partition, "").unwrap(),
        }
    }

    #[test]
    fn a_row_fits_80_columns() {
        let now = "2026-06-02T00:00:00Z".parse().unwrap();
        let row = row(&run(), now);
        assert_eq!(
            row,
            "  2024-06-02T00:00:00.000Z  sealed    999.00 MiB  3,357,000 rows  730 d  current"
        );
        assert!(row.len() <= 80);
        let withdrawn = LongRun { withdrawn: true, rows: Some(999), ..run() };
        assert!(super::row(&withdrawn, now).ends_with("  730 d  withdrawn"));
        let bare = LongRun {
            sealed: false,
            payload_bytes: None,
            rows: None,
            modified: None,
            current: false,
            ..run()
        };
        assert!(super::row(&bare, now).ends_with('-'));
        assert!(line(&bare).ends_with("\tunsealed\t-\t-\t-\t-"));
    }

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        let then: Timestamp = "2024-06-02T00:00:00Z".parse().unwrap();
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 m"),
            (3_599, "59 m"),
            (86_399, "23 h"),
            (86_400, "1 d"),
        ] {
            assert_eq!(age(then, then + jiff::SignedDuration::from_secs(seconds)), text);
        }
    }
}
