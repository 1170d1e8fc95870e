//! Objects and uploads in memory.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rawsink::{Clock, config::CompleteConditions};
use s3s::{S3Result, dto::Metadata, s3_error};

use super::clock::VirtualClock;

/// The least size of a part but the last: less than a real server's 5 MiB, so that a few rows are
/// several parts.
pub(super) const LEAST_PART_BYTES: usize = 64 * 1024;

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) metadata: Option<Metadata>,
}

/// An open upload.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) key: String,
    pub(crate) initiated: Timestamp,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) parts: BTreeMap<i32, (String, Bytes)>,
}

/// Whether user metadata is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserMetadata {
    Kept,
    Dropped,
}

/// Whether a range that is asked for is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranges {
    Honoured,
    Ignored,
}

/// What is in the bucket.
#[derive(Debug)]
pub(crate) struct Objects {
    clock: Arc<VirtualClock>,
    /// What is done about conditions on Complete.
    pub(crate) conditions: CompleteConditions,
    pub(crate) user_metadata: UserMetadata,
    pub(crate) ranges: Ranges,
    /// How many open uploads one answer lists.
    pub(crate) uploads_a_page: usize,
    pub(crate) stored: BTreeMap<String, Stored>,
    pub(crate) uploads: BTreeMap<String, Open>,
    /// The upload that was ended last.
    ended: Option<(String, Open)>,
    given: u64,
}

impl Objects {
    pub(super) fn new(clock: Arc<VirtualClock>, conditions: CompleteConditions) -> Self {
        Self {
            clock,
            conditions,
            user_metadata: UserMetadata::Kept,
            ranges: Ranges::Honoured,
            uploads_a_page: 1000,
            stored: BTreeMap::new(),
            uploads: BTreeMap::new(),
            ended: None,
            given: 0,
        }
    }

    /// Returns a name that was not given before; not in the order of time, as on real servers.
    fn unique(&mut self) -> String {
        self.given += 1;
        format!("{:016x}", self.given.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn store(&mut self, key: &str, bytes: Bytes, metadata: Option<Metadata>) -> String {
        let etag = self.unique();
        let metadata = metadata.filter(|_| self.user_metadata == UserMetadata::Kept);
        let modified = self.clock.now();
        let stored = Stored { bytes, etag: etag.clone(), modified, metadata };
        self.stored.insert(key.to_owned(), stored);
        etag
    }

    pub(crate) fn tamper(&mut self, key: &str, content: Option<&[u8]>) {
        match content {
            Some(content) => drop(self.store(key, Bytes::copy_from_slice(content), None)),
            None => drop(self.stored.remove(key)),
        }
    }

    /// Opens an upload that nobody goes on with, and returns its id.
    pub(crate) fn open(&mut self, key: &str) -> String {
        self.create_upload(key, None)
    }

    /// Opens an upload as by a gateway whose clock is an hour ahead.
    pub(crate) fn open_ahead(&mut self, key: &str) {
        let id = self.open(key);
        let open = self.uploads.get_mut(&id).unwrap();
        open.initiated += SignedDuration::from_hours(1);
    }

    pub(super) fn below(&self, prefix: &str) -> Vec<String> {
        let names = self.stored.keys().filter_map(|key| key.strip_prefix(prefix));
        let open = self.uploads.values().filter(|open| open.key.starts_with(prefix));
        names.map(str::to_owned).chain(open.map(|_| "upload".to_owned())).collect()
    }

    /// Returns up to `max` objects below a prefix, behind a key, and whether there are more.
    pub(super) fn list(
        &self,
        prefix: &str,
        after: &str,
        max: usize,
    ) -> (Vec<(String, Stored)>, bool) {
        let start = match after {
            "" => Bound::Unbounded,
            after => Bound::Excluded(after.to_owned()),
        };
        let mut found = self
            .stored
            .range((start, Bound::Unbounded))
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, stored)| (key.clone(), stored.clone()));
        let page = found.by_ref().take(max).collect();
        (page, found.next().is_some())
    }

    pub(super) fn put(
        &mut self,
        key: &str,
        bytes: Bytes,
        metadata: Option<Metadata>,
        only_new: bool,
    ) -> S3Result<String> {
        if only_new && self.stored.contains_key(key) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(self.store(key, bytes, metadata))
    }

    pub(super) fn create_upload(&mut self, key: &str, metadata: Option<Metadata>) -> String {
        let id = self.unique();
        let initiated = self.clock.now();
        let open = Open { key: key.to_owned(), initiated, metadata, parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), open);
        id
    }

    /// Returns a page of the open uploads of exactly this key, behind an id, and whether there are
    /// more.
    pub(super) fn list_uploads(&self, key: &str, after: &str) -> (Vec<(String, Timestamp)>, bool) {
        let mut found = self
            .uploads
            .iter()
            .filter(|(id, open)| open.key == key && id.as_str() > after)
            .map(|(id, open)| (id.clone(), open.initiated));
        let page = found.by_ref().take(self.uploads_a_page).collect();
        (page, found.next().is_some())
    }

    pub(super) fn upload_part(&mut self, id: &str, number: i32, bytes: Bytes) -> S3Result<String> {
        let etag = self.unique();
        let open = self.uploads.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        open.parts.insert(number, (etag.clone(), bytes));
        Ok(etag)
    }

    pub(super) fn complete(
        &mut self,
        id: &str,
        parts: &[(i32, String)],
        only_new: bool,
    ) -> S3Result<String> {
        let open = self.uploads.get(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let honoured = self.conditions == CompleteConditions::Enforced;
        if only_new && honoured && self.stored.contains_key(&open.key) {
            return Err(s3_error!(PreconditionFailed));
        }
        if parts.is_empty() || !parts.is_sorted_by_key(|(number, _)| *number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut whole = Vec::new();
        for (n, (number, etag)) in parts.iter().enumerate() {
            let known = open.parts.get(number).filter(|(known, _)| known == etag);
            let bytes = &known.ok_or_else(|| s3_error!(InvalidPart))?.1;
            if n + 1 < parts.len() && bytes.len() < LEAST_PART_BYTES {
                return Err(s3_error!(EntityTooSmall));
            }
            whole.extend_from_slice(bytes);
        }
        let open = self.uploads.remove(id).unwrap();
        Ok(self.store(&open.key, whole.into(), open.metadata))
    }

    pub(super) fn abort(&mut self, id: &str) -> S3Result<()> {
        let open = self.uploads.remove(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        self.ended = Some((id.to_owned(), open));
        Ok(())
    }

    /// Lists the upload that was ended last again, as `MinIO` does when a part of it was on its way.
    pub(crate) fn list_ended_again(&mut self) {
        let (id, open) = self.ended.take().expect("an upload was ended");
        self.uploads.insert(id, open);
    }
}
