//! Validates all due runs, as a stream: compares storage and state.
//!
//! Partitions come from one listing. One query finds the records and logs of a thousand partitions, so
//! memory holds no more. Runs are read in parallel; verdicts are recorded in batches, each in one
//! transaction, and reported after that: everything that was recorded is reported, and nothing else.
//! Under its lock a verdict is dropped if its run is no longer due, so hosts that work at the same time
//! never record two verdicts on one run (G14).

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};

pub use crate::{bulk::Stop, shard::Shard};
use crate::{
    bulk::{self, Order, Task},
    recording::{self, Reached, Recorded, record_found},
};
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId, Selection},
    sink::{LandedPartition, RawSink, Unlisted},
    state::{Change, Entry, FIND_AT_ONCE, History, PartitionState, Record},
    validate::{self, Judgement, Rules, Validation},
};

/// Which runs to validate, and how.
#[derive(Debug, Clone)]
pub struct Work {
    /// Only these logical partitions.
    pub partitions: Selection,
    /// Only this shard of them.
    pub shard: Shard,
    /// The rules of each validation.
    pub rules: Rules,
    /// Number of partitions to validate in parallel.
    pub jobs: NonZeroUsize,
    /// Ends the work early.
    pub stop: Stop,
}

/// An event of the stream.
#[derive(Debug)]
pub enum Event {
    /// This many more logical partitions were compared with the state.
    Compared(usize),
    /// A run was validated, or could not be.
    Validated(Box<ValidatedRun>),
    /// Runs of a partition cannot get authority.
    Blocked(Box<Blocked>),
    /// The storage could not be listed there, or from there on. Hidden runs stay due.
    Unlisted(Unlisted),
}

/// A partition with sealed runs that a run whose id is a time [in the future](RawSink::is_future) keeps
/// from authority: without a verdict they are never due, and if they pass, nothing changes.
#[derive(Debug)]
pub struct Blocked {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run that has authority.
    pub holder: RunId,
    /// The newest of these runs.
    pub newest: RunId,
}

/// The result of one due run.
#[derive(Debug)]
pub struct ValidatedRun {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run: RunId,
    /// The verdict, or an error. After an error nothing was recorded, except perhaps for `Unknown`.
    pub outcome: Result<Validation>,
}

/// Validates every due run ([`History::due`]) of a selection, and records the verdicts.
///
/// A run that cannot be validated does not block the others, and neither does a part of the storage that
/// cannot be listed; the next call tries them again. After an error of the state, or 20 consecutive
/// failures, no run is started, the runs being read are finished, their verdicts are recorded and
/// reported, and the error is the last item.
/// Dropping the stream aborts everything; a batch may be recorded and not reported. To end early and
/// lose nothing, use [`Work::stop`].
///
/// Must be called in a tokio runtime, whose tasks validate the runs.
pub fn all(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Result<Event>> {
    let (shard, landed) = (work.shard, sink.landed(&work.partitions));
    let landed = landed.filter(move |landed| {
        future::ready(landed.as_ref().map_or(true, |landed| shard.contains(&landed.key)))
    });
    of_landed(sink, state, landed.boxed(), work)
}

/// Validates every due run of partitions that were listed before, such as one part of those that are
/// divided among machines.
///
/// As [`all`], except that it lists nothing, and that selection and shard of `work` are not used. Which
/// runs are due is looked up now: a part that was validated before, or in part, costs no second verdict.
pub fn of_landed(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    landed: BoxStream<'static, Result<LandedPartition, Unlisted>>,
    work: &Work,
) -> BoxStream<'static, Result<Event>> {
    record_found(sink, state, find_verdicts(sink, state, landed, work), work.stop.clone())
}

/// What the readers find.
type Found = recording::Found<Event>;

/// Reads the due runs and streams their verdicts, in any order.
fn find_verdicts(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    landed: BoxStream<'static, Result<LandedPartition, Unlisted>>,
    work: &Work,
) -> BoxStream<'static, Result<Found>> {
    let Work { rules, jobs, .. } = *work;
    let validator = Validator { sink: sink.clone(), rules };
    let (finder, validator_sink) = (state.clone(), sink.clone());
    let steps =
        landed
            .chunks(FIND_AT_ONCE)
            .then(move |batch| {
                // As a task: if nobody polled it, its read transaction would lock the recorder out.
                let task = Task::spawn(compare(validator_sink.clone(), finder.clone(), batch));
                async move {
                    task.finish().await.unwrap_or_else(|error| vec![Comparison::Emit(Err(error))])
                }
            })
            .flat_map(stream::iter);
    let take = move |step| validator.clone().take(step);
    bulk::work(steps.boxed(), (jobs, Order::Any), take, outcome)
}

fn outcome(found: &Found) -> Option<Result<(), ErrorKind>> {
    match found {
        // A part that cannot be listed is no outage.
        Found::Event(Event::Compared(_) | Event::Blocked(_) | Event::Unlisted(_)) => None,
        Found::Event(Event::Validated(run)) => {
            Some(run.outcome.as_ref().map(drop).map_err(Error::kind))
        }
        Found::Reached(_) => Some(Ok(())),
    }
}

/// One result of a comparison.
enum Comparison {
    Emit(Result<Found>),
    Validate(DueRuns),
}

/// The due runs of a partition, oldest first.
struct DueRuns {
    key: PartitionKey,
    runs: Vec<RunId>,
    /// The run that has authority, if any.
    authority: Option<RunId>,
    /// Whether a log remembers each verdict, so that a newer run need not wait for an older one.
    has_log: bool,
}

/// Compares a batch of landed partitions with the state.
async fn compare(
    sink: RawSink,
    state: Arc<dyn PartitionState>,
    batch: Vec<Result<LandedPartition, Unlisted>>,
) -> Vec<Comparison> {
    let (mut landed, mut steps) = (Vec::with_capacity(batch.len()), Vec::new());
    for partition in batch {
        match partition {
            Ok(partition) => landed.push(partition),
            Err(hidden) => steps.push(Comparison::Emit(Ok(Found::Event(Event::Unlisted(hidden))))),
        }
    }
    let compared = Event::Compared(landed.len());
    match unsettled(&sink, &*state, landed).await {
        Ok(found) => {
            steps.push(Comparison::Emit(Ok(Found::Event(compared))));
            steps.extend(found.into_iter().flat_map(|(partition, history)| {
                let sealed: Vec<RunId> = partition.sealed().cloned().collect();
                match (history, sealed.last()) {
                    (_, None) => Vec::new(),
                    (Err(error), Some(newest)) => vec![unread(&partition.key, newest, error)],
                    (Ok(history), _) => step(&sink, &partition.key, &history, &sealed),
                }
            }));
        }
        Err(error) => steps.push(Comparison::Emit(Err(error))),
    }
    steps
}

/// Returns the partitions that may have a due run, with their histories. Logs are long, so they are
/// read only where the record leaves a question.
async fn unsettled(
    sink: &RawSink,
    state: &dyn PartitionState,
    landed: Vec<LandedPartition>,
) -> Result<Vec<(LandedPartition, Result<History>)>> {
    let keys: Vec<PartitionKey> = landed.iter().map(|partition| partition.key.clone()).collect();
    let mut settled = BTreeSet::new();
    let newest: BTreeMap<&PartitionKey, &RunId> = landed
        .iter()
        .filter_map(|partition| Some((&partition.key, partition.sealed().next_back()?)))
        .collect();
    for entry in state.find(&keys).await?.into_iter().flatten() {
        let Entry { key, record } = entry;
        let is_settled = newest.get(&key).is_none_or(|newest| record.is_settled(newest));
        if is_settled && !record.authoritative_run().is_some_and(|run| sink.is_future(run)) {
            settled.insert(key);
        }
    }
    if !settled.is_empty() {
        let settled_keys: Vec<PartitionKey> = settled.iter().cloned().collect();
        for key in state.with_restored(&settled_keys).await? {
            settled.remove(&key);
        }
    }
    let open: Vec<_> =
        landed.into_iter().filter(|partition| !settled.contains(&partition.key)).collect();
    let keys: Vec<PartitionKey> = open.iter().map(|partition| partition.key.clone()).collect();
    let histories = state.histories(&keys).await?;
    Ok(open.into_iter().zip(histories).collect())
}

/// Returns what to do with the sealed runs of a partition.
fn step(
    sink: &RawSink,
    key: &PartitionKey,
    history: &History,
    sealed: &[RunId],
) -> Vec<Comparison> {
    let due = DueRuns::of(key, history, sealed);
    let mut steps = Vec::new();
    let future = due.authority.as_ref().filter(|run| sink.is_future(run)).cloned();
    if let Some((holder, newest)) = future.zip(history.held_back(sealed).cloned()) {
        let blocked = Blocked { key: key.clone(), holder, newest };
        steps.push(Comparison::Emit(Ok(Found::Event(Event::Blocked(Box::new(blocked))))));
    }
    if !due.runs.is_empty() {
        steps.push(Comparison::Validate(due));
    }
    steps
}

/// Reports a partition whose record or log is malformed.
fn unread(key: &PartitionKey, run: &RunId, error: Error) -> Comparison {
    let error = error.at(Place::of_partition(key));
    Comparison::Emit(Ok(judged(key, run.clone(), Err(error))))
}

impl DueRuns {
    fn of(key: &PartitionKey, history: &History, sealed: &[RunId]) -> Self {
        Self {
            key: key.clone(),
            runs: history.due(sealed).into_iter().cloned().collect(),
            authority: history.record().and_then(Record::authoritative_run).cloned(),
            has_log: history.has_log(),
        }
    }
}

/// Reads the runs of one partition after the other.
#[derive(Clone)]
struct Validator {
    sink: RawSink,
    rules: Rules,
}

impl Validator {
    async fn take(self, step: Comparison) -> Vec<Result<Found>> {
        match step {
            Comparison::Emit(found) => vec![found],
            Comparison::Validate(due) => {
                let task = Task::spawn(async move { self.partition(due).await });
                task.finish().await.unwrap_or_else(|error| vec![Err(error)])
            }
        }
    }

    async fn partition(&self, due: DueRuns) -> Vec<Result<Found>> {
        let mut found = Vec::new();
        for run in due.runs {
            let mut outcome = validate::judge(&self.sink, &due.key, &run, self.rules).await;
            // A failure that takes authority needs a second reading.
            let is_failure = outcome.as_ref().is_ok_and(|judgement| !judgement.passed());
            if is_failure && due.authority.as_ref() == Some(&run) {
                outcome = validate::judge(&self.sink, &due.key, &run, self.rules).await;
            }
            // Without a log, a verdict on a newer run would hide that this one has none.
            let is_last = outcome.is_err() && !due.has_log;
            found.push(Ok(judged(&due.key, run, outcome)));
            if is_last {
                break;
            }
        }
        found
    }
}

/// Returns the verdict on a run, or why there is none.
fn judged(key: &PartitionKey, run: RunId, outcome: Result<Judgement>) -> Found {
    let key = key.clone();
    let judgement = match outcome {
        Ok(judgement) => judgement,
        Err(error) => return Found::Event(validated(key, run, Err(error))),
    };
    Found::Reached(Box::new(Reached {
        key: key.clone(),
        verdict: judgement.verdict.clone(),
        change: Change::VerdictIfDue,
        report: Box::new(move |recorded| {
            let outcome = match recorded {
                Recorded::Now(record, holder) => Ok(judgement.recorded(record, holder)),
                Recorded::Failed(error) => Err(error),
                Recorded::Unchanged | Recorded::Abandoned => return None,
            };
            Some(validated(key, run, outcome))
        }),
    }))
}

fn validated(key: PartitionKey, run: RunId, outcome: Result<Validation>) -> Event {
    Event::Validated(Box::new(ValidatedRun { key, run, outcome }))
}
