//! What is asked by somebody who cleans, and what a clean-up can ruin.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

use super::{
    Body, Conditions, Fate, Key, OpenUpload, Refusal, Reply, Server, Tag, Upload, UploadId,
    UploadListing, UploadState,
};

impl<K: Key, B: Body, W: Clone + Eq + Hash + Debug> Server<K, B, W> {
    /// Lists an upload that became the object of this key, as a gateway does that died within its
    /// Complete.
    pub fn leave_completed(&mut self, id: UploadId, key: &K) {
        let Some(stored) = self.objects.get(key) else { return };
        let parts = BTreeMap::from([(1, (stored.tag, stored.body.clone()))]);
        let (token, initiated) = (stored.token.clone(), stored.modified);
        let state = UploadState::Completed;
        self.uploads.insert(id, Upload { key: key.clone(), token, initiated, parts, state });
    }

    /// Takes the content of an object, as the server does hours later.
    pub(super) fn ruin(&mut self, key: &K) {
        if let Some(stored) = self.objects.get_mut(key) {
            stored.fate = Fate::Doomed;
        }
    }

    pub(super) fn uploads_below(
        &self,
        prefix: &K,
        after: Option<&(K, UploadId)>,
    ) -> Reply<K, B, W> {
        let shown = |key: &K| match self.behaviour.upload_listing {
            UploadListing::ByKey if !prefix.is_top() => key == prefix,
            UploadListing::ByKey | UploadListing::ByPrefix => key.is_below(prefix),
        };
        let listed = self.uploads.iter().filter(|(_, upload)| shown(&upload.key));
        let mut found: Vec<_> = listed
            .map(|(id, upload)| {
                (upload.key.clone(), OpenUpload { initiated: upload.initiated, id: *id })
            })
            .filter(|(key, open)| after.is_none_or(|(last, id)| (key, &open.id) > (last, id)))
            .collect();
        found.sort_unstable_by(|(one, first), (other, second)| {
            (one, first.id).cmp(&(other, second.id))
        });
        let more = found.len() > self.behaviour.page_keys;
        found.truncate(self.behaviour.page_keys);
        let next = found.last().filter(|_| more).map(|(key, open)| (key.clone(), open.id));
        Reply::UploadPage(found, next)
    }

    pub(super) fn parts_of(&self, id: UploadId) -> Reply<K, B, W> {
        match self.uploads.get(&id) {
            Some(upload) => {
                let bytes = upload.parts.values().map(|(_, body)| body.bytes()).sum();
                Reply::Parts(bytes, None)
            }
            None => Reply::Refused(Refusal::NoSuchUpload),
        }
    }

    pub(super) fn delete(&mut self, key: &K, tag: Option<Tag>) -> Reply<K, B, W> {
        let enforced = self.behaviour.conditions == Conditions::Enforced;
        let wanted = tag.filter(|_| enforced);
        let there = self.objects.get(key).map(|stored| stored.tag);
        if there.is_some() && wanted.is_some() && there != wanted {
            return Reply::Refused(Refusal::PreconditionFailed);
        }
        self.objects.remove(key);
        Reply::Deleted
    }
}
