//! Validates all due runs, as a stream: compares storage and state.
//!
//! Partitions come from one listing. One query finds the records and logs of a thousand partitions, so
//! memory holds no more. Runs are read in parallel; verdicts are recorded in batches, each in one
//! transaction, and reported after that: everything that was recorded is reported, and nothing else.
//! Under its lock a verdict is dropped if its run is no longer due, so hosts that work at the same time
//! never record two verdicts on one run (G14).

mod recording;
mod shard;

use std::{num::NonZeroUsize, sync::Arc};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::recording::{Found, record_in_batches};
pub use self::shard::Shard;
use crate::bulk::{self, Task};
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId, Selection},
    sink::{LandedPartition, RawSink},
    state::{FIND_AT_ONCE, History, PartitionState, Record},
    validate::{self, Judgement, Rules, Validation},
};

/// Number of verdicts that may wait for the next batch.
const MAX_WAITING: usize = 500;

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

/// Ends the work early, from another task. Clones share the decision.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Starts no more runs and aborts those being read. Verdicts that were reached are still recorded and
    /// reported; then the stream ends.
    pub fn stop(&self) {
        self.0.cancel();
    }
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
    /// The verdict, or an error. After an error nothing was recorded, except perhaps for `Unknown`.
    pub outcome: Result<Validation>,
}

/// Validates every due run ([`History::due`]) of a selection, and records the verdicts.
///
/// A run that cannot be validated does not block the others; the next call tries it again. After an
/// error of the listing or the state, or 20 consecutive failures, no run is started, the runs being
/// read are finished, their verdicts are recorded and reported, and the error is the last item.
/// Dropping the stream aborts everything; a batch may be recorded and not reported. To end early and
/// lose nothing, use [`Work::stop`].
///
/// Must be called in a tokio runtime, whose tasks validate the runs.
pub fn all(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Result<Event>> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let stop = work.stop.0.clone();
    let finding = find_verdicts(sink, state, work);
    let task = Task::spawn(async move {
        let forwarding = async {
            let mut finding = finding;
            while let Some(found) = finding.next().await {
                if sender.send(found).await.is_err() {
                    break;
                }
            }
        };
        stop.run_until_cancelled(forwarding).await;
    });
    record_in_batches(sink.clone(), state.clone(), receiver, task)
}

/// Reads the due runs and streams their verdicts, in any order.
fn find_verdicts(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Result<Found>> {
    let Work { shard, rules, jobs, .. } = *work;
    let landed = sink.landed(&work.partitions);
    let landed = landed.filter(move |landed| {
        future::ready(landed.as_ref().map_or(true, |landed| shard.contains(&landed.key)))
    });
    let validator = Validator { sink: sink.clone(), rules };
    let finder = state.clone();
    let steps =
        landed
            .chunks(FIND_AT_ONCE)
            .then(move |batch| {
                // As a task: if nobody polled it, its read transaction would lock the recorder out.
                let task = Task::spawn(compare(finder.clone(), batch));
                async move {
                    task.finish().await.unwrap_or_else(|error| vec![Comparison::Emit(Err(error))])
                }
            })
            .flat_map(stream::iter);
    bulk::work(steps.boxed(), jobs, move |step| validator.clone().take(step), outcome)
}

fn outcome(found: &Found) -> Option<Result<(), ErrorKind>> {
    match found {
        Found::Compared(_) => None,
        Found::Judged(judged) => Some(judged.outcome.as_ref().map(drop).map_err(Error::kind)),
    }
}

/// A run that was read.
#[derive(Debug)]
struct JudgedRun {
    key: PartitionKey,
    run: RunId,
    outcome: Result<Judgement>,
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
    state: Arc<dyn PartitionState>,
    batch: Vec<Result<LandedPartition>>,
) -> Vec<Comparison> {
    let (mut landed, mut faults) = (Vec::with_capacity(batch.len()), Vec::new());
    for partition in batch {
        match partition {
            Ok(partition) => landed.push(partition),
            Err(error) => faults.push(error),
        }
    }
    let keys: Vec<PartitionKey> = landed.iter().map(|partition| partition.key.clone()).collect();
    let histories = match state.histories(&keys).await {
        Ok(histories) => histories,
        Err(error) => return vec![Comparison::Emit(Err(error))],
    };
    let mut steps = vec![Comparison::Emit(Ok(Found::Compared(keys.len())))];
    steps.extend(landed.iter().zip(histories).filter_map(|(partition, history)| {
        let sealed: Vec<RunId> = partition.sealed().cloned().collect();
        let newest = sealed.last()?;
        let history = match history {
            Ok(history) => history,
            Err(error) => return Some(unread(&partition.key, newest, error)),
        };
        let due = DueRuns::of(&partition.key, &history, &sealed);
        (!due.runs.is_empty()).then_some(Comparison::Validate(due))
    }));
    steps.extend(faults.into_iter().map(|error| Comparison::Emit(Err(error))));
    steps
}

/// Reports a partition whose record or log is malformed.
fn unread(key: &PartitionKey, run: &RunId, error: Error) -> Comparison {
    let outcome = Err(error.at(Place::of_partition(key)));
    let judged = JudgedRun { key: key.clone(), run: run.clone(), outcome };
    Comparison::Emit(Ok(Found::Judged(Box::new(judged))))
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
            let judged = JudgedRun { key: due.key.clone(), run, outcome };
            found.push(Ok(Found::Judged(Box::new(judged))));
            if is_last {
                break;
            }
        }
        found
    }
}
