//! Records verdicts in batches, and reports each after it is recorded.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use super::{Event, JudgedRun, ValidatedRun};
use crate::bulk::{Task, is_limited_to_run};
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
    sink::RawSink,
    state::{Change, PartitionState, Record},
    validate::Judgement,
};

/// Maximum number of verdicts in one transaction.
const MAX_BATCH: usize = 500;

/// Time after which a smaller batch is recorded.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Number of consecutive errors after which the verdicts of a batch are no longer recorded one by one.
const MAX_ERRORS: usize = 3;

/// What the readers found.
#[derive(Debug)]
pub(super) enum Found {
    /// This many more logical partitions were compared with the state.
    Compared(usize),
    /// A run was read, or could not be.
    Judged(Box<JudgedRun>),
}

/// A verdict that is not recorded yet.
struct Reached {
    key: PartitionKey,
    run: RunId,
    judgement: Judgement,
}

/// Records what arrives, and streams the events. `task` sends to the channel, and is aborted with the
/// stream.
pub(super) fn record_in_batches(
    sink: RawSink,
    state: Arc<dyn PartitionState>,
    receiver: mpsc::Receiver<Result<Found>>,
    task: Task<()>,
) -> BoxStream<'static, Result<Event>> {
    let arriving =
        stream::unfold(
            receiver,
            |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
        );
    let batches = tokio_stream::StreamExt::chunks_timeout(arriving, MAX_BATCH, MAX_WAIT);
    let batches = Box::pin(batches);
    let recorder = Recorder { sink, state };
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
    async fn record(&self, batch: Vec<Result<Found>>) -> (Vec<Result<Event>>, bool) {
        let (mut events, mut reached) = (Vec::new(), VecDeque::new());
        for found in batch {
            match found {
                Ok(Found::Compared(count)) => events.push(Ok(Event::Compared(count))),
                Ok(Found::Judged(judged)) => {
                    let JudgedRun { key, run, outcome } = *judged;
                    match outcome {
                        Ok(judgement) => reached.push_back(Reached { key, run, judgement }),
                        Err(error) => events.push(Ok(validated(key, run, Err(error)))),
                    }
                }
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
    async fn record_reached(
        &self,
        mut reached: VecDeque<Reached>,
        events: &mut Vec<Result<Event>>,
    ) -> bool {
        self.make_durable(&mut reached, events).await;
        let changes: Vec<_> = reached.iter().map(Reached::change).collect();
        match self.state.change_many(&changes, self.sink.runtime().clock.now()).await {
            Ok(outcomes) => {
                for (reached, outcome) in reached.into_iter().zip(outcomes) {
                    events.extend(reached.event(outcome));
                }
                return false;
            }
            Err(error) if error.kind() == ErrorKind::Unknown => {
                events.push(Err(ended(&error, reached.len())));
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
                Err(error) if !is_limited_to_run(error.kind()) => errors += 1,
                _ => errors = 0,
            }
            let end = match &outcome {
                Err(error) if errors >= MAX_ERRORS => Some(ended(error, reached.len())),
                _ => None,
            };
            events.extend(next.event(outcome));
            if let Some(end) = end {
                events.push(Err(end));
                return true;
            }
        }
        false
    }

    /// Makes the runs that passed durable: authority requires that they survive a power failure. A run
    /// for which that fails gets no verdict.
    async fn make_durable(&self, reached: &mut VecDeque<Reached>, events: &mut Vec<Result<Event>>) {
        let passed = reached.iter().filter(|reached| reached.judgement.passed());
        let runs: Vec<_> =
            passed.map(|reached| (reached.key.clone(), reached.run.clone())).collect();
        if self.sink.sync_many(&runs).await.is_ok() {
            return;
        }
        let mut durable = VecDeque::new();
        for reached in std::mem::take(reached) {
            let synced = if reached.judgement.passed() {
                self.sink.sync(&reached.key, &reached.run).await
            } else {
                Ok(())
            };
            match synced {
                Ok(()) => durable.push_back(reached),
                Err(error) => events.extend(reached.event(Err(error))),
            }
        }
        *reached = durable;
    }
}

impl Reached {
    fn change(&self) -> (PartitionKey, Change) {
        (self.key.clone(), Change::VerdictIfDue(self.judgement.verdict.clone()))
    }

    /// Returns the event after an attempt to record; `None` if the run was no longer due.
    fn event(self, outcome: Result<Option<Record>>) -> Option<Result<Event>> {
        let Self { key, run, judgement } = self;
        let outcome = match outcome {
            Ok(record) => Ok(judgement.recorded(record?)),
            Err(error) => Err(error.at(Place::of_run(&key, &run))),
        };
        Some(Ok(validated(key, run, outcome)))
    }
}

fn validated(
    key: PartitionKey,
    run: RunId,
    outcome: Result<rawsink::validate::Validation>,
) -> Event {
    Event::Validated(Box::new(ValidatedRun { key, run, outcome }))
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
