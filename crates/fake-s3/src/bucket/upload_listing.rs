//! Listings of uploads and of their parts.

use super::FakeBucket;
use crate::{ErrorCode, ObjectBody, ObjectKey, UploadId, UploadListing};

/// An upload in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListedUpload {
    /// Time of the creation.
    pub initiated: u64,
    /// Its id.
    pub id: UploadId,
}

/// A page of uploads in the order of their keys and ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadListPage<K> {
    /// The uploads with their keys.
    pub uploads: Vec<(K, ListedUpload)>,
    /// The last upload of this page, where another page follows.
    pub next: Option<(K, UploadId)>,
}

/// A part in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedPart {
    /// The part number.
    pub number: i32,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the arrival.
    pub sent: u64,
}

/// A page of parts in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartPage {
    /// The parts.
    pub parts: Vec<ListedPart>,
    /// Whether another page follows.
    pub has_more: bool,
}

impl<K: ObjectKey, B: ObjectBody, M: Clone> FakeBucket<K, B, M> {
    /// Lists all uploads of one key, in the order of their ids.
    pub fn list_uploads_of(&mut self, key: &K) -> Vec<ListedUpload> {
        let of_key = self.uploads.iter().filter(|(_, upload)| upload.key == *key);
        let listed = of_key.map(|(id, up)| ListedUpload { initiated: up.initiated, id: *id });
        let mut listed: Vec<_> = listed.collect();
        listed.extend(self.take_lingering(|known| known == key).into_iter().map(|(_, up)| up));
        listed
    }

    /// Lists a page of the uploads below a prefix, after an upload. The last page also shows aborted
    /// uploads that still linger.
    pub fn list_uploads(&mut self, prefix: &K, after: Option<&(K, UploadId)>) -> UploadListPage<K> {
        let listing = self.behaviour.upload_listing;
        let is_shown = |key: &K| match listing {
            UploadListing::ByKey if !prefix.is_empty_prefix() => key == prefix,
            UploadListing::ByKey | UploadListing::ByPrefix => key.has_prefix(prefix),
        };
        let is_after = |key: &K, id: UploadId| {
            after.is_none_or(|(last_key, last_id)| (key, id) > (last_key, *last_id))
        };
        let shown =
            self.uploads.iter().filter(|(id, up)| is_shown(&up.key) && is_after(&up.key, **id));
        let mut uploads: Vec<_> = shown
            .map(|(id, up)| (up.key.clone(), ListedUpload { initiated: up.initiated, id: *id }))
            .collect();
        uploads.sort_unstable_by(|(one, first), (other, second)| {
            (one, first.id).cmp(&(other, second.id))
        });
        let max = self.behaviour.page_limits.uploads;
        let has_more = uploads.len() > max;
        uploads.truncate(max);
        let next = uploads.last().filter(|_| has_more).map(|(key, up)| (key.clone(), up.id));
        if !has_more {
            uploads.extend(self.take_lingering(is_shown));
        }
        UploadListPage { uploads, next }
    }

    /// Lists a page of the parts of an upload, after a number.
    ///
    /// # Errors
    /// `NoSuchUpload` for an unknown upload.
    pub fn list_parts(&self, id: UploadId, after: i32) -> Result<PartPage, ErrorCode> {
        let upload = self.uploads.get(&id).ok_or(ErrorCode::NoSuchUpload)?;
        let mut found = upload.parts.range(after.saturating_add(1)..);
        let page = found.by_ref().take(self.behaviour.page_limits.parts);
        let listed = page.map(|(number, part)| ListedPart {
            number: *number,
            bytes: part.body.byte_count(),
            sent: part.sent,
        });
        let parts = listed.collect();
        Ok(PartPage { parts, has_more: found.next().is_some() })
    }

    /// Returns the lingering uploads of some keys, and counts this listing.
    fn take_lingering(&mut self, is_shown: impl Fn(&K) -> bool) -> Vec<(K, ListedUpload)> {
        let mut shown = Vec::new();
        self.lingering.retain(|_, (key, upload, times)| {
            if is_shown(key) {
                shown.push((key.clone(), *upload));
                *times -= 1;
            }
            *times > 0
        });
        shown
    }
}
