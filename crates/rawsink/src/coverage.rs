//! What is covered: customers x queries x days, as state and storage together say.
//!
//! The state is read first and the storage after it, in one listing. A run that gets its verdict
//! meanwhile then looks as if it had none; the other way round it would look lost. Memory grows with
//! the partitions that are shown, some fifty bytes each, and with the runs and reasons that they tell
//! of, each kept once; not with the runs that are older.
//!
//! Nothing is read but names, and nothing is changed.

mod backfill;
mod evidence;
mod gathering;
mod page;

use std::{collections::BTreeSet, fmt};

use futures_util::TryStreamExt;
use serde::Serialize;

pub use self::{
    backfill::{Action, Step},
    evidence::{Standing, There},
    page::PageFacts,
};
use self::{
    evidence::{Evidence, Interned},
    gathering::Gathering,
};
use crate::{
    error::{Error, Result},
    key::{LogicalDate, RunId, Selection},
    sink::RawSink,
    state::{self, Filter, PartitionState, Series, Status},
};

/// What is to be covered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Source, customer, query and days. A day that is not given is the first or last that was seen.
    pub selection: Selection,
    /// The customers that are expected, and no others; empty for those that were seen.
    pub customers: BTreeSet<String>,
    /// The queries that are expected, and no others; empty for those that were seen.
    pub queries: BTreeSet<String>,
}

/// What is covered: a row for each query of each customer, a cell for each day.
#[derive(Debug)]
pub struct Coverage {
    days: Vec<LogicalDate>,
    rows: Vec<(Series, Vec<Evidence>)>,
    runs: Interned<RunId>,
    reasons: Interned<String>,
    faults: Vec<Error>,
}

/// One logical partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The reporting day.
    pub day: LogicalDate,
    /// What is there.
    pub standing: Standing,
    /// What the state's record says; `None` where there is none.
    pub status: Option<Status>,
    /// The run that the record names.
    pub current: Option<&'a RunId>,
    /// The newest sealed run in the storage.
    pub sealed: Option<&'a RunId>,
    /// The newest run in the storage that has a payload and no seal.
    pub unsealed: Option<&'a RunId>,
    /// The run that the standing is about; `None` where nothing is there.
    pub run: Option<&'a RunId>,
    /// Where state and storage contradict each other.
    pub drift: Drift,
    /// The rows of the run that the record names.
    pub record_count: Option<u64>,
    /// Why the last validation failed.
    pub reason: Option<&'a str>,
}

/// Where state and storage contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Drift {
    /// The run that has authority is not there, or not sealed: consumers cannot read it.
    pub lost: bool,
    /// The newest sealed run has no verdict that the record tells of, and is newer than what has.
    pub unknown: bool,
}

/// How many cells there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Sealed, and the run has authority.
    pub validated: usize,
    /// Sealed, without a verdict that counts.
    pub sealed: usize,
    /// A payload without a seal.
    pub unsealed: usize,
    /// Sealed, and the last verdict is a failure.
    pub failed: usize,
    /// Nothing.
    pub missing: usize,
    /// Of all these: the run that has authority is not in the storage.
    pub lost: usize,
    /// Of all these: the newest sealed run is unknown to the state.
    pub unknown: usize,
}

/// Compares the state with the storage.
///
/// Expected is every customer with every query of its source on every day, as far as they were seen
/// in either of the two or the scope names them. One listing (a request for each thousand objects on
/// object storage) and one statement on the database.
///
/// # Errors
/// `Invalid` for days that are no range, and for a scope that names customers or queries where nothing
/// is there to tell the rest of what is expected; what the sink and the state answer. A record that makes no sense is no error of the call:
/// see [`Coverage::faults`].
pub async fn coverage(
    sink: &RawSink,
    state: &dyn PartitionState,
    scope: &Scope,
) -> Result<Coverage> {
    let mut gathering = Gathering::new(scope)?;
    let filter = Filter::from(scope.selection.clone());
    state.scan(&filter, &mut |found| gathering.record(found)).await?;
    let mut landed = sink.landed(&scope.selection);
    while let Some(partition) = landed.try_next().await? {
        gathering.landed(&partition);
    }
    gathering.finish()
}

impl Coverage {
    /// Returns the days, without a gap.
    pub fn days(&self) -> &[LogicalDate] {
        &self.days
    }

    /// Returns the customers' queries, sorted.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Series> {
        self.rows.iter().map(|(series, _)| series)
    }

    /// Returns each customer's query with its cells, one for each day.
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

    /// Returns the state's records that make no sense, each named; they cover nothing.
    pub fn faults(&self) -> &[Error] {
        &self.faults
    }

    fn cell(&self, day: LogicalDate, evidence: Option<&Evidence>) -> Cell<'_> {
        let nothing = Evidence::new(day);
        let evidence = evidence.unwrap_or(&nothing);
        let current = self.runs.get(evidence.current);
        let sealed = self.runs.get(evidence.sealed);
        let reason = self.reasons.get(evidence.reason).map(String::as_str);
        let known = |run: &RunId| {
            current.is_some_and(|current| current >= run)
                || reason.is_some_and(|reason| state::is_reason_of(reason, run))
        };
        Cell {
            day,
            standing: evidence.standing(),
            status: evidence.status,
            current,
            sealed,
            unsealed: self.runs.get(evidence.unsealed),
            run: self.runs.get(evidence.run()),
            drift: Drift {
                lost: evidence.is_lost(),
                unknown: sealed.is_some_and(|run| !known(run)),
            },
            record_count: evidence.record_count(),
            reason,
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
        } += 1;
        self.lost += usize::from(cell.drift.lost);
        self.unknown += usize::from(cell.drift.unknown);
    }

    /// Tells whether everything that is expected is there: no cell is missing, and no run that has
    /// authority is lost.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.lost == 0
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
