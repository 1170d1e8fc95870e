//! The bucket: objects, multipart uploads and versions, and the requests on them.

mod complete;
mod listing;
mod objects;
#[cfg(test)]
mod tests;
mod upload_listing;
mod uploads;
mod versions;

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
};

pub use self::{
    complete::{CompleteAnswer, CompleteStart},
    listing::ObjectPage,
    objects::{ContentState, ObjectHead, StoredObject, WriteCondition},
    upload_listing::{ListedPart, ListedUpload, PartPage, UploadListPage},
    uploads::{MultipartUpload, UploadState, UploadedPart},
    versions::{ObjectVersion, VersionKind, VersionPage},
};
use crate::{Behaviour, Tag, UploadId};

/// A bucket with keys `K`, contents `B` and user metadata `M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeBucket<K: Ord, B, M> {
    /// How the server differs from others.
    pub behaviour: Behaviour,
    /// The current objects.
    pub objects: BTreeMap<K, StoredObject<B, M>>,
    /// The uploads that exist, also those that cannot complete.
    pub uploads: BTreeMap<UploadId, MultipartUpload<K, B, M>>,
    /// Old and current versions in the order of their creation, where versioning is on.
    pub versions: Vec<ObjectVersion<K>>,
    /// Aborted uploads whose Complete still runs, where an abort loses the content.
    aborted_while_completing: BTreeMap<UploadId, MultipartUpload<K, B, M>>,
    /// Aborted uploads that may be listed or completed again.
    aborted: BTreeMap<UploadId, MultipartUpload<K, B, M>>,
    /// Aborted uploads that listings still show, and how many listings show each.
    lingering: BTreeMap<UploadId, (K, ListedUpload, usize)>,
    /// Completed uploads, where a second Complete succeeds.
    completed: BTreeMap<UploadId, Tag>,
    /// Keys of former uploads, where their Complete is answered by the current object.
    former: BTreeMap<UploadId, K>,
    /// The key written last, where LIST hides it.
    newest: Option<K>,
}

impl<K: Ord, B, M> FakeBucket<K, B, M> {
    /// Creates an empty bucket.
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            versions: Vec::new(),
            aborted_while_completing: BTreeMap::new(),
            aborted: BTreeMap::new(),
            lingering: BTreeMap::new(),
            completed: BTreeMap::new(),
            former: BTreeMap::new(),
            newest: None,
        }
    }

    /// Returns whether a request with this upload id gets another answer than for an unknown id.
    pub fn knows_upload(&self, id: UploadId) -> bool {
        self.uploads.contains_key(&id)
            || self.aborted_while_completing.contains_key(&id)
            || self.aborted.contains_key(&id)
            || self.completed.contains_key(&id)
            || self.former.contains_key(&id)
    }

    /// Forgets the completed and former uploads that no request will name again.
    pub fn forget_uploads(&mut self, is_named: impl Fn(UploadId) -> bool) {
        self.completed.retain(|id, _| is_named(*id));
        self.former.retain(|id, _| is_named(*id));
    }
}

/// Leaves out the behaviour, which never changes while states are compared, and the versions.
impl<K: Ord + Hash, B: Hash, M: Hash> Hash for FakeBucket<K, B, M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.objects.hash(state);
        self.uploads.hash(state);
        self.aborted_while_completing.hash(state);
        self.aborted.hash(state);
        self.completed.hash(state);
        self.former.hash(state);
    }
}
