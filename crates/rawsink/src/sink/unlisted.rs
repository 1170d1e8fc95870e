//! The part of a listing that an error hides.

use crate::{
    error::Error,
    layout::{Level, Place},
    partition::PartitionKey,
};

/// A part of the storage that a listing cannot show.
#[derive(Debug)]
pub struct Unlisted {
    /// Why the listing cannot show it.
    pub error: Error,
    /// The place that is hidden, with everything below it. `None` if the error ended the listing:
    /// everything that sorts later is hidden.
    pub place: Option<Place>,
}

impl Unlisted {
    /// Returns what an error of the store hides. `None` if it hides nothing: no partition is stored
    /// in a directory outside the layout or below a run.
    pub(super) fn of(error: Error) -> Option<Self> {
        let Some(path) = error.place() else { return Some(Self { error, place: None }) };
        let place = path.split('/').try_fold(Place::top(), |at, name| at.child(name));
        if place.is_none() {
            tracing::debug!(%error, "an unreadable entry outside the layout is skipped");
        }
        Some(Self { place: Some(place?), error })
    }

    /// Returns the partition of a hidden run. At a higher level partitions are hidden as a whole.
    pub(super) fn partition(&self) -> Option<PartitionKey> {
        let place = self.place.as_ref()?;
        let (level, _) = place.innermost()?;
        if level == Level::Run { place.partition() } else { None }
    }
}

impl From<Unlisted> for Error {
    fn from(unlisted: Unlisted) -> Self {
        unlisted.error
    }
}
