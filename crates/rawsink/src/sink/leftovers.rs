//! Lists and removes the leftovers of attempts, by run.

use futures_util::stream::{BoxStream, StreamExt};

use super::{RawSink, Unlisted, listing};
use crate::{
    error::Result,
    layout::Place,
    partition::{PartitionKey, RunId},
    store::{Discarded, Leftover, Presence},
};

/// A leftover of an attempt at a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLeftover {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run_id: RunId,
    /// The leftover.
    pub found: Leftover,
}

impl RawSink {
    /// Streams the leftovers of runs below `place`, with bounded memory.
    ///
    /// Skips paths outside the layout. Continues after an error that hides only a part.
    pub fn leftovers_below(&self, place: &Place) -> BoxStream<'static, Result<RunLeftover>> {
        let place = place.clone();
        let found = self.store.leftovers(&place.store_path());
        let named = found.filter_map(move |found| {
            let found = match found {
                Ok(found) => listing::run_at(&found.run)
                    .map(|(key, run_id)| Ok(RunLeftover { key, run_id, found })),
                Err(error) => Unlisted::of(error).map(|hidden| Err(hidden.error.at(&place))),
            };
            std::future::ready(found)
        });
        named.boxed()
    }

    /// Deletes a leftover, after checking that it is still as listed.
    ///
    /// If [`presence`](Self::presence) is [`Presence::Age`], the caller has to know that no writer
    /// of the run is active. An object of a sealed run is never touched (G03).
    ///
    /// # Errors
    /// The store's. `Corrupt` if a writer sealed the run at the same moment.
    pub async fn discard(&self, leftover: &RunLeftover) -> Result<Discarded> {
        let place = Place::of_run(&leftover.key, &leftover.run_id);
        self.store.discard(&leftover.found).await.map_err(|error| error.at(place))
    }

    /// Returns how the store detects an active writer of a run.
    pub fn presence(&self) -> Presence {
        self.store.presence()
    }
}
