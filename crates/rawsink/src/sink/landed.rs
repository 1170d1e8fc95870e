//! What has landed of a selection: logical partitions with all their runs, as a stream.

use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};

use super::{RawSink, Run};
use crate::{
    error::Result,
    key::{PartitionKey, RunId, Selection},
    layout::Place,
};

/// A logical partition that has at least one run, sealed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The logical partition.
    pub key: PartitionKey,
    /// All its runs, sorted by run id, byte by byte; never empty.
    pub runs: Vec<Run>,
}

impl Landed {
    /// Returns the sealed runs, oldest first.
    pub fn sealed(&self) -> impl DoubleEndedIterator<Item = &RunId> {
        self.runs.iter().filter(|run| run.sealed).map(|run| &run.run_id)
    }
}

impl RawSink {
    /// Streams every logical partition of a selection that has a run, each once and whole, sorted
    /// by canonical path, so that those of one customer's query follow each other by day.
    ///
    /// One recursive listing of the deepest place that holds the selection: object storage is asked
    /// once for each 1,000 objects there, whatever the number of partitions. Memory holds the runs
    /// of one partition and one page. An error ends the stream, and so does the partition that was
    /// being listed: what came before is complete.
    pub fn landed(&self, selection: &Selection) -> BoxStream<'static, Result<Landed>> {
        let wanted = selection.clone();
        let runs = self.runs_below(&Place::around(selection));
        let runs = runs
            .filter(move |run| ready(run.as_ref().map_or(true, |run| wanted.contains(&run.key))));
        let partitions = stream::unfold(Some((runs, None::<Landed>)), |state| async move {
            let (mut runs, mut open) = state?;
            loop {
                match runs.next().await {
                    Some(Ok(run)) => match &mut open {
                        Some(partition) if partition.key == run.key => partition.runs.push(run),
                        _ => {
                            let next = Landed { key: run.key.clone(), runs: vec![run] };
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
                // Paths sort otherwise where one run id begins with another.
                partition.runs.sort_unstable_by(|one, other| one.run_id.cmp(&other.run_id));
                partition
            })
        });
        sorted.boxed()
    }
}
