//! The work on many runs: its progress on a terminal, and its end by a signal.

use std::{
    future,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::{StreamExt, stream::BoxStream};
use rawsink_ops::copy::{self, Processed};

use super::Args;
pub(super) use crate::signals::RESUMABLE as INTERRUPTED;
use crate::{
    context::Context,
    exit::Failure,
    output,
    progress::{Progress, Steps},
    signals::Signals,
};

/// How the first signal stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    /// The command ends: nothing was written.
    AtOnce,
    /// No further run is started, and those in progress are aborted.
    Cleanly,
}

/// Work on many runs.
pub(super) struct Work {
    stop: Arc<AtomicBool>,
    bar: Arc<Progress>,
    finished: Arc<AtomicU64>,
}

impl Work {
    /// Counts the selected runs if a terminal shows the time left.
    pub(super) async fn new(
        verb: &'static str,
        args: &Args,
        context: &Context<'_>,
    ) -> Result<Self, Failure> {
        let mut total = 0;
        if output::stderr_is_terminal() {
            let steps = Steps::new(verb);
            steps.show("counting the runs");
            let runs = super::selected(args, context, Arc::default())?;
            total = runs.filter(|run| future::ready(run.is_ok())).count().await;
        }
        let bar = Arc::new(Progress::of_known_runs(verb, total as u64, None));
        Ok(Self { stop: Arc::default(), bar, finished: Arc::default() })
    }

    /// Returns the callback that counts bytes and stops the work after a signal.
    pub(super) fn progress(&self) -> copy::Progress {
        let (stop, bar, finished) = (self.stop.clone(), self.bar.clone(), self.finished.clone());
        let bytes = AtomicU64::new(0);
        Arc::new(move |more| {
            let bytes = bytes.fetch_add(more, Ordering::Relaxed) + more;
            bar.set(finished.load(Ordering::Relaxed), bytes);
            let stopped = stop.load(Ordering::Relaxed);
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// Passes every result to `print` until the work ends; returns the signal that stopped it.
    pub(super) async fn follow<T>(
        self,
        mut done: BoxStream<'static, rawsink::Result<Processed<T>>>,
        stopping: Stopping,
        mut print: impl FnMut(rawsink::Result<Processed<T>>) -> Result<(), Failure>,
    ) -> Result<Option<i32>, Failure> {
        let mut signals = Signals::new(INTERRUPTED)?;
        let mut stopped_by = None;
        loop {
            let next = tokio::select! {
                next = done.next() => next,
                number = signals.next() => {
                    if stopped_by.is_some() || stopping == Stopping::AtOnce {
                        return Err(Failure::signal(number, INTERRUPTED));
                    }
                    output::note("stopping: aborting the current copies; a second signal stops immediately");
                    self.stop.store(true, Ordering::Relaxed);
                    stopped_by = Some(number);
                    continue;
                }
            };
            let Some(next) = next else { return Ok(stopped_by) };
            if next.is_ok() {
                self.finished.fetch_add(1, Ordering::Relaxed);
            }
            print(next)?;
        }
    }
}
