//! Compares state and storage: a grid of customers x queries x days.
//!
//! Reads the state first, then the storage in one listing. A run that is validated in between then
//! appears without a verdict; in the other order it would appear lost. Memory grows with the shown
//! partitions, less than a hundred bytes each, and with the distinct runs and reasons that they name, but
//! not with older runs.
//!
//! Reads only names and lengths from storage, and changes nothing. A run whose files are gone, or do not
//! have the lengths that were validated, is lost (G20). [`Coverage::check_seals`] also reads the seals. A
//! part of the storage that cannot be listed proves nothing: its cells are unreadable.

mod backfill;
mod command;
mod evidence;
mod gathering;
mod page;
mod row;
mod runs;
mod seals;
mod template;

use std::{cmp::Reverse, collections::BTreeSet, fmt};

use futures_util::StreamExt;
use serde::Serialize;

pub use self::{
    backfill::{Action, PlanStep},
    command::Extraction,
    evidence::Standing,
    page::PageFacts,
    row::Row,
    template::CommandTemplate,
};
use self::{
    evidence::{Evidence, Interned},
    gathering::Gathering,
};
use rawsink::{
    error::{Error, Result},
    layout::Place,
    partition::{LogicalDate, RunId, Selection},
    sink::{RawSink, Unlisted},
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
    hidden: Vec<Place>,
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
    /// The newest sealed run that needs a verdict. A run of the future may keep it from authority.
    pub due: Option<&'a RunId>,
    /// The newest run that passed and gets no authority, because a run has it whose id is a time
    /// [in the future](RawSink::is_future).
    pub blocked: Option<&'a RunId>,
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

impl Cell<'_> {
    /// Returns whether the cell is validated and has no rows.
    pub fn is_empty(&self) -> bool {
        self.standing == Standing::Validated && self.record_count == Some(0)
    }
}

/// Contradictions between state and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Drift {
    /// The run that has authority does not exist, is not sealed, is not the one that was validated, or was
    /// withdrawn: consumers cannot read it.
    pub lost: bool,
    /// A sealed run needs a verdict.
    pub unknown: bool,
    /// A run of the future keeps a run that passed from authority.
    pub blocked: bool,
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
    /// The storage cannot be listed there.
    pub unreadable: usize,
    /// Of all these: a sealed run needs a verdict.
    pub unknown: usize,
    /// Of all these: a run of the future keeps a run that passed from authority.
    pub blocked: usize,
}

/// Compares the state with the storage.
///
/// Expects every customer with every query of its source on every day, of those found in state or
/// storage, or named by the scope. Costs one listing (one request per thousand objects on object
/// storage) and one database statement.
///
/// # Errors
/// `Invalid` for an invalid range of days, and for a scope that names customers or queries while the
/// source, the days or the other names cannot be derived from existing data; the errors of the state,
/// and of a listing that ended early. A malformed record, and a part of the storage that cannot be
/// listed, is not an error of the call: see [`Coverage::faults`].
pub async fn coverage(
    sink: &RawSink,
    state: &dyn PartitionState,
    scope: &Scope,
) -> Result<Coverage> {
    let mut gathering = Gathering::new(sink, scope)?;
    let filter = Filter::from(scope.selection.clone());
    state.scan(&filter, &mut |found| gathering.record(found)).await?;
    if state.scan_log(&scope.selection, &mut |found| gathering.logged(found)).await? {
        gathering.has_log();
    }
    let mut landed = sink.landed(&scope.selection);
    while let Some(partition) = landed.next().await {
        match partition {
            Ok(partition) => gathering.landed(&partition),
            Err(Unlisted { place: Some(place), error }) => gathering.hidden(place, error),
            Err(Unlisted { place: None, error }) => return Err(error),
        }
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
        (0..self.rows.len()).map(move |row| self.row(row))
    }

    /// Returns a row by its number, from 0, with its cells.
    ///
    /// # Panics
    /// If no such row exists.
    pub fn row(&self, row: usize) -> (&Series, impl Iterator<Item = Cell<'_>>) {
        let (series, seen) = &self.rows[row];
        let mut seen = seen.iter().peekable();
        let cells = self.days.iter().map(move |day| {
            let evidence = seen.next_if(|evidence| evidence.day == *day);
            self.cell(*day, evidence)
        });
        (series, cells)
    }

    /// Returns the numbers of all rows, the worst first: the most lost cells, then the most cells that need
    /// work, then the most runs that need a verdict or cannot get authority. Equal rows are sorted by name.
    pub fn worst_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_cached_key(|row| {
            let tally = self.row_tally(*row);
            Reverse((tally.lost, tally.open(), tally.unknown + tally.blocked))
        });
        order
    }

    /// Counts the cells of a row.
    ///
    /// # Panics
    /// If no such row exists.
    pub fn row_tally(&self, row: usize) -> Tally {
        Tally::of(self.row(row).1)
    }

    /// Counts the cells.
    pub fn tally(&self) -> Tally {
        Tally::of(self.cells().flat_map(|(_, cells)| cells))
    }

    /// Returns one error for each malformed record of the state, and for each part of the storage that
    /// cannot be listed. Malformed records are not in the grid.
    pub fn faults(&self) -> &[Error] {
        &self.faults
    }

    /// Returns the places that cannot be listed. Their cells are [`Standing::Unreadable`].
    pub fn hidden(&self) -> &[Place] {
        &self.hidden
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
            blocked: self.runs.get(evidence.blocked),
            unsealed: self.runs.get(evidence.unsealed),
            unsealed_is_named: evidence.is_unsealed_named,
            run: self.runs.get(evidence.run()),
            drift: Drift {
                lost: standing == Standing::Lost,
                unknown: evidence.due.is_some(),
                blocked: evidence.blocked.is_some(),
            },
            record_count: evidence.record_count(),
            reason: self.reasons.get(evidence.reason).map(String::as_str),
        }
    }
}

/// Returns the place of a customer's query, or of one of its days.
pub fn place(series: &Series, day: Option<LogicalDate>) -> Place {
    let Series { source, customer_id, query_name } = series.clone();
    Place::enclosing(&Selection {
        source: Some(source),
        customer_id: Some(customer_id),
        query_name: Some(query_name),
        since: day,
        until: day,
    })
}

impl Tally {
    fn of<'a>(cells: impl Iterator<Item = Cell<'a>>) -> Self {
        cells.fold(Self::default(), |mut tally, cell| {
            tally.add(&cell);
            tally
        })
    }

    /// Returns the number of cells that [need work](Standing::needs_work).
    pub fn open(&self) -> usize {
        self.sealed + self.unsealed + self.failed + self.missing + self.lost
    }

    fn add(&mut self, cell: &Cell<'_>) {
        *match cell.standing {
            Standing::Validated => &mut self.validated,
            Standing::Sealed => &mut self.sealed,
            Standing::Unsealed => &mut self.unsealed,
            Standing::Failed => &mut self.failed,
            Standing::Missing => &mut self.missing,
            Standing::Lost => &mut self.lost,
            Standing::Withdrawn => &mut self.withdrawn,
            Standing::Unreadable => &mut self.unreadable,
        } += 1;
        self.unknown += usize::from(cell.drift.unknown);
        self.blocked += usize::from(cell.drift.blocked);
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
