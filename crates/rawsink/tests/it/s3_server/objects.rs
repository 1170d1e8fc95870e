//! Objects and uploads in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

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
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) key: String,
    pub(crate) initiated: Timestamp,
    pub(crate) metadata: Option<Metadata>,
    /// By number: tag, bytes, and when it was sent.
    pub(crate) parts: BTreeMap<i32, (String, Bytes, Timestamp)>,
}

/// Whether user metadata is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserMetadata {
    Kept,
    Dropped,
    /// Kept by PUT alone.
    DroppedByMultipart,
}

/// What becomes of the condition of a PUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateOnly {
    Honoured,
    Ignored,
    /// Compared first, applied some time later.
    ComparedFirst,
    /// Refused, and done all the same.
    Pretended,
    /// Not known to the server.
    NotImplemented,
}

/// What an abort does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aborts {
    Exact,
    /// Answers 2xx whatever is there.
    Polite,
    /// Answers 2xx while a Complete runs, which goes on all the same.
    Ruinous,
}

/// What LIST shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Fresh,
    /// Not the object that was stored last.
    Late,
}

/// Which open uploads a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadListing {
    /// Those below the prefix.
    ByPrefix,
    /// Those of exactly the key that the prefix is, or all where it is empty: as `MinIO` does.
    ByKey,
}

/// Which times the listings of uploads and of their parts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadTimes {
    All,
    /// When each part was sent, and not when the upload was created.
    Parts,
    Neither,
}

/// What becomes of the condition of a DELETE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeleteIfMatch {
    Honoured,
    Ignored,
    NotImplemented,
}

/// Whether a range that is asked for is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranges {
    Honoured,
    Ignored,
}

/// A part of an upload: number, length, and when it was sent.
pub(super) type SentPart = (i32, usize, Timestamp);

/// What is in the bucket.
#[derive(Debug)]
pub(crate) struct Objects {
    clock: Arc<VirtualClock>,
    /// What is done about conditions on Complete.
    pub(crate) conditions: CompleteConditions,
    pub(crate) user_metadata: UserMetadata,
    pub(crate) ranges: Ranges,
    pub(crate) upload_listing: UploadListing,
    pub(crate) upload_times: UploadTimes,
    pub(crate) delete_if_match: DeleteIfMatch,
    /// How many parts one answer lists.
    pub(crate) parts_a_page: usize,
    /// How many open uploads one answer lists.
    pub(crate) uploads_a_page: usize,
    pub(crate) create_only: CreateOnly,
    pub(crate) aborts: Aborts,
    pub(crate) listing: Listing,
    /// How often an upload that was ended is listed all the same.
    pub(crate) echoes: usize,
    /// Least size of a part but the last, in bytes.
    pub(crate) least_part: usize,
    pub(crate) max_parts: i32,
    /// How far the server's clock is ahead; `None` where its answers carry no date.
    pub(crate) clock_ahead: Option<SignedDuration>,
    pub(crate) versioned: bool,
    /// Old versions: key, id, and whether it is the mark of a DELETE.
    pub(crate) versions: Vec<(String, String, bool)>,
    pub(crate) stored: BTreeMap<String, Stored>,
    pub(crate) uploads: BTreeMap<String, Open>,
    /// The upload that was ended last.
    ended: Option<(String, Open)>,
    /// Ended uploads, and how often each is listed yet.
    echoing: Vec<(String, Open, usize)>,
    last_stored: String,
    /// Uploads whose Complete runs.
    pub(super) completing: BTreeSet<String>,
    given: u64,
}

impl Objects {
    pub(super) fn new(clock: Arc<VirtualClock>, conditions: CompleteConditions) -> Self {
        Self {
            clock,
            conditions,
            user_metadata: UserMetadata::Kept,
            ranges: Ranges::Honoured,
            upload_listing: UploadListing::ByKey,
            upload_times: UploadTimes::All,
            delete_if_match: DeleteIfMatch::Honoured,
            parts_a_page: 1000,
            uploads_a_page: 1000,
            create_only: CreateOnly::Honoured,
            aborts: Aborts::Exact,
            listing: Listing::Fresh,
            echoes: 0,
            least_part: LEAST_PART_BYTES,
            max_parts: 10_000,
            clock_ahead: None,
            versioned: false,
            versions: Vec::new(),
            stored: BTreeMap::new(),
            uploads: BTreeMap::new(),
            ended: None,
            echoing: Vec::new(),
            last_stored: String::new(),
            completing: BTreeSet::new(),
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
        let metadata = metadata.filter(|_| self.user_metadata != UserMetadata::Dropped);
        let modified = self.clock.now();
        let stored = Stored { bytes, etag: etag.clone(), modified, metadata };
        self.stored.insert(key.to_owned(), stored);
        key.clone_into(&mut self.last_stored);
        if self.versioned {
            self.versions.push((key.to_owned(), etag.clone(), false));
        }
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
            .filter(|(key, _)| self.listing == Listing::Fresh || **key != self.last_stored)
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
        let refused = only_new && self.stored.contains_key(key);
        match self.create_only {
            CreateOnly::NotImplemented if only_new => return Err(s3_error!(NotImplemented)),
            CreateOnly::Honoured if refused => return Err(s3_error!(PreconditionFailed)),
            CreateOnly::Pretended if refused => {
                self.store(key, bytes, metadata);
                return Err(s3_error!(PreconditionFailed));
            }
            _ => {}
        }
        Ok(self.store(key, bytes, metadata))
    }

    pub(super) fn delete(&mut self, key: &str, tag: Option<&str>) -> S3Result<()> {
        let there = self.stored.get(key).map(|stored| stored.etag.as_str());
        match self.delete_if_match {
            DeleteIfMatch::NotImplemented if tag.is_some() => {
                return Err(s3_error!(NotImplemented));
            }
            DeleteIfMatch::Honoured if tag.is_some() && tag != there => {
                return Err(s3_error!(PreconditionFailed));
            }
            _ => {}
        }
        self.stored.remove(key);
        if self.versioned {
            let id = self.unique();
            self.versions.push((key.to_owned(), id, true));
        }
        Ok(())
    }

    pub(super) fn delete_version(&mut self, key: &str, id: &str) {
        self.versions.retain(|(known, version, _)| known != key || version != id);
    }

    pub(super) fn create_upload(&mut self, key: &str, metadata: Option<Metadata>) -> String {
        let id = self.unique();
        let initiated = self.clock.now();
        let open = Open { key: key.to_owned(), initiated, metadata, parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), open);
        id
    }

    /// Returns a page of open uploads in the order of keys and ids, behind a marker, and whether there
    /// are more. The last page shows ended ones, too, as long as they echo.
    pub(super) fn list_uploads(
        &mut self,
        prefix: &str,
        after: (&str, &str),
    ) -> (Vec<(String, String, Timestamp)>, bool) {
        let by_key = self.upload_listing == UploadListing::ByKey && !prefix.is_empty();
        let shown = |key: &str| if by_key { key == prefix } else { key.starts_with(prefix) };
        let mut found: Vec<_> = self
            .uploads
            .iter()
            .filter(|(id, open)| shown(&open.key) && (open.key.as_str(), id.as_str()) > after)
            .map(|(id, open)| (open.key.clone(), id.clone(), open.initiated))
            .collect();
        found.sort_unstable();
        let more = found.len() > self.uploads_a_page;
        found.truncate(self.uploads_a_page);
        for (id, open, left) in &mut self.echoing {
            if !more && shown(&open.key) && *left > 0 {
                *left -= 1;
                found.push((open.key.clone(), id.clone(), open.initiated));
            }
        }
        (found, more)
    }

    /// Returns a page of an upload's parts behind a number: number, length, time; and whether there
    /// are more.
    pub(super) fn list_parts(&self, id: &str, after: i32) -> S3Result<(Vec<SentPart>, bool)> {
        let open = self.uploads.get(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let mut found = open.parts.range(after + 1..);
        let page = found.by_ref().take(self.parts_a_page);
        let page = page.map(|(number, (_, bytes, sent))| (*number, bytes.len(), *sent)).collect();
        Ok((page, found.next().is_some()))
    }

    pub(super) fn upload_part(&mut self, id: &str, number: i32, bytes: Bytes) -> S3Result<String> {
        let etag = self.unique();
        if number > self.max_parts {
            return Err(s3_error!(InvalidArgument));
        }
        let open = self.uploads.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        open.parts.insert(number, (etag.clone(), bytes, self.clock.now()));
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
            let known = open.parts.get(number).filter(|(known, ..)| known == etag);
            let bytes = &known.ok_or_else(|| s3_error!(InvalidPart))?.1;
            if n + 1 < parts.len() && bytes.len() < self.least_part {
                return Err(s3_error!(EntityTooSmall));
            }
            whole.extend_from_slice(bytes);
        }
        let open = self.uploads.remove(id).unwrap();
        let kept = self.user_metadata != UserMetadata::DroppedByMultipart;
        Ok(self.store(&open.key, whole.into(), open.metadata.filter(|_| kept)))
    }

    pub(super) fn abort(&mut self, id: &str) -> S3Result<()> {
        let ruins = self.aborts == Aborts::Ruinous && self.completing.contains(id);
        if ruins || (self.aborts == Aborts::Polite && !self.uploads.contains_key(id)) {
            return Ok(());
        }
        let open = self.uploads.remove(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        self.echoing.push((id.to_owned(), open.clone(), self.echoes));
        self.ended = Some((id.to_owned(), open));
        Ok(())
    }

    /// Lists the upload that was ended last again, as `MinIO` does when a part of it was on its way.
    pub(crate) fn list_ended_again(&mut self) {
        let (id, open) = self.ended.take().expect("an upload was ended");
        self.uploads.insert(id, open);
    }
}
