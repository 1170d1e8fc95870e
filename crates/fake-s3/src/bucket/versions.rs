//! Old versions of objects.

use super::FakeBucket;
use crate::ObjectKey;

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion<K> {
    /// The object.
    pub key: K,
    /// The id of the version.
    pub id: u64,
    /// Whether it has content.
    pub kind: VersionKind,
}

/// Whether a version has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionKind {
    /// A write created it.
    Content,
    /// A DELETE created it.
    DeleteMarker,
}

/// A page of versions in the order of their creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPage<K> {
    /// The versions.
    pub versions: Vec<ObjectVersion<K>>,
    /// Whether another page follows.
    pub has_more: bool,
}

impl<K: ObjectKey, B, M> FakeBucket<K, B, M> {
    /// Lists versions below a prefix, after the version with this id.
    pub fn list_versions(&self, prefix: &K, after: Option<u64>) -> VersionPage<K> {
        let below = self.versions.iter().filter(|version| version.key.has_prefix(prefix));
        let mut found: Vec<_> = below.cloned().collect();
        let last = after.and_then(|id| found.iter().position(|version| version.id == id));
        found.drain(..last.map_or(0, |at| at + 1));
        let max = self.behaviour.page_limits.versions;
        let has_more = found.len() > max;
        found.truncate(max);
        VersionPage { versions: found, has_more }
    }

    /// Deletes one version for good.
    pub fn delete_version(&mut self, key: &K, id: u64) {
        self.versions.retain(|version| version.key != *key || version.id != id);
    }
}
