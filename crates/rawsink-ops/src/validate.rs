//! Validates all due runs, as a stream: compares storage and state.
//!
//! Partitions come from one listing, in batches; one query finds the records of a batch. Memory holds
//! one batch. Each record is read again right before its partition is validated, so that concurrent
//! hosts seldom validate the same run; if they do, no update is lost (G14).

mod shard;

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};

pub use self::shard::Shard;
use crate::bulk::{self, Task};
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId, Selection},
    sink::{LandedPartition, RawSink},
    state::{FIND_AT_ONCE, PartitionState, Record, due},
    validate::{self, Rules, Validation},
};

/// Which runs to validate, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Only these logical partitions.
    pub partitions: Selection,
    /// Only this shard of them.
    pub shard: Shard,
    /// The rules of each validation.
    pub rules: Rules,
    /// Number of partitions to validate in parallel.
    pub jobs: NonZeroUsize,
}

/// An event of the stream.
#[derive(Debug)]
pub enum Event {
    /// This many more logical partitions were compared with the state.
    Compared(usize),
    /// A run was validated, or could not be.
    Validated(Box<ValidatedRun>),
}

/// The result of one due run.
#[derive(Debug)]
pub struct ValidatedRun {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run: RunId,
    /// The verdict, or an error. After an error nothing was recorded (except perhaps for `Unknown`),
    /// and the newer runs of the partition stay due.
    pub outcome: Result<Validation>,
}

/// Validates every due run ([`due`]) of a selection, and records the verdicts.
///
/// A run that cannot be validated does not block the others; the next call tries it again. An error
/// of the stream itself (the listing, the state, 20 consecutive failures) ends it. Dropping the
/// stream aborts validations in progress; their runs stay due.
///
/// Must be called in a tokio runtime, whose tasks validate the runs.
pub fn all(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Result<Event>> {
    let Work { shard, rules, jobs, .. } = *work;
    let landed = sink.landed(&work.partitions);
    let landed = landed.filter(move |landed| {
        future::ready(landed.as_ref().map_or(true, |landed| shard.contains(&landed.key)))
    });
    let validator = Validator { sink: sink.clone(), state: state.clone(), rules };
    let finder = state.clone();
    let steps = landed
        .chunks(FIND_AT_ONCE)
        .then(move |batch| compare(finder.clone(), batch))
        .flat_map(stream::iter);
    let events = bulk::work(steps.boxed(), jobs, move |step| validator.clone().take(step), outcome);
    let until_own_error = events.scan(false, |is_over, event| {
        let next = (!*is_over).then_some(event);
        *is_over = matches!(next, Some(Err(_)));
        future::ready(next)
    });
    until_own_error.boxed()
}

fn outcome(event: &Event) -> Option<Result<(), ErrorKind>> {
    match event {
        Event::Compared(_) => None,
        Event::Validated(validated) => {
            Some(validated.outcome.as_ref().map(drop).map_err(Error::kind))
        }
    }
}

/// One result of a comparison.
enum Comparison {
    Emit(Result<Event>),
    Validate(PartitionKey, Vec<RunId>),
}

/// Compares a batch of landed partitions with the state.
async fn compare(
    state: Arc<dyn PartitionState>,
    batch: Vec<Result<LandedPartition>>,
) -> Vec<Comparison> {
    let (mut partitions, mut fault) = (Vec::with_capacity(batch.len()), None);
    for landed in batch {
        match landed {
            Ok(landed) => partitions.push((landed.key.clone(), landed.sealed().cloned().collect())),
            Err(error) => fault = Some(error),
        }
    }
    let keys: Vec<PartitionKey> = partitions.iter().map(|(key, _)| key.clone()).collect();
    let records = match state.find(&keys).await {
        Ok(records) => records,
        Err(error) => return vec![Comparison::Emit(Err(error))],
    };
    // A malformed record is read again, and reported, when its partition is validated.
    let records: BTreeMap<PartitionKey, Record> =
        records.into_iter().flatten().map(|entry| (entry.key, entry.record)).collect();
    let with_due = partitions
        .into_iter()
        .filter(|(key, sealed): &(_, Vec<RunId>)| !due(records.get(key), sealed).is_empty());
    let mut steps = vec![Comparison::Emit(Ok(Event::Compared(keys.len())))];
    steps.extend(with_due.map(|(key, sealed)| Comparison::Validate(key, sealed)));
    steps.extend(fault.map(|error| Comparison::Emit(Err(error))));
    steps
}

/// Validates the runs of one partition after the other.
#[derive(Clone)]
struct Validator {
    sink: RawSink,
    state: Arc<dyn PartitionState>,
    rules: Rules,
}

impl Validator {
    async fn take(self, step: Comparison) -> Vec<Result<Event>> {
        match step {
            Comparison::Emit(event) => vec![event],
            Comparison::Validate(key, sealed) => {
                let task = Task::spawn(async move { self.partition(&key, &sealed).await });
                task.finish().await.unwrap_or_else(|error| vec![Err(error)])
            }
        }
    }

    /// Validates the due runs of a partition, oldest first, by its current record.
    async fn partition(&self, key: &PartitionKey, sealed: &[RunId]) -> Vec<Result<Event>> {
        let mut events = Vec::new();
        let mut emit = |run: &RunId, outcome| {
            let (key, run) = (key.clone(), run.clone());
            events.push(Ok(Event::Validated(Box::new(ValidatedRun { key, run, outcome }))));
        };
        let Some(newest) = sealed.last() else { return events };
        let mut record = match self.state.get(key).await {
            Ok(record) => record,
            Err(error) => {
                emit(newest, Err(error.at(Place::of_partition(key))));
                return events;
            }
        };
        let mut ahead = sealed;
        while let Some(run) = due(record.as_ref(), ahead).first() {
            let validated = validate::run(&self.sink, &*self.state, key, run, self.rules).await;
            record = validated.as_ref().ok().map(|validation| validation.state.clone());
            let is_failed = validated.is_err();
            emit(run, validated);
            // A verdict on a newer run would hide that this one has none.
            if is_failed {
                break;
            }
            // Even if others change the record meanwhile, no run is validated twice.
            ahead = ahead.iter().position(|one| one == run).map_or(&[], |at| &ahead[at + 1..]);
        }
        events
    }
}
