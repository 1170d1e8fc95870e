//! Copies many runs in parallel.

use std::{future::Future, num::NonZeroUsize};

use futures_util::stream::{BoxStream, StreamExt};

use super::{CopyOutcome, Progress, compare_run};
use crate::bulk::{self, Task};
use rawsink::{
    error::{Error, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
    sink::{RawSink, Run},
};

/// The result of one of many runs.
#[derive(Debug)]
pub struct Copied {
    /// The run, as the source listed it.
    pub run: Run,
    /// Its result.
    pub outcome: Result<CopyOutcome>,
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
) -> BoxStream<'static, Result<Copied>> {
    let (from, to) = (from.clone(), to.clone());
    let is_wanted = progress.clone();
    let runs = runs.take_while(move |_| std::future::ready(is_wanted(0).is_continue()));
    all(runs.boxed(), jobs, move |key, run| {
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
) -> BoxStream<'static, Result<Copied>> {
    let (from, to) = (from.clone(), to.clone());
    all(runs, jobs, move |key, run| {
        let (from, to) = (from.clone(), to.clone());
        async move { compare_run(&from, &to, &key, &run).await }
    })
}

fn all<F>(
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    work: impl Fn(PartitionKey, RunId) -> F + Send + 'static,
) -> BoxStream<'static, Result<Copied>>
where
    F: Future<Output = Result<CopyOutcome>> + Send + 'static,
{
    let step = move |run: Result<Run>| {
        let working = run.map(|run| {
            let task = Task::spawn(work(run.key.clone(), run.run_id.clone()));
            (run, task)
        });
        async move { vec![finish(working).await] }
    };
    bulk::work(runs, jobs, step, |done| Some(done.outcome.as_ref().map(drop).map_err(Error::kind)))
}

async fn finish(working: Result<(Run, Task<Result<CopyOutcome>>)>) -> Result<Copied> {
    let (run, task) = working?;
    let outcome = task.finish().await.flatten();
    let outcome = outcome.map_err(|error| error.at(Place::of_run(&run.key, &run.run_id)));
    Ok(Copied { run, outcome })
}
