//! Works on many runs in parallel, and stops in an outage.
//!
//! Owns when failures of runs count as an outage. Must not know what is done with a run.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    StreamExt,
    future::{self, Future},
    stream::{self, BoxStream},
};
use tokio::task::JoinHandle;

use rawsink::error::{Error, ErrorKind, Result};

/// Number of consecutive failures after which no run is started: assume an outage and stop.
const MAX_FAILURES_IN_A_ROW: usize = 20;

/// Works on items, up to `jobs` in parallel, and streams the events in any order.
///
/// `outcome` returns the result of a run if the event is one. After 20 consecutive failures no other
/// run is started, those in progress are finished, and the stream ends with an error.
pub(crate) fn work<I, E, F>(
    items: BoxStream<'static, I>,
    jobs: NonZeroUsize,
    step: impl Fn(I) -> F + Send + 'static,
    outcome: impl Fn(&E) -> Option<Result<(), ErrorKind>> + Send + 'static,
) -> BoxStream<'static, Result<E>>
where
    I: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Vec<Result<E>>> + Send + 'static,
{
    let streak = Arc::new(Mutex::new(FailureStreak::default()));
    let (started, seen, end) = (streak.clone(), streak.clone(), streak);
    items
        .take_while(move |_| future::ready(!locked(&started).is_outage()))
        .map(step)
        .buffer_unordered(jobs.get())
        .flat_map(stream::iter)
        .inspect(move |event| {
            if let Some(outcome) = event.as_ref().ok().and_then(&outcome) {
                locked(&seen).add(outcome);
            }
        })
        .chain(stream::once(async move { locked(&end).error().map(Err) }).filter_map(future::ready))
        .boxed()
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

fn locked(streak: &Mutex<FailureStreak>) -> std::sync::MutexGuard<'_, FailureStreak> {
    streak.lock().unwrap_or_else(PoisonError::into_inner)
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
