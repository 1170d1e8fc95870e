//! Finds every run that an operator may withdraw, from state and storage.
//!
//! To erase a customer, all of its runs are withdrawn first, also those whose objects are gone. Then no
//! consumer reads them and no plan lands them again. This module deletes nothing: a person or a
//! lifecycle rule deletes the objects.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;

use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId, Selection},
    sink::RawSink,
    state::{Change, FIND_AT_ONCE, Filter, History, PartitionState},
};

/// One run and the change that withdraws it.
pub type Step = (PartitionKey, Change);

/// Plans to withdraw one run.
///
/// # Errors
/// `NotFound` if neither state nor storage knows the run; the errors of both.
pub async fn plan_run(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    run: &RunId,
    reason: &str,
) -> Result<Vec<Step>> {
    let place = Place::of_run(key, run);
    let history = state.history(key).await.map_err(|error| error.at(&place))?;
    if !runs_of(&history).contains(run) {
        let objects = sink.inspect(key, run).await?;
        if objects.payload.is_none() && objects.seal.is_none() {
            let message = "neither the state nor the storage has this run";
            return Err(Error::new(ErrorKind::NotFound, message).at(place));
        }
    }
    Ok(steps(key, &history, [run.clone()], reason))
}

/// Plans to withdraw every run of a selection that state or storage knows, sorted by partition.
///
/// # Errors
/// `Corrupt` for a malformed record or log; the errors of sink and state, also of a part of the storage
/// that cannot be listed: a plan without its runs would not erase them.
pub async fn plan_all(
    sink: &RawSink,
    state: &dyn PartitionState,
    partitions: &Selection,
    reason: &str,
) -> Result<Vec<Step>> {
    let mut runs: BTreeMap<PartitionKey, BTreeSet<RunId>> = BTreeMap::new();
    let mut fault = None;
    let mut take = |found: Result<rawsink::state::Entry>| match found {
        Ok(entry) => {
            runs.entry(entry.key).or_default();
        }
        Err(error) => {
            fault.get_or_insert(error);
        }
    };
    state.scan(&Filter::from(partitions.clone()), &mut take).await?;
    if let Some(error) = fault {
        return Err(error);
    }
    let mut landed = sink.landed(partitions);
    while let Some(partition) = landed.try_next().await? {
        let found = partition.runs.into_iter().map(|run| run.run_id);
        runs.entry(partition.key).or_default().extend(found);
    }
    let keys: Vec<PartitionKey> = runs.keys().cloned().collect();
    let mut plan = Vec::new();
    for keys in keys.chunks(FIND_AT_ONCE) {
        for (key, history) in keys.iter().zip(state.histories(keys).await?) {
            let history = history.map_err(|error| error.at(Place::of_partition(key)))?;
            let mut runs = runs.remove(key).unwrap_or_default();
            runs.extend(runs_of(&history));
            plan.extend(steps(key, &history, runs, reason));
        }
    }
    Ok(plan)
}

/// Returns the runs that state and log name.
fn runs_of(history: &History) -> BTreeSet<RunId> {
    let named = history.entries().iter().filter_map(|entry| entry.run_id.clone());
    let current = history.record().and_then(|record| record.current_run_id.clone());
    named.chain(current).collect()
}

/// Returns the withdrawals that change something.
fn steps(
    key: &PartitionKey,
    history: &History,
    runs: impl IntoIterator<Item = RunId>,
    reason: &str,
) -> Vec<Step> {
    let open = runs.into_iter().filter(|run| !history.is_withdrawn_and_unnamed(run));
    let change = |run_id| Change::Withdraw { run_id, reason: reason.to_owned() };
    open.map(|run| (key.clone(), change(run))).collect()
}
