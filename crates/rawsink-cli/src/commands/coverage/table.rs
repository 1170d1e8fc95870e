//! Prints the coverage: spans of days for a person, single cells as JSON.

use std::fmt::{self, Write};

use rawsink::LogicalDate;
use rawsink_ops::coverage::{Cell, Coverage, Drift, Standing, place};

use crate::{exit::Failure, output};

/// Prints each cell.
pub(super) fn print_cells(coverage: &Coverage) -> Result<(), Failure> {
    for (series, cells) in coverage.cells() {
        for cell in cells {
            output::record(&cell.into_row(series))?;
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
