//! Plans and executes the changes of an operator's command.
//!
//! A plan describes the state as it was. Each step checks the record again under its lock, so that it
//! never undoes a verdict recorded since (G13, G14).

use std::collections::BTreeSet;

use futures_util::stream::{self, BoxStream, StreamExt};

use super::{Change, Filter, PartitionState, Record, Status};
use crate::{
    error::{Error, ErrorKind, Result},
    partition::{LogicalDate, PartitionKey, Selection},
    runtime::Clock,
};

/// Maximum number of days in a range. More are probably a typing error, and records are never deleted.
const MAX_DAYS: usize = 3_660;

/// The changes of an operator's command.
#[derive(Debug)]
pub struct Plan {
    /// The change of each record.
    pub change: Change,
    /// The logical partitions whose records would change, sorted.
    pub keys: Vec<PartitionKey>,
    /// Number of records that the command keeps: existing ones (backfill), or marked ones (retry).
    pub kept: usize,
    /// One error for each malformed record, which is kept.
    pub faults: Vec<Error>,
}

/// One query of one customer, on every day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The upstream system.
    pub source: String,
    /// The customer.
    pub customer_id: String,
    /// The query.
    pub query_name: String,
}

/// A range of reporting days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub since: LogicalDate,
    /// The last day.
    pub until: LogicalDate,
}

impl Days {
    /// Returns the days from the first to the last.
    ///
    /// # Errors
    /// `Invalid` if the last is before the first, or the range has more than 3,660 days.
    pub fn all(self) -> Result<Vec<LogicalDate>> {
        let Self { since, until } = self;
        if until < since {
            return Err(Error::invalid(format!("the last day, {until}, is before {since}")));
        }
        let days = std::iter::successors(Some(since), |day| day.next_day());
        let days: Vec<_> = days.take_while(|day| *day <= until).take(MAX_DAYS + 1).collect();
        if days.len() > MAX_DAYS {
            let message = format!("{since} to {until} is more than {MAX_DAYS} days");
            return Err(Error::invalid(message));
        }
        Ok(days)
    }
}

/// What to do with failed records that other software [marked](Record::mark).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Marked {
    /// Keep them.
    #[default]
    Keep,
    /// Set them back to pending too.
    Retry,
}

/// Plans to set the failed records of a selection back to pending.
///
/// # Errors
/// As [`PartitionState::list`].
pub async fn plan_retry(
    state: &dyn PartitionState,
    partitions: &Selection,
    marked: Marked,
) -> Result<Plan> {
    let failed = Filter { partitions: partitions.clone(), status: Some(Status::Failed) };
    let (mut keys, mut kept, mut faults) = (Vec::new(), 0, Vec::new());
    for found in state.list(&failed).await? {
        match found {
            Ok(entry) if marked == Marked::Keep && entry.record.mark().is_some() => kept += 1,
            Ok(entry) => keys.push(entry.key),
            Err(error) => faults.push(error),
        }
    }
    keys.dedup();
    let change = if marked == Marked::Keep { Change::Retry } else { Change::RetryMarked };
    Ok(Plan { change, keys, kept, faults })
}

/// Plans to create the missing records of series and days as pending.
///
/// # Errors
/// `Invalid` for an invalid name or range of days; the errors of the state.
pub async fn plan_backfill(state: &dyn PartitionState, wanted: &[(Series, Days)]) -> Result<Plan> {
    let (mut missing, mut kept) = (BTreeSet::new(), BTreeSet::new());
    let mut faults = Vec::new();
    for (series, days) in wanted {
        missing.extend(series.keys(*days)?);
    }
    for (series, days) in wanted {
        for found in state.list(&series.filter(*days)).await? {
            match found {
                Ok(entry) => {
                    missing.remove(&entry.key);
                    kept.insert(entry.key);
                }
                Err(error) => faults.push(error),
            }
        }
    }
    let mut keys = Vec::with_capacity(missing.len());
    for key in missing {
        // A malformed record exists too.
        if faults.is_empty() || state.get(&key).await.is_ok() {
            keys.push(key);
        }
    }
    Ok(Plan { change: Change::Backfill, keys, kept: kept.len(), faults })
}

impl Series {
    fn keys(&self, days: Days) -> Result<Vec<PartitionKey>> {
        let Self { source, customer_id, query_name } = self;
        let key =
            |day: LogicalDate| PartitionKey::new(source, customer_id, query_name, &day.to_string());
        days.all()?.into_iter().map(key).collect()
    }

    fn filter(&self, days: Days) -> Filter {
        Filter::from(Selection {
            source: Some(self.source.clone()),
            customer_id: Some(self.customer_id.clone()),
            query_name: Some(self.query_name.clone()),
            since: Some(days.since),
            until: Some(days.until),
        })
    }
}

/// The result of one step of a plan.
#[derive(Debug)]
pub struct Applied<'plan> {
    /// The logical partition.
    pub key: &'plan PartitionKey,
    /// Its new record; `None` if the step no longer applied and changed nothing.
    pub outcome: Result<Option<Record>>,
}

/// Executes a plan, one record after the other, each as one atomic step.
///
/// Continues after a malformed record (`Corrupt`); any other error ends the stream. The next plan
/// contains the steps that were not executed.
pub fn execute<'plan>(
    state: &'plan dyn PartitionState,
    plan: &'plan Plan,
    clock: &'plan dyn Clock,
) -> BoxStream<'plan, Applied<'plan>> {
    let steps = stream::unfold(Some(plan.keys.iter()), move |keys| async move {
        let mut keys = keys?;
        let key = keys.next()?;
        let outcome = state.change(key, &plan.change, clock.now()).await;
        let ends = outcome.as_ref().is_err_and(|error: &Error| error.kind() != ErrorKind::Corrupt);
        Some((Applied { key, outcome }, (!ends).then_some(keys)))
    });
    steps.boxed()
}
