//! The state of the server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Op, ServedBucket, VirtualClock, habits::Habits};
use crate::Behaviour;

/// The state that the service and all connectors share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bucket_name: &'static str,
    pub(super) clock: Arc<VirtualClock>,
    bucket: Mutex<ServedBucket>,
    habits: Mutex<Habits>,
    counts: Mutex<BTreeMap<Op, usize>>,
}

impl Shared {
    pub(super) fn new(bucket_name: &'static str, behaviour: Behaviour) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let bucket = Mutex::new(ServedBucket::new(behaviour, clock.clone()));
        let (habits, counts) = (Mutex::default(), Mutex::default());
        Self { bucket_name, clock, bucket, habits, counts }
    }

    pub(super) fn bucket(&self) -> MutexGuard<'_, ServedBucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn habits(&self) -> MutexGuard<'_, Habits> {
        self.habits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, BTreeMap<Op, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
