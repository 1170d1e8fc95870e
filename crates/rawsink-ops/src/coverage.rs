//! Compares state and storage: a grid of customers x queries x days.
//!
//! Reads the state first, then the storage in one listing. A run that is validated in between then
//! appears without a verdict; in the other order it would appear lost. Memory grows with the shown
//! partitions, less than a hundred bytes each, and with the distinct runs and reasons that they name, but
//! not with older runs.
//!
//! Reads only names and lengths from storage, and changes nothing. A run whose files are gone, or do not
//! have the lengths that were validated, is lost (G20).

mod backfill;
mod evidence;
mod gathering;
mod page;
mod runs;

use std::{collections::BTreeSet, fmt};

use futures_util::TryStreamExt;
use serde::Serialize;

pub use self::{
    backfill::{Action, PlanStep},
    evidence::Standing,
    page::PageFacts,
};
use self::{
    evidence::{Evidence, Interned},
    gathering::Gathering,
};
use rawsink::{
    error::{Error, Result},
    partition::{LogicalDate, RunId, Selection},
    sink::RawSink,
    state::{Filter, PartitionState, Series, Status},
};

/// The expected partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Source, customer, query and days. The default days are the first and the last found, without
    /// [odd ones](Coverage::odd_days).
    pub selection: Selection,
    /// The expected customers, excluding all others; empty for those found.
    pub customers: BTreeSet<String>,
    /// The expected queries, excluding all others; empty for those found.
    pub queries: BTreeSet<String>,
}

/// The grid: a row for each query of each customer, a cell for each day.
#[derive(Debug)]
pub struct Coverage {
    days: Vec<LogicalDate>,
    rows: Vec<(Series, Vec<Evidence>)>,
    runs: Interned<RunId>,
    reasons: Interned<String>,
    faults: Vec<Error>,
    odd_days: Vec<OddDays>,
}

/// Days with data that are far from all others, such as 1970-01-01. They are not in the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddDays {
    /// The first day.
    pub since: LogicalDate,
    /// The last day.
    pub until: LogicalDate,
    /// Number of logical partitions with a record or a run on these days.
    pub partitions: usize,
}

/// One logical partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The reporting day.
    pub day: LogicalDate,
    /// The standing, from state and storage.
    pub standing: Standing,
    /// The status of the state's record; `None` without a record.
    pub status: Option<Status>,
    /// The run that the record names.
    pub current: Option<&'a RunId>,
    /// The newest sealed run in the storage that is not withdrawn.
    pub sealed: Option<&'a RunId>,
    /// The newest sealed run that needs a verdict.
    pub due: Option<&'a RunId>,
    /// The newest run in the storage that has a payload and no seal, and is not withdrawn.
    pub unsealed: Option<&'a RunId>,
    /// Whether state or verdict log name the unsealed run: it must not be written again.
    pub unsealed_is_named: bool,
    /// The run that the standing is about; `None` if no run exists.
    pub run: Option<&'a RunId>,
    /// Contradictions between state and storage.
    pub drift: Drift,
    /// Number of rows of the run that the record names.
    pub record_count: Option<u64>,
    /// Why the last validation failed.
    pub reason: Option<&'a str>,
}

/// Contradictions between state and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Drift {
    /// The run that has authority does not exist, is not sealed, or is not the one that was validated:
    /// consumers cannot read it.
    pub lost: bool,
    /// A sealed run needs a verdict.
    pub unknown: bool,
}

/// Number of cells of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// The run that has authority is as it was validated.
    pub validated: usize,
    /// Sealed, and needs a verdict.
    pub sealed: usize,
    /// A payload without a seal.
    pub unsealed: usize,
    /// Sealed, and the last verdict is a failure.
    pub failed: usize,
    /// No run.
    pub missing: usize,
    /// The run that has authority is not in the storage as it was validated.
    pub lost: usize,
    /// An operator withdrew every run.
    pub withdrawn: usize,
    /// Of all these: a sealed run needs a verdict.
    pub unknown: usize,
}

/// Compares the state with the storage.
///
/// Expects every customer with every query of its source on every day, of those found in state or
/// storage, or named by the scope. Costs one listing (one request per thousand objects on object
/// storage) and one database statement.
///
/// # Errors
/// `Invalid` for an invalid range of days, and for a scope that names customers or queries while the
/// source, the days or the other names cannot be derived from existing data; the errors of the sink
/// and the state. A malformed record is not an error of the call: see [`Coverage::faults`].
pub async fn coverage(
    sink: &RawSink,
    state: &dyn PartitionState,
    scope: &Scope,
) -> Result<Coverage> {
    let mut gathering = Gathering::new(scope)?;
    let filter = Filter::from(scope.selection.clone());
    state.scan(&filter, &mut |found| gathering.record(found)).await?;
    if state.scan_log(&scope.selection, &mut |found| gathering.logged(found)).await? {
        gathering.has_log();
    }
    let mut landed = sink.landed(&scope.selection);
    while let Some(partition) = landed.try_next().await? {
        gathering.landed(&partition);
    }
    gathering.finish()
}

impl Coverage {
    /// Returns the days, without gaps.
    pub fn days(&self) -> &[LogicalDate] {
        &self.days
    }

    /// Returns the rows (a query of a customer each), sorted.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Series> {
        self.rows.iter().map(|(series, _)| series)
    }

    /// Returns each row with its cells, one for each day.
    pub fn cells(
        &self,
    ) -> impl ExactSizeIterator<Item = (&Series, impl Iterator<Item = Cell<'_>>)> {
        self.rows.iter().map(move |(series, seen)| {
            let mut seen = seen.iter().peekable();
            let cells = self.days.iter().map(move |day| {
                let evidence = seen.next_if(|evidence| evidence.day == *day);
                self.cell(*day, evidence)
            });
            (series, cells)
        })
    }

    /// Counts the cells.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for cell in self.cells().flat_map(|(_, cells)| cells) {
            tally.add(&cell);
        }
        tally
    }

    /// Returns one error for each malformed record of the state. Such records are not in the grid.
    pub fn faults(&self) -> &[Error] {
        &self.faults
    }

    /// Returns the days with data that are not in the grid, because the range from the first to the
    /// last day would be too long. A scope that names both days has none.
    pub fn odd_days(&self) -> &[OddDays] {
        &self.odd_days
    }

    fn cell(&self, day: LogicalDate, evidence: Option<&Evidence>) -> Cell<'_> {
        let nothing = Evidence::new(day);
        let evidence = evidence.unwrap_or(&nothing);
        let current = self.runs.get(evidence.current);
        let sealed = self.runs.get(evidence.sealed);
        let standing = evidence.standing();
        Cell {
            day,
            standing,
            status: evidence.status,
            current,
            sealed,
            due: self.runs.get(evidence.due),
            unsealed: self.runs.get(evidence.unsealed),
            unsealed_is_named: evidence.is_unsealed_named,
            run: self.runs.get(evidence.run()),
            drift: Drift { lost: standing == Standing::Lost, unknown: evidence.due.is_some() },
            record_count: evidence.record_count(),
            reason: self.reasons.get(evidence.reason).map(String::as_str),
        }
    }
}

impl Tally {
    fn add(&mut self, cell: &Cell<'_>) {
        *match cell.standing {
            Standing::Validated => &mut self.validated,
            Standing::Sealed => &mut self.sealed,
            Standing::Unsealed => &mut self.unsealed,
            Standing::Failed => &mut self.failed,
            Standing::Missing => &mut self.missing,
            Standing::Lost => &mut self.lost,
            Standing::Withdrawn => &mut self.withdrawn,
        } += 1;
        self.unknown += usize::from(cell.drift.unknown);
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
