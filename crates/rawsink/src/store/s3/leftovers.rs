//! Leftovers of attempts in a bucket: open uploads, and payloads without a seal.
//!
//! There are no locks. The age of an upload follows from the times of its creation and its parts. A
//! payload is deleted only for a caller that knows that no writer of its run is active. The DELETE
//! has the tag of the last check as its condition. If the server ignores it, a change between the
//! check and the DELETE is possible.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;

use super::{
    absence,
    fault::S3Fault,
    requests::{Head, OpenUpload, Requests, UploadMarker, UploadPage, UploadParts},
    retry::{Retrier, Sending},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{Discarded, Leftover, LeftoverKind, Object, StorePath},
};

/// Number of uploads whose parts are listed in parallel.
const PARALLEL: usize = 8;

/// The scope of an upload listing. Some servers (`MinIO`) list uploads only by their exact key or
/// for the whole bucket, so both are tried if a prefix shows none.
#[derive(Debug)]
enum UploadSearch {
    Prefix(Option<UploadMarker>),
    ExactKey,
    WholeBucket(Option<UploadMarker>),
}

/// Finds open uploads.
pub(super) struct UploadFinder {
    pub(super) requests: Arc<dyn Requests>,
    pub(super) retrier: Retrier,
    /// The prefix of every key of the store.
    pub(super) root: String,
    /// The prefix of every key to find.
    pub(super) prefix: String,
}

impl UploadFinder {
    /// Streams the open uploads of payloads, each with the length and the newest time of its parts.
    pub(super) fn stream(self) -> BoxStream<'static, Result<Leftover>> {
        let (requests, retrier) = (self.requests.clone(), self.retrier.clone());
        let found = self.listed().map(move |found| {
            let (requests, retrier) = (requests.clone(), retrier.clone());
            async move {
                let (run, key, upload) = match found {
                    Ok(found) => found,
                    Err(error) => return Some(Err(error)),
                };
                let parts = retrier.answered(|| requests.list_parts(&key, &upload.id)).await;
                match parts.map(|parts| parts.value) {
                    Ok(parts) => Some(Ok(Leftover {
                        kind: LeftoverKind::Upload,
                        bytes: parts.bytes,
                        modified: last_activity(&upload, parts),
                        name: upload.id,
                        run,
                    })),
                    // It was aborted or completed meanwhile.
                    Err(fault) if fault.is_upload_gone() => None,
                    Err(fault) => Some(Err(Error::from(fault).at(&run))),
                }
            }
        });
        found.buffered(PARALLEL).filter_map(std::future::ready).boxed()
    }

    fn listed(self) -> BoxStream<'static, Result<(StorePath, String, OpenUpload)>> {
        let state = (self, Some(UploadSearch::Prefix(None)), VecDeque::new());
        let found = stream::unfold(state, |(uploads, mut ahead, mut page)| async move {
            loop {
                if let Some(upload) = page.pop_front() {
                    return Some((Ok(upload), (uploads, ahead, page)));
                }
                match uploads.next_page(ahead.take()?).await {
                    Ok((found, next)) => {
                        ahead = next;
                        page = uploads.payload_uploads(found);
                    }
                    Err(error) => return Some((Err(error), (uploads, None, page))),
                }
            }
        });
        found.boxed()
    }

    /// Returns a page and the scope of the next one.
    async fn next_page(
        &self,
        search: UploadSearch,
    ) -> Result<(Vec<(String, OpenUpload)>, Option<UploadSearch>)> {
        Ok(match search {
            UploadSearch::Prefix(after) => {
                let UploadPage { uploads, next } = self.page(&self.prefix, after.as_ref()).await?;
                let nothing = uploads.is_empty() && after.is_none() && next.is_none();
                let next = next.map(|next| UploadSearch::Prefix(Some(next)));
                (uploads, if nothing { Some(UploadSearch::ExactKey) } else { next })
            }
            UploadSearch::ExactKey => {
                let key = self.prefix.clone() + Object::Payload.file_name();
                let found = self.retrier.answered(|| self.requests.list_uploads(&key));
                let found = found.await?.value.into_iter();
                let found = found.map(|upload| (key.clone(), upload)).collect();
                (found, Some(UploadSearch::WholeBucket(None)))
            }
            UploadSearch::WholeBucket(after) => match self.page("", after.as_ref()).await {
                Ok(UploadPage { mut uploads, next }) => {
                    let exact = self.prefix.clone() + Object::Payload.file_name();
                    uploads.retain(|(key, _)| *key != exact);
                    (uploads, next.map(|next| UploadSearch::WholeBucket(Some(next))))
                }
                // The access key may lack permission for the whole bucket. The prefix was listed.
                Err(fault) if fault.is_denied() => (Vec::new(), None),
                Err(fault) => return Err(fault.into()),
            },
        })
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadPage, S3Fault> {
        let page = self.retrier.answered(|| self.requests.list_uploads_below(prefix, after));
        Ok(page.await?.value)
    }

    /// Keeps the uploads of payloads below the prefix.
    fn payload_uploads(
        &self,
        found: Vec<(String, OpenUpload)>,
    ) -> VecDeque<(StorePath, String, OpenUpload)> {
        let below = found.into_iter().filter(|(key, _)| key.starts_with(&self.prefix));
        let named = below.filter_map(|(key, upload)| {
            let run = super::listing::object_path(key.strip_prefix(&self.root)?)?;
            (run.1 == Object::Payload).then_some((run.0, key, upload))
        });
        named.collect()
    }
}

/// Returns the newest time of an upload; the epoch if the server does not report it.
fn last_activity(upload: &OpenUpload, parts: UploadParts) -> Timestamp {
    match parts.last {
        Some(last) => last.max(upload.initiated),
        None if parts.bytes > 0 => Timestamp::UNIX_EPOCH,
        None => upload.initiated,
    }
}

/// Deletes leftovers of one run.
pub(super) struct LeftoverRemover<'a> {
    pub(super) requests: &'a dyn Requests,
    pub(super) retrier: &'a Retrier,
    pub(super) payload_key: String,
    pub(super) seal_key: String,
}

impl LeftoverRemover<'_> {
    /// Aborts an upload whose parts are unchanged and are not those of the payload.
    pub(super) async fn upload(&self, leftover: &Leftover) -> Result<Discarded> {
        let (key, id) = (&self.payload_key, &leftover.name);
        let parts = self.answer(|| self.requests.list_parts(key, id)).await;
        match parts {
            Err(fault) if fault.is_upload_gone() => return Ok(Discarded::Gone),
            Err(fault) => return Err(fault.into()),
            Ok(parts) if parts.bytes != leftover.bytes || parts.last > Some(leftover.modified) => {
                // Some servers list no parts of an upload that is gone.
                let gone = !self.is_listed(id).await?;
                return Ok(if gone { Discarded::Gone } else { Discarded::Changed });
            }
            Ok(_) => {}
        }
        if leftover.bytes > 0 && self.payload_bytes().await? == Some(leftover.bytes) {
            return Ok(Discarded::Completed);
        }
        let mut outcome = Discarded::Gone;
        let tries = self.retrier.tries();
        // An upload that is still listed is aborted again: a part in flight can bring it back.
        while !tries.are_over() {
            match self.answer(|| self.requests.abort_upload(key, id)).await {
                Ok(()) => outcome = Discarded::Removed,
                Err(fault) if fault.is_upload_gone() => {}
                Err(fault) => return Err(fault.into()),
            }
            if !self.is_listed(id).await? {
                return Ok(outcome);
            }
            self.retrier.poll().await;
        }
        let seconds = tries.elapsed().as_secs();
        let message = format!("the server still lists an aborted upload after {seconds} s");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    async fn is_listed(&self, id: &str) -> Result<bool, S3Fault> {
        let listed = self.answer(|| self.requests.list_uploads(&self.payload_key)).await?;
        Ok(listed.iter().any(|upload| upload.id == id))
    }

    /// Returns the length of the existing payload. Uses a listing, so aborting uploads does not
    /// require permission to read objects.
    async fn payload_bytes(&self) -> Result<Option<u64>, S3Fault> {
        let found = self.answer(|| self.requests.list(&self.payload_key, None)).await?.objects;
        let payload = found.into_iter().find(|(key, _)| *key == self.payload_key);
        Ok(payload.map(|(_, head)| head.bytes))
    }

    /// Deletes a payload after a last check: no upload of it is open, it is unchanged, and no seal
    /// exists.
    pub(super) async fn payload(&self, leftover: &Leftover) -> Result<Discarded> {
        let key = &self.payload_key;
        if !self.answer(|| self.requests.list_uploads(key)).await?.is_empty() {
            return Ok(Discarded::InUse);
        }
        let Some(head) = self.find(key).await? else {
            return Ok(Discarded::Gone);
        };
        if !leftover.is(head.info()) {
            return Ok(Discarded::Changed);
        }
        if self.find(&self.seal_key).await?.is_some() {
            return Ok(Discarded::Sealed);
        }
        let tag = Some(head.etag.as_str()).filter(|tag| !tag.is_empty());
        let deleted = match self.answer(|| self.requests.delete(key, tag)).await {
            Err(fault) if fault.is_unsupported() && tag.is_some() => {
                self.answer(|| self.requests.delete(key, None)).await
            }
            deleted => deleted,
        };
        match deleted {
            Err(fault) if fault.refuses_condition() || fault.is_no_such_object() => {
                let exists = self.find(key).await?.is_some();
                return Ok(if exists { Discarded::Changed } else { Discarded::Gone });
            }
            deleted => deleted?,
        }
        if self.find(&self.seal_key).await?.is_some() {
            let message = "a writer sealed the run while its payload was being deleted";
            return Err(Error::corrupt(message));
        }
        Ok(Discarded::Removed)
    }

    async fn find(&self, key: &str) -> Result<Option<Head>, S3Fault> {
        absence::find(self.requests, self.retrier, key).await
    }

    async fn answer<'r, T>(&'r self, request: impl Fn() -> Sending<'r, T>) -> Result<T, S3Fault> {
        Ok(self.retrier.answered(request).await?.value)
    }
}
