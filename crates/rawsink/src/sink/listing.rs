//! Lists the places and runs in a sink.

use std::collections::BTreeMap;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::RawSink;
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
        let place = Place::of_partition(key);
        let mut runs: BTreeMap<RunId, Run> = BTreeMap::new();
        let mut stored = self.store.walk(&place.store_path());
        while let Some(stored) = stored.next().await {
            let stored = stored.map_err(|error| error.at(&place))?;
            let Some(found) = run_of(&stored) else { continue };
            runs.entry(found.run_id.clone()).and_modify(|run| run.add(&stored)).or_insert(found);
        }
        Ok(runs.into_values().collect())
    }

    /// Returns the places directly below `place` that hold a payload or a seal, sorted by path.
    ///
    /// Skips names outside the layout. The list is empty for a run and for a place that does not
    /// exist.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, place: &Place) -> Result<Vec<Place>> {
        let Some(level) = place.next_level() else { return Ok(Vec::new()) };
        if let Some(key) = place.partition().filter(|_| level == Level::Run) {
            let runs = self.list_partitions(&key).await?;
            return Ok(runs.iter().map(|run| Place::of_run(&key, run)).collect());
        }
        let names =
            self.store.children(&place.store_path()).await.map_err(|error| error.at(place))?;
        let mut places: Vec<Place> = names.iter().filter_map(|name| place.child(name)).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Streams every run below `place`, sorted by path, with bounded memory.
    ///
    /// Continues after an error that hides only a part. The adjacent runs may be incomplete.
    pub fn runs_below(&self, place: &Place) -> BoxStream<'static, Result<Run>> {
        let objects = self.store.walk(&place.store_path()).fuse();
        let place = place.clone();
        let state = (objects, None::<Run>, None);
        let runs = stream::unfold(state, |(mut objects, mut open, mut fault)| async move {
            loop {
                if let Some(error) = fault.take() {
                    return Some((Err(error), (objects, open, None)));
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
                        None => fault = Some(error),
                    },
                    None => return open.take().map(|run| (Ok(run), (objects, None, None))),
                }
            }
        });
        runs.map(move |run| run.map_err(|error| error.at(&place))).boxed()
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
