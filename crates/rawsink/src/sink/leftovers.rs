//! What attempts at runs left without a seal, by run.

use futures_util::stream::{BoxStream, StreamExt};

use super::{RawSink, listing};
use crate::{
    error::Result,
    key::{PartitionKey, RunId},
    layout::Place,
    store::{Discarded, Leftover, Presence},
};

/// Something that an attempt at a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLeftover {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run_id: RunId,
    /// What is there.
    pub found: Leftover,
}

impl RawSink {
    /// Streams what attempts at runs below `place` left, with bounded memory; what lies outside the
    /// layout is nobody's. Goes on after an error that hides only a part.
    pub fn leftovers_below(&self, place: &Place) -> BoxStream<'static, Result<RunLeftover>> {
        let place = place.clone();
        let found = self.store.leftovers(&place.store_path());
        let named = found.filter_map(move |found| {
            let found = match found {
                Ok(found) => listing::named_by(&found.run)
                    .map(|(key, run_id)| Ok(RunLeftover { key, run_id, found })),
                Err(error) => Some(Err(error.at(&place))),
            };
            std::future::ready(found)
        });
        named.boxed()
    }

    /// Removes a leftover that is still as it was listed, after another look.
    ///
    /// Where [`presence`](Self::presence) is [`Presence::Age`], whoever calls has to know that no
    /// writer of the run lives. An object of a sealed run is never touched (G03).
    ///
    /// # Errors
    /// The store's. `Corrupt` where a writer sealed the run at the same moment.
    pub async fn discard(&self, leftover: &RunLeftover) -> Result<Discarded> {
        let place = Place::of_run(&leftover.key, &leftover.run_id);
        self.store.discard(&leftover.found).await.map_err(|error| error.at(place))
    }

    /// Returns how the store knows that a writer of a run is at work.
    pub fn presence(&self) -> Presence {
        self.store.presence()
    }
}
