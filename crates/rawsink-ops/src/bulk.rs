//! Works on many runs in parallel, and stops in an outage or when the caller says so.
//!
//! Owns when failures of runs count as an outage. Must not know what is done with a run.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    StreamExt,
    future::{self, Future},
    stream::{self, BoxStream},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use rawsink::error::{Error, ErrorKind, Result};

/// Number of consecutive failures after which no run is started: assume an outage and stop.
const MAX_FAILURES_IN_A_ROW: usize = 20;

/// Ends the work early, from another task. Clones share the decision.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Starts no more runs and aborts those being read. Verdicts that were reached are still recorded and
    /// reported; then the stream ends.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Returns whether the work ends early.
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for `work`, which is dropped when the caller stops.
    pub(crate) async fn interrupt(&self, work: impl Future<Output = ()>) {
        self.0.run_until_cancelled(work).await;
    }
}

/// The order of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    /// The order of the items.
    Items,
}

/// Works on items, up to `jobs` in parallel, and streams the events.
///
/// `outcome` returns the result of a run if the event is one. After 20 consecutive failures no other
/// run is started, those in progress are finished, and the stream ends with an error.
pub(crate) fn work<I, E, F>(
    items: BoxStream<'static, I>,
    (jobs, order): (NonZeroUsize, Order),
    step: impl Fn(I) -> F + Send + 'static,
    outcome: impl Fn(&E) -> Option<Result<(), ErrorKind>> + Send + 'static,
) -> BoxStream<'static, Result<E>>
where
    I: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Vec<Result<E>>> + Send + 'static,
{
    let streak = Streak::default();
    let steps = streak.guard(items).map(step);
    let done = match order {
        Order::Any => steps.buffer_unordered(jobs.get()).boxed(),
        Order::Items => steps.buffered(jobs.get()).boxed(),
    };
    streak.watch(done, outcome)
}

/// The failures in a row, shared by the start and the end of the work.
#[derive(Debug, Clone, Default)]
struct Streak(Arc<Mutex<FailureStreak>>);

impl Streak {
    /// Ends the items in an outage.
    fn guard<I: Send + 'static>(&self, items: BoxStream<'static, I>) -> BoxStream<'static, I> {
        let streak = self.clone();
        items.take_while(move |_| future::ready(!streak.locked().is_outage())).boxed()
    }

    /// Flattens the events, counts their results, and adds the error of an outage at the end.
    fn watch<E: Send + 'static>(
        self,
        events: BoxStream<'static, Vec<Result<E>>>,
        outcome: impl Fn(&E) -> Option<Result<(), ErrorKind>> + Send + 'static,
    ) -> BoxStream<'static, Result<E>> {
        let end = self.clone();
        events
            .flat_map(stream::iter)
            .inspect(move |event| {
                if let Some(outcome) = event.as_ref().ok().and_then(&outcome) {
                    self.locked().add(outcome);
                }
            })
            .chain(
                stream::once(async move { end.locked().error().map(Err) })
                    .filter_map(future::ready),
            )
            .boxed()
    }

    fn locked(&self) -> MutexGuard<'_, FailureStreak> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of failures since the last run that did not fail.
#[derive(Debug, Default)]
struct FailureStreak {
    failures: usize,
    last: Option<ErrorKind>,
}

impl FailureStreak {
    fn is_outage(&self) -> bool {
        self.failures >= MAX_FAILURES_IN_A_ROW
    }

    /// Counts the result of a run. An outage is final.
    fn add(&mut self, outcome: Result<(), ErrorKind>) {
        match outcome {
            _ if self.is_outage() => {}
            // Stopped by the caller.
            Err(ErrorKind::Closed) => {}
            Err(kind) if !is_limited_to_run(kind) => {
                self.failures += 1;
                self.last = Some(kind);
            }
            _ => *self = Self::default(),
        }
    }

    fn error(&self) -> Option<Error> {
        let kind = self.last.filter(|_| self.is_outage())?;
        let message = format!(
            "stopped after errors in {MAX_FAILURES_IN_A_ROW} consecutive runs; rerun to resume"
        );
        Some(Error::new(kind, message))
    }
}

/// Returns whether the error concerns one run, not the store or the state as a whole.
pub(crate) fn is_limited_to_run(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotSealed
            | ErrorKind::AlreadySealed
            | ErrorKind::Conflict
            | ErrorKind::Corrupt
            // A row that is too long; a seal of newer software.
            | ErrorKind::Invalid
            | ErrorKind::Unsupported
    )
}

/// A task of the tokio runtime, aborted when dropped.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    pub(crate) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits for the task; `Internal` if it panicked or was aborted.
    pub(crate) async fn finish(mut self) -> Result<T> {
        (&mut self.0).await.map_err(|cause| Error::new(ErrorKind::Internal, cause.to_string()))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
