//! Lists the places and runs in a sink.

use futures_util::{
    StreamExt, TryStreamExt,
    future::ready,
    stream::{self, BoxStream},
};

use super::{RawSink, Unlisted};
use crate::{
    error::Result,
    layout::{Level, Place},
    partition::{PartitionKey, RunId},
    store::{Object, StorePath, Stored},
};

/// A run that has a payload or a seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run_id: RunId,
    /// Length of the payload in bytes; `None` if only the seal exists.
    pub payload_bytes: Option<u64>,
    /// Length of the seal in bytes; `None` without a seal.
    pub seal_bytes: Option<u64>,
    /// Whether the seal exists (G01).
    pub sealed: bool,
}

impl RawSink {
    /// Returns the runs of a logical partition, sealed or not, sorted by run id byte by byte.
    ///
    /// A partition without runs is an empty list.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_runs(&self, key: &PartitionKey) -> Result<Vec<Run>> {
        let runs = self.runs_below(&Place::of_partition(key));
        let mut runs: Vec<Run> = runs.try_collect().await?;
        // Paths sort differently if one run id starts with another.
        runs.sort_unstable_by(|one, other| one.run_id.cmp(&other.run_id));
        Ok(runs)
    }

    /// Returns the places directly below `place` that hold a payload or a seal, sorted.
    ///
    /// Skips names outside the layout. The list is empty for a run and for a place that does not
    /// exist.
    ///
    /// # Errors
    /// The store's, also one that hides only a part.
    pub async fn list(&self, place: &Place) -> Result<Vec<Place>> {
        let mut places: Vec<Place> = self.children(place).try_collect().await?;
        places.sort_unstable();
        Ok(places)
    }

    /// Streams the places of [`list`](Self::list). Continues after an error that hides only a part.
    pub fn children(&self, place: &Place) -> BoxStream<'static, Result<Place>> {
        let Some(level) = place.next_level() else { return stream::empty().boxed() };
        if level == Level::Run {
            let runs = self.runs_below(place);
            return runs.map_ok(|run| Place::of_run(&run.key, &run.run_id)).boxed();
        }
        let (names, place) = (self.store.children(&place.store_path()), place.clone());
        let places = names.filter_map(move |name| {
            ready(match name {
                Ok(name) => place.child(&name).map(Ok),
                Err(error) => Unlisted::of(error).map(|hidden| Err(hidden.error.at(&place))),
            })
        });
        places.boxed()
    }

    /// Streams every run below `place`, sorted by path, with bounded memory.
    ///
    /// Continues after an error that hides only a part. A run with a hidden object is returned without
    /// it.
    pub fn runs_below(&self, place: &Place) -> BoxStream<'static, Result<Run>> {
        let (runs, place) = (self.runs_or_hidden(place), place.clone());
        runs.map_err(move |hidden| hidden.error.at(&place)).boxed()
    }

    /// Streams every run below `place`, and what each error hides.
    pub(super) fn runs_or_hidden(
        &self,
        place: &Place,
    ) -> BoxStream<'static, Result<Run, Unlisted>> {
        let objects = self.store.walk(&place.store_path()).filter_map(|stored| {
            ready(match stored {
                Ok(stored) => Some(Ok(stored)),
                Err(error) => Unlisted::of(error).map(Err),
            })
        });
        let state = (objects.fuse(), None::<Run>, None);
        let runs = stream::unfold(state, |(mut objects, mut open, mut hidden)| async move {
            loop {
                if let Some(hidden) = hidden.take() {
                    return Some((Err(hidden), (objects, open, None)));
                }
                match objects.next().await {
                    Some(Ok(stored)) => {
                        let Some(found) = run_of(&stored) else { continue };
                        match &mut open {
                            Some(run) if run.key == found.key && run.run_id == found.run_id => {
                                run.add(&stored);
                            }
                            _ => {
                                if let Some(run) = open.replace(found) {
                                    return Some((Ok(run), (objects, open, None)));
                                }
                            }
                        }
                    }
                    Some(Err(error)) => match open.take() {
                        Some(run) => return Some((Ok(run), (objects, None, Some(error)))),
                        None => hidden = Some(error),
                    },
                    None => return open.take().map(|run| (Ok(run), (objects, None, None))),
                }
            }
        });
        runs.boxed()
    }
}

impl Run {
    fn add(&mut self, stored: &Stored) {
        match stored.object {
            Object::Payload => self.payload_bytes = Some(stored.info.bytes),
            Object::Seal => (self.sealed, self.seal_bytes) = (true, Some(stored.info.bytes)),
        }
    }
}

/// Returns the run that an object belongs to; `None` for one outside the layout.
fn run_of(stored: &Stored) -> Option<Run> {
    let (key, run_id) = run_at(&stored.dir)?;
    let mut run = Run { key, run_id, payload_bytes: None, seal_bytes: None, sealed: false };
    run.add(stored);
    Some(run)
}

/// Returns the run that is stored at a path; `None` for a path outside the layout.
pub(super) fn run_at(dir: &StorePath) -> Option<(PartitionKey, RunId)> {
    let mut place = Place::top();
    for segment in dir.segments() {
        place = place.child(segment)?;
    }
    Some((place.partition()?, place.run()?))
}
