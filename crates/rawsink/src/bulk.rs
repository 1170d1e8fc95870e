//! Work on many runs: some at a time, and no longer than it makes sense.
//!
//! Owns when it is not the runs that are broken. Must not know what is done with a run.

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

use crate::error::{Error, ErrorKind, Result};

/// After so many runs in a row that failed no other is begun: it is not they that are broken.
const MAX_FAILURES_IN_A_ROW: usize = 20;

/// Works on items, up to `jobs` at a time, and tells what happens in any order.
///
/// `outcome` finds what became of a run among the events. Where 20 runs in a row failed no other is
/// begun, those under way are finished, and an error of the stream's own says so.
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
    let row = Arc::new(Mutex::new(Row::default()));
    let (begun, seen, end) = (row.clone(), row.clone(), row);
    items
        .take_while(move |_| future::ready(!locked(&begun).is_outage()))
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

/// Failures since a run that did not fail.
#[derive(Debug, Default)]
struct Row {
    failures: usize,
    last: Option<ErrorKind>,
}

impl Row {
    fn is_outage(&self) -> bool {
        self.failures >= MAX_FAILURES_IN_A_ROW
    }

    /// Counts an outcome; after an outage nothing makes good.
    fn add(&mut self, outcome: Result<(), ErrorKind>) {
        match outcome {
            _ if self.is_outage() => {}
            // Ended by the caller.
            Err(ErrorKind::Closed) => {}
            Err(kind) if !is_of_one_run(kind) => {
                self.failures += 1;
                self.last = Some(kind);
            }
            _ => *self = Self::default(),
        }
    }

    fn error(&self) -> Option<Error> {
        let kind = self.last.filter(|_| self.is_outage())?;
        let message = format!("{MAX_FAILURES_IN_A_ROW} runs in a row failed; the others were left");
        Some(Error::new(kind, message))
    }
}

fn locked(row: &Mutex<Row>) -> std::sync::MutexGuard<'_, Row> {
    row.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells whether the store answered, and something about this run is in the way.
fn is_of_one_run(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotSealed
            | ErrorKind::AlreadySealed
            | ErrorKind::Conflict
            | ErrorKind::Corrupt
    )
}

/// A task of the tokio runtime that ends when nobody waits for it any more.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    pub(crate) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits for the task; `Internal` where it broke off.
    pub(crate) async fn finish(mut self) -> Result<T> {
        (&mut self.0).await.map_err(|cause| Error::new(ErrorKind::Internal, cause.to_string()))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
