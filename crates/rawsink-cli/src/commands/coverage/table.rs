//! Prints the coverage: spans of days for a person, single cells as JSON.

use std::fmt::{self, Write};

use rawsink::{LogicalDate, RunId, state::Status};
use rawsink_ops::coverage::{Cell, Coverage, Drift, Standing, place};
use serde::Serialize;

use crate::{exit::Failure, output};

/// A cell, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: String,
    source: &'a str,
    customer_id: &'a str,
    query_name: &'a str,
    logical_date: String,
    standing: Standing,
    /// The run that the standing describes.
    run_id: Option<&'a RunId>,
    /// `null` without a record.
    status: Option<Status>,
    current_run_id: Option<&'a RunId>,
    record_count: Option<u64>,
    error_message: Option<&'a str>,
    /// The newest sealed run in the storage that is not withdrawn.
    sealed_run_id: Option<&'a RunId>,
    /// The newest sealed run that needs a verdict.
    due_run_id: Option<&'a RunId>,
    /// The newest run that passed and that a run of the future keeps from authority.
    blocked_run_id: Option<&'a RunId>,
    /// The newest run in the storage without a seal.
    unsealed_run_id: Option<&'a RunId>,
    #[serde(flatten)]
    drift: Drift,
}

/// Prints each cell.
pub(super) fn print_cells(coverage: &Coverage) -> Result<(), Failure> {
    for (series, cells) in coverage.cells() {
        for cell in cells {
            let row = Row {
                path: place(series, Some(cell.day)).to_string(),
                source: &series.source,
                customer_id: &series.customer_id,
                query_name: &series.query_name,
                logical_date: cell.day.to_string(),
                standing: cell.standing,
                run_id: cell.run,
                status: cell.status,
                current_run_id: cell.current,
                record_count: cell.record_count,
                error_message: cell.reason,
                sealed_run_id: cell.sealed,
                due_run_id: cell.due,
                blocked_run_id: cell.blocked,
                unsealed_run_id: cell.unsealed,
                drift: cell.drift,
            };
            output::record(&row)?;
        }
    }
    Ok(())
}

/// Prints one line for each customer and query: its spans of days.
pub(super) fn print_rows(coverage: &Coverage) -> Result<(), Failure> {
    for (series, cells) in coverage.cells() {
        let mut line = place(series, None).to_string();
        let mut separator = "\t";
        for span in spans(cells) {
            // Writing to a string does not fail.
            let _ = write!(line, "{separator}{span}");
            separator = ", ";
        }
        output::line(&line)?;
    }
    Ok(())
}

/// Consecutive days with the same standing.
struct Span {
    standing: Standing,
    drift: Drift,
    first: LogicalDate,
    last: LogicalDate,
}

fn spans<'a>(cells: impl Iterator<Item = Cell<'a>>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for Cell { day, standing, drift, .. } in cells {
        match spans.last_mut() {
            Some(span) if (span.standing, span.drift) == (standing, drift) => span.last = day,
            _ => spans.push(Span { standing, drift, first: day, last: day }),
        }
    }
    spans
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { standing, drift, first, last } = self;
        write!(f, "{standing} {first}")?;
        if first != last {
            write!(f, "..{last}")?;
        }
        // A run that is only sealed always needs a verdict.
        if drift.unknown && *standing != Standing::Sealed {
            f.write_str(" (unknown run)")?;
        }
        if drift.blocked {
            f.write_str(" (blocked run)")?;
        }
        Ok(())
    }
}
