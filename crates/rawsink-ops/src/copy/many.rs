//! Copies, compares or repairs many runs in parallel.

use std::{
    future::{self, Future},
    num::NonZeroUsize,
    sync::Arc,
};

use futures_util::stream::{BoxStream, StreamExt};

use super::{CopyOutcome, Progress, RepairOutcome, compare_run, plan_repair, repair_run};
use crate::bulk::{self, Order, Task};
use rawsink::{
    error::{Error, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
    sink::{RawSink, Run},
    state::PartitionState,
};

/// The result of one of many runs.
#[derive(Debug)]
pub struct Processed<T> {
    /// The run, as the source listed it.
    pub run: Run,
    /// Its result.
    pub outcome: Result<T>,
}

/// Copies up to `jobs` runs in parallel, each in its own task. Results come in any order.
///
/// Continues after an error of one run. After 20 consecutive failures that are not specific to a run,
/// the stream starts no other run and ends with an error. Memory is that of `jobs` readers and
/// writers. When `progress` stops, no other run is started and those in progress end with `Closed`.
/// Dropping the stream drops the copies, as dropping a writer does.
pub fn runs(
    from: &RawSink,
    to: &RawSink,
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    progress: Progress,
) -> BoxStream<'static, Result<Processed<CopyOutcome>>> {
    let (from, to) = (from.clone(), to.clone());
    all(until_stopped(runs, &progress), jobs, move |key, run| {
        let (from, to, progress) = (from.clone(), to.clone(), progress.clone());
        async move { super::run(&from, &to, &key, &run, &progress).await }
    })
}

/// Compares runs as [`runs()`] does, and changes nothing.
pub fn compare_runs(
    from: &RawSink,
    to: &RawSink,
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
) -> BoxStream<'static, Result<Processed<CopyOutcome>>> {
    let (from, to) = (from.clone(), to.clone());
    all(runs, jobs, move |key, run| {
        let (from, to) = (from.clone(), to.clone());
        async move { compare_run(&from, &to, &key, &run).await }
    })
}

/// Repairs damaged runs of the destination, with the parallelism and the errors of [`runs()`].
pub fn repair_runs(
    from: &RawSink,
    to: &RawSink,
    state: &Arc<dyn PartitionState>,
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    progress: Progress,
) -> BoxStream<'static, Result<Processed<RepairOutcome>>> {
    let (from, to, state) = (from.clone(), to.clone(), state.clone());
    all(until_stopped(runs, &progress), jobs, move |key, run| {
        let (from, to, state, progress) =
            (from.clone(), to.clone(), state.clone(), progress.clone());
        async move { repair_run(&from, &to, &*state, &key, &run, &progress).await }
    })
}

/// Examines runs of the destination as [`repair_runs`] does, and changes nothing.
pub fn plan_repairs(
    from: &RawSink,
    to: &RawSink,
    state: &Arc<dyn PartitionState>,
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    progress: Progress,
) -> BoxStream<'static, Result<Processed<RepairOutcome>>> {
    let (from, to, state) = (from.clone(), to.clone(), state.clone());
    all(until_stopped(runs, &progress), jobs, move |key, run| {
        let (from, to, state, progress) =
            (from.clone(), to.clone(), state.clone(), progress.clone());
        async move { plan_repair(&from, &to, &*state, &key, &run, &progress).await }
    })
}

/// Ends the runs when `progress` stops.
fn until_stopped(
    runs: BoxStream<'static, Result<Run>>,
    progress: &Progress,
) -> BoxStream<'static, Result<Run>> {
    let progress = progress.clone();
    runs.take_while(move |_| future::ready(progress(0).is_continue())).boxed()
}

fn all<T, F>(
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    work: impl Fn(PartitionKey, RunId) -> F + Send + 'static,
) -> BoxStream<'static, Result<Processed<T>>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let step = move |run: Result<Run>| {
        let working = run.map(|run| {
            let task = Task::spawn(work(run.key.clone(), run.run_id.clone()));
            (run, task)
        });
        async move { vec![finish(working).await] }
    };
    let outcome = |done: &Processed<T>| Some(done.outcome.as_ref().map(drop).map_err(Error::kind));
    bulk::work(runs, (jobs, Order::Any), step, outcome)
}

async fn finish<T: Send + 'static>(
    working: Result<(Run, Task<Result<T>>)>,
) -> Result<Processed<T>> {
    let (run, task) = working?;
    let outcome = task.finish().await.flatten();
    let outcome = outcome.map_err(|error| error.at(Place::of_run(&run.key, &run.run_id)));
    Ok(Processed { run, outcome })
}
