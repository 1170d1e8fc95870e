//! Streams the landed partitions of a selection: logical partitions with all their runs.

use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};

use super::{RawSink, Run};
use crate::{
    error::Result,
    layout::Place,
    partition::{PartitionKey, RunId, Selection},
};

/// A logical partition with at least one run, sealed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedPartition {
    /// The logical partition.
    pub key: PartitionKey,
    /// All its runs, sorted by run id byte by byte. Never empty.
    pub runs: Vec<Run>,
}

impl LandedPartition {
    /// Returns the sealed runs, oldest first.
    pub fn sealed(&self) -> impl DoubleEndedIterator<Item = &RunId> {
        self.runs.iter().filter(|run| run.sealed).map(|run| &run.run_id)
    }
}

impl RawSink {
    /// Streams every logical partition of a selection that has a run, each once and complete.
    ///
    /// Sorted by canonical path, so the days of one customer's query follow each other. This is one
    /// recursive listing of the innermost place that holds the selection. Object storage needs one
    /// request for every 1,000 objects. Memory holds the runs of one partition and one page. An
    /// error ends the stream and drops the unfinished partition; the partitions before it are
    /// complete.
    pub fn landed(&self, selection: &Selection) -> BoxStream<'static, Result<LandedPartition>> {
        let wanted = selection.clone();
        let runs = self.runs_below(&Place::enclosing(selection));
        let runs = runs
            .filter(move |run| ready(run.as_ref().map_or(true, |run| wanted.contains(&run.key))));
        let partitions =
            stream::unfold(Some((runs, None::<LandedPartition>)), |state| async move {
                let (mut runs, mut open) = state?;
                loop {
                    match runs.next().await {
                        Some(Ok(run)) => match &mut open {
                            Some(partition) if partition.key == run.key => partition.runs.push(run),
                            _ => {
                                let next =
                                    LandedPartition { key: run.key.clone(), runs: vec![run] };
                                if let Some(whole) = open.replace(next) {
                                    return Some((Ok(whole), Some((runs, open))));
                                }
                            }
                        },
                        Some(Err(error)) => return Some((Err(error), None)),
                        None => return open.map(|whole| (Ok(whole), None)),
                    }
                }
            });
        let sorted = partitions.map(|partition| {
            partition.map(|mut partition| {
                // Paths sort differently if one run id starts with another.
                partition.runs.sort_unstable_by(|one, other| one.run_id.cmp(&other.run_id));
                partition
            })
        });
        sorted.boxed()
    }
}
