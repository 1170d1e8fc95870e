//! Records verdicts in batches, and reports each after it is recorded.
//!
//! Owns how many verdicts share a transaction, and what happens if it fails. Must not know why a run was
//! judged.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use crate::bulk::{Stop, Task};
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::PartitionKey,
    sink::RawSink,
    state::{Change, Outcome, PartitionState, Record, Verdict},
    validate::{Holder, holder},
};

/// Number of verdicts that may wait for the next batch.
const MAX_WAITING: usize = 500;

/// Maximum number of verdicts in one transaction.
const MAX_BATCH: usize = 500;

/// Time after which a smaller batch is recorded.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Number of consecutive errors after which the verdicts of a batch are no longer recorded one by one.
const MAX_ERRORS: usize = 3;

/// What the readers found.
pub(crate) enum Found<E> {
    /// An event that needs no record.
    Event(E),
    /// A verdict, which becomes an event when it is recorded.
    Reached(Box<Reached<E>>),
}

/// A verdict that is not recorded yet.
pub(crate) struct Reached<E> {
    pub(crate) key: PartitionKey,
    pub(crate) verdict: Verdict,
    /// Returns the change that records the verdict.
    pub(crate) change: fn(Verdict) -> Change,
    /// Returns the event, if there is one.
    pub(crate) report: Box<dyn FnOnce(Recorded) -> Option<E> + Send>,
}

/// What became of a verdict.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// It is recorded; the record after it, and which run has authority.
    Now(Record, Holder),
    /// The state did not change: the run is no longer due, or is withdrawn.
    Unchanged,
    /// It is not recorded, except perhaps for `Unknown`.
    Failed(Error),
    /// The work ended because of an earlier verdict; this one is not recorded, or may be.
    Abandoned,
}

/// Records what `finding` yields until it ends or the caller stops, and streams the events.
///
/// `finding` runs in its own task, which is aborted with the stream. Errors come last: the first one is
/// the last item.
pub(crate) fn record_found<E: Send + 'static>(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    finding: BoxStream<'static, Result<Found<E>>>,
    stop: Stop,
) -> BoxStream<'static, Result<E>> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let task = Task::spawn(async move {
        let forwarding = async {
            let mut finding = finding;
            while let Some(found) = finding.next().await {
                if sender.send(found).await.is_err() {
                    break;
                }
            }
        };
        stop.interrupt(forwarding).await;
    });
    let recorder = Recorder { sink: sink.clone(), state: state.clone() };
    record_in_batches(recorder, receiver, task)
}

/// Records what arrives, and streams the events. `task` sends to the channel.
fn record_in_batches<E: Send + 'static>(
    recorder: Recorder,
    receiver: mpsc::Receiver<Result<Found<E>>>,
    task: Task<()>,
) -> BoxStream<'static, Result<E>> {
    let arriving =
        stream::unfold(
            receiver,
            |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
        );
    let batches = tokio_stream::StreamExt::chunks_timeout(arriving, MAX_BATCH, MAX_WAIT);
    let batches = Box::pin(batches);
    let batches = stream::unfold(Some((recorder, batches, task)), |open| async move {
        let (recorder, mut batches, task) = open?;
        let Some(batch) = batches.next().await else {
            // A panic is an error.
            let error =
                task.finish().await.err().filter(|error| error.kind() == ErrorKind::Internal);
            return error.map(|error| (vec![Err(error)], None));
        };
        let (events, is_over) = recorder.record(batch).await;
        Some((events, (!is_over).then_some((recorder, batches, task))))
    });
    // The last item is an error of the whole call.
    let mut end = None;
    batches
        .flat_map(stream::iter)
        .map(Some)
        .chain(stream::once(future::ready(None)))
        .filter_map(move |event| {
            future::ready(match event {
                Some(Err(error)) => {
                    end.get_or_insert(error);
                    None
                }
                Some(Ok(event)) => Some(Ok(event)),
                None => end.take().map(Err),
            })
        })
        .boxed()
}

struct Recorder {
    sink: RawSink,
    state: Arc<dyn PartitionState>,
}

impl Recorder {
    /// Records the verdicts of a batch, and returns the events and whether the work is over.
    async fn record<E>(&self, batch: Vec<Result<Found<E>>>) -> (Vec<Result<E>>, bool) {
        let (mut events, mut reached) = (Vec::new(), VecDeque::new());
        for found in batch {
            match found {
                Ok(Found::Event(event)) => events.push(Ok(event)),
                Ok(Found::Reached(next)) => reached.push_back(*next),
                Err(error) => events.push(Err(error)),
            }
        }
        if reached.is_empty() {
            return (events, false);
        }
        let is_over = self.record_reached(reached, &mut events).await;
        (events, is_over)
    }

    /// Records verdicts in one transaction or, if that fails, one by one.
    async fn record_reached<E>(
        &self,
        mut reached: VecDeque<Reached<E>>,
        events: &mut Vec<Result<E>>,
    ) -> bool {
        self.make_durable(&mut reached, events).await;
        let changes: Vec<_> = reached.iter().map(Reached::change).collect();
        match self.state.change_many(&changes, self.sink.runtime().clock.now()).await {
            Ok(outcomes) => {
                for (reached, outcome) in reached.into_iter().zip(outcomes) {
                    events.extend(self.event(reached, outcome).await);
                }
                return false;
            }
            Err(error) if error.kind() == ErrorKind::Unknown => {
                let end = ended(&error, reached.len());
                abandon(reached, end, events);
                return true;
            }
            Err(_) => {}
        }
        let mut errors = 0;
        while let Some(next) = reached.pop_front() {
            let (key, change) = next.change();
            let now = self.sink.runtime().clock.now();
            let outcome = self.state.change(&key, &change, now).await;
            match &outcome {
                // Every other error is about the database, not about one record.
                Err(error) if error.kind() != ErrorKind::Corrupt => errors += 1,
                _ => errors = 0,
            }
            let end = match &outcome {
                Err(error) if errors >= MAX_ERRORS => Some(ended(error, reached.len())),
                _ => None,
            };
            events.extend(self.event(next, outcome).await);
            if let Some(end) = end {
                abandon(reached, end, events);
                return true;
            }
        }
        false
    }

    /// Makes the runs that passed durable: authority requires that they survive a power failure. A run
    /// for which that fails gets no verdict.
    async fn make_durable<E>(
        &self,
        reached: &mut VecDeque<Reached<E>>,
        events: &mut Vec<Result<E>>,
    ) {
        let passed = reached.iter().filter(|reached| reached.passed());
        let runs: Vec<_> =
            passed.map(|reached| (reached.key.clone(), reached.verdict.run_id.clone())).collect();
        if runs.is_empty() || self.sink.sync_many(&runs).await.is_ok() {
            return;
        }
        let mut durable = VecDeque::new();
        for reached in std::mem::take(reached) {
            let synced = if reached.passed() {
                self.sink.sync(&reached.key, &reached.verdict.run_id).await
            } else {
                Ok(())
            };
            match synced {
                Ok(()) => durable.push_back(reached),
                Err(error) => events.extend(self.event(reached, Err(error)).await),
            }
        }
        *reached = durable;
    }

    /// Returns the event after an attempt to record, if there is one.
    async fn event<E>(
        &self,
        reached: Reached<E>,
        outcome: Result<Option<Record>>,
    ) -> Option<Result<E>> {
        let Reached { key, verdict, report, .. } = reached;
        let recorded = match outcome {
            Ok(Some(record)) => {
                let holder = holder(&self.sink, &*self.state, &key, &verdict, &record).await;
                Recorded::Now(record, holder)
            }
            Ok(None) => Recorded::Unchanged,
            Err(error) => Recorded::Failed(error.at(Place::of_run(&key, &verdict.run_id))),
        };
        report(recorded).map(Ok)
    }
}

impl<E> Reached<E> {
    fn passed(&self) -> bool {
        matches!(self.verdict.outcome, Outcome::Passed { .. })
    }

    fn change(&self) -> (PartitionKey, Change) {
        (self.key.clone(), (self.change)(self.verdict.clone()))
    }

    /// Returns the event if the work ends before an attempt to record.
    fn abandoned(self) -> Option<Result<E>> {
        (self.report)(Recorded::Abandoned).map(Ok)
    }
}

/// Ends the work with an error before these verdicts are recorded.
fn abandon<E>(reached: VecDeque<Reached<E>>, end: Error, events: &mut Vec<Result<E>>) {
    events.extend(reached.into_iter().filter_map(Reached::abandoned));
    events.push(Err(end));
}

/// Returns the error that ends the work because the state cannot be changed.
fn ended(cause: &Error, lost: usize) -> Error {
    let may_be = if cause.kind() == ErrorKind::Unknown { "may not be" } else { "were not" };
    let message = format!(
        "stopped because the state cannot be changed; {lost} more verdicts {may_be} recorded; rerun to \
         resume: {}",
        cause.message()
    );
    let error = Error::new(cause.kind(), message);
    match cause.path() {
        Some(path) => error.on_path(path),
        None => error,
    }
}
