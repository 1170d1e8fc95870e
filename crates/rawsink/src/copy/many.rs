//! Copying many runs, some at a time.

use std::{future::Future, num::NonZeroUsize};

use futures_util::stream::{BoxStream, StreamExt};

use super::{Existing, Outcome, Progress, compare, copy};
use crate::{
    bulk::{self, Task},
    error::{Error, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    sink::{RawSink, Run},
};

/// What became of one run of many.
#[derive(Debug)]
pub struct Done {
    /// The run, as the source listed it.
    pub run: Run,
    /// What became of it.
    pub outcome: Result<Outcome>,
}

/// Copies runs, up to `jobs` at a time, each in a task of its own; they are done in any order.
///
/// Goes on after an error of one run; after 20 runs in a row where something else was broken no other
/// is begun, and an error of the stream's own says so. Memory is bounded: that of so many readers and
/// writers. Where `progress` says to stop, no run is begun any more and those under way end with
/// `Closed`. Dropping the stream drops them, as dropping a writer does.
pub fn copy_all(
    from: &RawSink,
    to: &RawSink,
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    existing: Existing,
    progress: Progress,
) -> BoxStream<'static, Result<Done>> {
    let (from, to) = (from.clone(), to.clone());
    let goes_on = progress.clone();
    let runs = runs.take_while(move |_| std::future::ready(goes_on(0).is_continue()));
    all(runs.boxed(), jobs, move |key, run| {
        let (from, to, progress) = (from.clone(), to.clone(), progress.clone());
        async move { copy(&from, &to, &key, &run, existing, &progress).await }
    })
}

/// Compares runs like [`copy_all`], and changes nothing.
pub fn compare_all(
    from: &RawSink,
    to: &RawSink,
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    existing: Existing,
) -> BoxStream<'static, Result<Done>> {
    let (from, to) = (from.clone(), to.clone());
    all(runs, jobs, move |key, run| {
        let (from, to) = (from.clone(), to.clone());
        async move { compare(&from, &to, &key, &run, existing).await }
    })
}

fn all<F>(
    runs: BoxStream<'static, Result<Run>>,
    jobs: NonZeroUsize,
    work: impl Fn(PartitionKey, RunId) -> F + Send + 'static,
) -> BoxStream<'static, Result<Done>>
where
    F: Future<Output = Result<Outcome>> + Send + 'static,
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

async fn finish(working: Result<(Run, Task<Result<Outcome>>)>) -> Result<Done> {
    let (run, task) = working?;
    let outcome = task.finish().await.flatten();
    let outcome = outcome.map_err(|error| error.at(Place::of_run(&run.key, &run.run_id)));
    Ok(Done { run, outcome })
}
