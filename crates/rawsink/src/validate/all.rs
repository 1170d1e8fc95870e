//! Judging every run that waits for a verdict: storage and state compared, as a stream.
//!
//! Partitions come from one listing, in batches whose records are found at once; no more than a
//! batch is held. Each partition is looked at again right before it is judged, so that hosts which
//! work at the same time seldom do the same; where they do, no update is lost (G14).

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};

use super::{Rules, Shard, Validation, validate};
use crate::{
    bulk::{self, Task},
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId, Selection},
    layout::Place,
    sink::{Landed, RawSink},
    state::{FIND_AT_ONCE, PartitionState, Record, due},
};

/// What to judge, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Only these logical partitions.
    pub partitions: Selection,
    /// Only this share of them.
    pub shard: Shard,
    /// How a run is judged.
    pub rules: Rules,
    /// So many partitions at once.
    pub jobs: NonZeroUsize,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// So many more logical partitions that have landed were compared with the state.
    Compared(usize),
    /// A run was judged, or could not be.
    Judged(Box<Judged>),
}

/// What became of a run that waited for a verdict.
#[derive(Debug)]
pub struct Judged {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run: RunId,
    /// The verdict; an error where there is none, and nothing was recorded, save for `Unknown`.
    /// Then the partition's newer runs wait, too.
    pub outcome: Result<Validation>,
}

/// Judges every sealed run of a selection that waits for a verdict ([`due`]), and records it.
///
/// Streams what happens as it happens. A run that cannot be judged stops no other; an error of the
/// stream itself (the listing, the state, 20 runs in a row that failed) ends it. What
/// was not judged is found by the next call. Dropping the stream ends the work: what is being
/// judged is given up, and waits.
///
/// Runs are judged in tasks of the tokio runtime, which this must be called in.
pub fn validate_all(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Result<Event>> {
    let Work { shard, rules, jobs, .. } = *work;
    let landed = sink.landed(&work.partitions);
    let landed = landed.filter(move |landed| {
        future::ready(landed.as_ref().map_or(true, |landed| shard.contains(&landed.key)))
    });
    let judge = Judge { sink: sink.clone(), state: state.clone(), rules };
    let finder = state.clone();
    let steps = landed
        .chunks(FIND_AT_ONCE)
        .then(move |batch| compare(finder.clone(), batch))
        .flat_map(stream::iter);
    let events = bulk::work(steps.boxed(), jobs, move |step| judge.clone().take(step), outcome);
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
        Event::Judged(judged) => Some(judged.outcome.as_ref().map(drop).map_err(Error::kind)),
    }
}

/// What follows from a comparison.
enum Step {
    Tell(Result<Event>),
    Judge(PartitionKey, Vec<RunId>),
}

/// Compares what has landed with the state.
async fn compare(state: Arc<dyn PartitionState>, batch: Vec<Result<Landed>>) -> Vec<Step> {
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
        Err(error) => return vec![Step::Tell(Err(error))],
    };
    // A record that makes no sense is met again, and told, when its partition's turn comes.
    let records: BTreeMap<PartitionKey, Record> =
        records.into_iter().flatten().map(|entry| (entry.key, entry.record)).collect();
    let waiting = partitions
        .into_iter()
        .filter(|(key, sealed): &(_, Vec<RunId>)| !due(records.get(key), sealed).is_empty());
    let mut steps = vec![Step::Tell(Ok(Event::Compared(keys.len())))];
    steps.extend(waiting.map(|(key, sealed)| Step::Judge(key, sealed)));
    steps.extend(fault.map(|error| Step::Tell(Err(error))));
    steps
}

/// Who judges.
#[derive(Clone)]
struct Judge {
    sink: RawSink,
    state: Arc<dyn PartitionState>,
    rules: Rules,
}

impl Judge {
    async fn take(self, step: Step) -> Vec<Result<Event>> {
        match step {
            Step::Tell(event) => vec![event],
            Step::Judge(key, sealed) => {
                let task = Task::spawn(async move { self.partition(&key, &sealed).await });
                task.finish().await.unwrap_or_else(|error| vec![Err(error)])
            }
        }
    }

    /// Judges what waits of a partition, oldest first, as its record is now.
    async fn partition(&self, key: &PartitionKey, sealed: &[RunId]) -> Vec<Result<Event>> {
        let mut events = Vec::new();
        let mut tell = |run: &RunId, outcome| {
            let (key, run) = (key.clone(), run.clone());
            events.push(Ok(Event::Judged(Box::new(Judged { key, run, outcome }))));
        };
        let Some(newest) = sealed.last() else { return events };
        let mut record = match self.state.get(key).await {
            Ok(record) => record,
            Err(error) => {
                tell(newest, Err(error.at(Place::of_partition(key))));
                return events;
            }
        };
        let mut ahead = sealed;
        while let Some(run) = due(record.as_ref(), ahead).first() {
            let judged = validate(&self.sink, &*self.state, key, run, self.rules).await;
            record = judged.as_ref().ok().map(|validation| validation.state.clone());
            let is_over = judged.is_err();
            tell(run, judged);
            // A newer one's verdict would hide that this one has none.
            if is_over {
                break;
            }
            // Whatever others do to the record meanwhile, no run is judged twice.
            ahead = ahead.iter().position(|one| one == run).map_or(&[], |at| &ahead[at + 1..]);
        }
        events
    }
}
