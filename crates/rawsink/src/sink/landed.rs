//! Streams the landed partitions of a selection: logical partitions with all their runs.

use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};

use super::{RawSink, Run, Unlisted};
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
    /// request for every 1,000 objects. Memory holds the runs of one partition and one page.
    ///
    /// An error that hides a part is one item, and the stream continues. A hidden run hides its
    /// partition, since the partition would be incomplete. Every other partition of the stream is
    /// complete. An error that ends the listing is the last item; the partition before it is dropped.
    pub fn landed(
        &self,
        selection: &Selection,
    ) -> BoxStream<'static, Result<LandedPartition, Unlisted>> {
        let (wanted, place) = (selection.clone(), Place::enclosing(selection));
        let runs = self.runs_or_hidden(&place).filter(move |run| {
            ready(match run {
                Ok(run) => wanted.contains(&run.key),
                Err(Unlisted { place, .. }) => {
                    place.as_ref().is_none_or(|place| place.may_hold(&wanted))
                }
            })
        });
        let collecting =
            Some(Collecting { runs: runs.fuse().boxed(), open: None, incomplete: None });
        let partitions = stream::unfold(collecting, |collecting| async move {
            let mut collecting = collecting?;
            let item = collecting.next().await?;
            let ended = matches!(&item, Err(Unlisted { place: None, .. }));
            Some((item, (!ended).then_some(collecting)))
        });
        let sorted = partitions.map(move |partition| match partition {
            Ok(mut partition) => {
                // Paths sort differently if one run id starts with another.
                partition.runs.sort_unstable_by(|one, other| one.run_id.cmp(&other.run_id));
                Ok(partition)
            }
            Err(hidden) => Err(Unlisted { error: hidden.error.at(&place), ..hidden }),
        });
        sorted.boxed()
    }
}

/// Collects the runs of one partition after the other. The runs of a partition follow each other.
struct Collecting {
    runs: BoxStream<'static, Result<Run, Unlisted>>,
    open: Option<LandedPartition>,
    /// The last partition with a hidden run: none of its runs is returned.
    incomplete: Option<PartitionKey>,
}

impl Collecting {
    async fn next(&mut self) -> Option<Result<LandedPartition, Unlisted>> {
        loop {
            match self.runs.next().await {
                None => return self.open.take().map(Ok),
                Some(Err(hidden)) => {
                    self.hide(&hidden);
                    return Some(Err(hidden));
                }
                Some(Ok(run)) if self.incomplete.as_ref() == Some(&run.key) => {}
                Some(Ok(run)) => match &mut self.open {
                    Some(partition) if partition.key == run.key => partition.runs.push(run),
                    open => {
                        let next = LandedPartition { key: run.key.clone(), runs: vec![run] };
                        if let Some(whole) = open.replace(next) {
                            return Some(Ok(whole));
                        }
                    }
                },
            }
        }
    }

    /// Drops the partition that an error makes incomplete, with the runs that follow.
    fn hide(&mut self, hidden: &Unlisted) {
        if hidden.place.is_none() {
            self.open = None;
        } else if let Some(key) = hidden.partition() {
            if self.open.as_ref().is_some_and(|open| open.key == key) {
                self.open = None;
            }
            self.incomplete = Some(key);
        }
    }
}
