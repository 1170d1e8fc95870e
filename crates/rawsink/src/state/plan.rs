//! What an operator's command would change, and doing it: plan and execution apart.
//!
//! A plan says what the state was. Each step looks again under the record's lock, so that a verdict
//! which came in between is never undone (G13, G14).

use std::collections::BTreeSet;

use futures_util::stream::{self, BoxStream, StreamExt};

use super::{Change, Filter, PartitionState, Record, Status};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
    key::{LogicalDate, PartitionKey, Selection},
};

/// More days than this in a range are a typing error; records are never deleted.
const MAX_DAYS: usize = 3_660;

/// What an operator's command would change.
#[derive(Debug)]
pub struct Plan {
    /// The change of each record.
    pub change: Change,
    /// The logical partitions whose records would change, sorted.
    pub keys: Vec<PartitionKey>,
    /// Records in the way that stay as they are: of a backfill, those that are there.
    pub kept: usize,
    /// Records that make no sense, each named; they stay as they are.
    pub faults: Vec<Error>,
}

/// One customer's query, on every day.
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
    /// The first.
    pub since: LogicalDate,
    /// The last.
    pub until: LogicalDate,
}

impl Days {
    /// Returns the days from the first to the last.
    ///
    /// # Errors
    /// `Invalid` where the last is before the first, or more than ten years later.
    pub fn all(self) -> Result<Vec<LogicalDate>> {
        let Self { since, until } = self;
        if until < since {
            return Err(Error::invalid(format!("the last day, {until}, is before {since}")));
        }
        let days = std::iter::successors(Some(since), |day| day.next_day());
        let days: Vec<_> = days.take_while(|day| *day <= until).take(MAX_DAYS + 1).collect();
        if days.len() > MAX_DAYS {
            let message = format!("from {since} to {until} are more than {MAX_DAYS} days");
            return Err(Error::invalid(message));
        }
        Ok(days)
    }
}

/// Plans to set the failed records of a selection back to pending.
///
/// # Errors
/// What [`PartitionState::list`] answers.
pub async fn plan_retry(state: &dyn PartitionState, partitions: &Selection) -> Result<Plan> {
    let failed = Filter { partitions: partitions.clone(), status: Some(Status::Failed) };
    let (mut keys, mut faults) = (Vec::new(), Vec::new());
    for found in state.list(&failed).await? {
        match found {
            Ok(entry) => keys.push(entry.key),
            Err(error) => faults.push(error),
        }
    }
    keys.dedup();
    Ok(Plan { change: Change::Retry, keys, kept: 0, faults })
}

/// Plans to make pending records of series on their days, where there are none.
///
/// # Errors
/// `Invalid` for names that are no key and days that are no range; what the state answers.
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
        // A record that makes no sense is there all the same.
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

/// What became of one step of a plan.
#[derive(Debug)]
pub struct Applied<'plan> {
    /// The logical partition.
    pub key: &'plan PartitionKey,
    /// Its record now; `None` where it had changed meanwhile, and stayed as it was.
    pub outcome: Result<Option<Record>>,
}

/// Executes a plan, one record after the other, each as one atomic step.
///
/// Goes on after a record that makes no sense (`Corrupt`); any other error ends the stream. What
/// was not done is in the next plan.
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
