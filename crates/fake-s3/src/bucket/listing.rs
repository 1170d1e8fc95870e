//! LIST.

use std::ops::Bound;

use super::{FakeBucket, ObjectHead};
use crate::{ObjectBody, ObjectKey, ObjectListing};

/// A page of objects in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPage<K, M> {
    /// The objects.
    pub objects: Vec<(K, ObjectHead<M>)>,
    /// The last key of this page, where another page follows.
    pub next: Option<K>,
}

impl<K: ObjectKey, B: ObjectBody, M: Clone> FakeBucket<K, B, M> {
    /// Lists up to `max` objects below a prefix, after a key.
    pub fn list(&self, prefix: &K, after: Option<&K>, max: usize) -> ObjectPage<K, M> {
        let hides_newest = self.behaviour.object_listing == ObjectListing::HidesNewest;
        let hidden = self.newest.as_ref().filter(|_| hides_newest);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = self
            .objects
            .range((start, Bound::Unbounded))
            .filter(|(key, _)| key.has_prefix(prefix) && Some(*key) != hidden)
            .map(|(key, object)| (key.clone(), ObjectHead { metadata: None, ..object.head() }));
        let max = max.min(self.behaviour.page_limits.objects);
        let objects: Vec<_> = found.by_ref().take(max).collect();
        let last = objects.last().filter(|_| found.next().is_some());
        let next = last.map(|(key, _)| key.clone());
        ObjectPage { objects, next }
    }
}
