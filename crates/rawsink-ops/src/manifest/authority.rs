//! Finds the runs that have authority, in the state alone, with bounded memory.

use std::{collections::VecDeque, num::NonZeroUsize, sync::Arc};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::bulk::Task;
use rawsink::{
    consume::Authority,
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, Selection},
    state::{Cursor, Filter, History, PartitionState, Status},
};

/// Number of records to read at once. A database that has no suitable index reads all of them for each
/// page, so a page is large; it needs about 1 MB.
const PAGE: NonZeroUsize = NonZeroUsize::new(2_000).expect("it is not zero");

/// Number of partitions whose records and logs are read at once.
const BATCH: usize = 250;

/// What the state says of one logical partition.
#[derive(Debug)]
pub(super) enum Found {
    /// The run that has authority.
    Current(PartitionKey, Box<Authority>),
    /// A run that must not be listed, or a malformed record.
    Refused(Error),
}

/// A search for the runs that have authority.
#[derive(Debug)]
pub(super) struct Search {
    state: Arc<dyn PartitionState>,
    filter: Filter,
    /// The next page; `None` after the last.
    next: Option<PageStart>,
    /// The partitions of the current page whose histories were not read yet.
    waiting: VecDeque<Result<PartitionKey>>,
}

/// Where a page begins.
#[derive(Debug)]
enum PageStart {
    First,
    After(Cursor),
}

impl Search {
    /// Creates the search for runs of a selection.
    pub(super) fn new(state: Arc<dyn PartitionState>, partitions: &Selection) -> Self {
        let filter = Filter { partitions: partitions.clone(), status: Some(Status::Success) };
        Self { state, filter, next: Some(PageStart::First), waiting: VecDeque::new() }
    }

    /// Streams everything, sorted by key. An error of the state is the last item.
    pub(super) fn all(self) -> BoxStream<'static, Result<Found>> {
        let batches = stream::try_unfold(self, |search| async move {
            // As a task: if nobody polled it, its read transaction would lock out other processes.
            Task::spawn(search.batch()).finish().await.flatten()
        });
        let items = |batch: Result<Vec<Found>>| match batch {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        batches.map(items).flat_map(stream::iter).boxed()
    }

    /// Returns what record and log say of the next partitions; `None` after the last.
    async fn batch(mut self) -> Result<Option<(Vec<Found>, Self)>> {
        while self.waiting.is_empty() {
            let Some(start) = self.next.take() else { return Ok(None) };
            self.turn_page(start).await?;
        }
        let (mut keys, mut found) = (Vec::new(), Vec::new());
        let count = self.waiting.len().min(BATCH);
        for waiting in self.waiting.drain(..count) {
            match waiting {
                Ok(key) => keys.push(key),
                Err(error) => found.push(Found::Refused(error)),
            }
        }
        let histories = self.state.histories(&keys).await?;
        found.extend(keys.into_iter().zip(histories).filter_map(|(key, history)| of(key, history)));
        Ok(Some((found, self)))
    }

    async fn turn_page(&mut self, start: PageStart) -> Result<()> {
        let after = match &start {
            PageStart::First => None,
            PageStart::After(cursor) => Some(cursor),
        };
        let page = self.state.list_page(&self.filter, after, PAGE).await?;
        self.next = page.next.map(PageStart::After);
        for entry in page.entries {
            let key = entry.map(|entry| entry.key);
            // A table without a unique key may have several records of one partition.
            let last = self.waiting.iter().rev().find_map(|waiting| waiting.as_ref().ok());
            if key.is_err() || key.as_ref().ok() != last {
                self.waiting.push_back(key);
            }
        }
        Ok(())
    }
}

/// Returns what record and log say of a partition; `None` if no run has authority any more.
fn of(key: PartitionKey, history: Result<History>) -> Option<Found> {
    let authority =
        history.map_err(|error| error.at(Place::of_partition(&key))).and_then(|history| {
            let record = history.record();
            if record.is_some_and(|record| {
                record.status == Status::Success && record.current_run_id.is_none()
            }) {
                let message = "the state record has status success without current_run_id";
                return Err(Error::corrupt(message).at(Place::of_partition(&key)));
            }
            Authority::of(&key, &history)
        });
    match authority {
        Ok(authority) => Some(Found::Current(key, Box::new(authority))),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(Found::Refused(error)),
    }
}
