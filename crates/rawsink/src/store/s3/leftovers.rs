//! What attempts left in a bucket: open uploads, and payloads without a seal.
//!
//! No lock tells who is at work. An upload is known to rest by the times of its creation and of its
//! parts; a payload is removed only for whoever knows that no writer of its run lives. A DELETE
//! carries the tag that the last look saw; where the server ignores that, the time between the look
//! and the DELETE stays open.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;

use super::{
    fault::Fault,
    requests::{OpenUpload, Requests, UploadMarker, UploadPage, UploadParts},
    retry,
};
use crate::{
    clock::Surroundings,
    error::{Error, ErrorKind, Result},
    store::{Discarded, Leftover, LeftoverKind, Object, ObjectInfo, StorePath},
};

/// How many uploads are asked for their parts at a time.
const AT_A_TIME: usize = 8;
/// How often an upload is ended that is still listed.
const ENDINGS: u32 = 3;

/// Where uploads are looked for. Some servers (`MinIO`) list them by their exact key or for the whole
/// bucket alone, so where a prefix shows nothing the other two are tried.
#[derive(Debug)]
enum Where {
    Below(Option<UploadMarker>),
    Exactly,
    Everywhere(Option<UploadMarker>),
}

/// Looks for open uploads.
pub(super) struct Uploads {
    pub(super) requests: Arc<dyn Requests>,
    pub(super) surroundings: Surroundings,
    /// What the store puts before every path.
    pub(super) root: String,
    /// What every key that is asked for starts with.
    pub(super) prefix: String,
}

impl Uploads {
    /// Streams the open uploads of payloads, each with what its parts say.
    pub(super) fn stream(self) -> BoxStream<'static, Result<Leftover>> {
        let (requests, surroundings) = (self.requests.clone(), self.surroundings.clone());
        let found = self.listed().map(move |found| {
            let (requests, surroundings) = (requests.clone(), surroundings.clone());
            async move {
                let (run, key, upload) = match found {
                    Ok(found) => found,
                    Err(error) => return Some(Err(error)),
                };
                let parts =
                    retry::answered(&surroundings, || requests.list_parts(&key, &upload.id)).await;
                match parts.map(|parts| parts.value) {
                    Ok(parts) => Some(Ok(Leftover {
                        kind: LeftoverKind::Upload,
                        bytes: parts.bytes,
                        modified: last_sign_of_life(&upload, parts),
                        name: upload.id,
                        run,
                    })),
                    // It was ended, or became an object, meanwhile.
                    Err(fault) if fault.says_that_the_upload_ended() => None,
                    Err(fault) => Some(Err(Error::from(fault).at(&run))),
                }
            }
        });
        found.buffered(AT_A_TIME).filter_map(std::future::ready).boxed()
    }

    fn listed(self) -> BoxStream<'static, Result<(StorePath, String, OpenUpload)>> {
        let state = (self, Some(Where::Below(None)), VecDeque::new());
        let found = stream::unfold(state, |(uploads, mut ahead, mut page)| async move {
            loop {
                if let Some(upload) = page.pop_front() {
                    return Some((Ok(upload), (uploads, ahead, page)));
                }
                match uploads.ask(ahead.take()?).await {
                    Ok((found, next)) => {
                        ahead = next;
                        page = uploads.ours(found);
                    }
                    Err(error) => return Some((Err(error), (uploads, None, page))),
                }
            }
        });
        found.boxed()
    }

    /// Asks for a page, and says where to go on.
    async fn ask(&self, place: Where) -> Result<(Vec<(String, OpenUpload)>, Option<Where>)> {
        Ok(match place {
            Where::Below(after) => {
                let UploadPage { uploads, next } = self.page(&self.prefix, after.as_ref()).await?;
                let nothing = uploads.is_empty() && after.is_none() && next.is_none();
                let next = next.map(|next| Where::Below(Some(next)));
                (uploads, if nothing { Some(Where::Exactly) } else { next })
            }
            Where::Exactly => {
                let key = self.prefix.clone() + Object::Payload.file_name();
                let found =
                    retry::answered(&self.surroundings, || self.requests.list_uploads(&key));
                let found = found.await?.value.into_iter();
                let found = found.map(|upload| (key.clone(), upload)).collect();
                (found, Some(Where::Everywhere(None)))
            }
            Where::Everywhere(after) => match self.page("", after.as_ref()).await {
                Ok(UploadPage { mut uploads, next }) => {
                    let exact = self.prefix.clone() + Object::Payload.file_name();
                    uploads.retain(|(key, _)| *key != exact);
                    (uploads, next.map(|next| Where::Everywhere(Some(next))))
                }
                // A key may be allowed less than the bucket; the prefix was answered.
                Err(fault) if fault.is_denied() => (Vec::new(), None),
                Err(fault) => return Err(fault.into()),
            },
        })
    }

    async fn page(&self, prefix: &str, after: Option<&UploadMarker>) -> Result<UploadPage, Fault> {
        let page =
            retry::answered(&self.surroundings, || self.requests.list_uploads_below(prefix, after));
        Ok(page.await?.value)
    }

    /// Keeps the uploads of payloads below the prefix.
    fn ours(&self, found: Vec<(String, OpenUpload)>) -> VecDeque<(StorePath, String, OpenUpload)> {
        let ours = found.into_iter().filter(|(key, _)| key.starts_with(&self.prefix));
        let named = ours.filter_map(|(key, upload)| {
            let run = super::listing::object_path(key.strip_prefix(&self.root)?)?;
            (run.1 == Object::Payload).then_some((run.0, key, upload))
        });
        named.collect()
    }
}

/// Returns the newest time of an upload; the epoch where the server does not say.
fn last_sign_of_life(upload: &OpenUpload, parts: UploadParts) -> Timestamp {
    match parts.last {
        Some(last) => last.max(upload.initiated),
        None if parts.bytes > 0 => Timestamp::UNIX_EPOCH,
        None => upload.initiated,
    }
}

/// Removes leftovers of one run.
pub(super) struct Discarding<'a> {
    pub(super) requests: &'a dyn Requests,
    pub(super) surroundings: &'a Surroundings,
    pub(super) payload_key: String,
    pub(super) seal_key: String,
}

impl Discarding<'_> {
    /// Ends an upload whose parts are still those that were listed, and not the payload's.
    pub(super) async fn upload(&self, leftover: &Leftover) -> Result<Discarded> {
        let (key, id) = (&self.payload_key, &leftover.name);
        let parts = self.answer(|| self.requests.list_parts(key, id)).await;
        match parts {
            Err(fault) if fault.says_that_the_upload_ended() => return Ok(Discarded::Gone),
            Err(fault) => return Err(fault.into()),
            Ok(parts) if parts.bytes != leftover.bytes => return Ok(Discarded::Changed),
            Ok(parts) if parts.last > Some(leftover.modified) => return Ok(Discarded::Changed),
            Ok(_) => {}
        }
        if leftover.bytes > 0 && self.payload_bytes().await? == Some(leftover.bytes) {
            return Ok(Discarded::Completed);
        }
        let mut outcome = Discarded::Gone;
        // What is still listed is ended again: a part on its way can bring an upload back.
        for _ in 0..ENDINGS {
            match self.answer(|| self.requests.abort_upload(key, id)).await {
                Ok(()) => outcome = Discarded::Removed,
                Err(fault) if fault.says_that_the_upload_ended() => {}
                Err(fault) => return Err(fault.into()),
            }
            let listed = self.answer(|| self.requests.list_uploads(key)).await?;
            if listed.iter().all(|upload| upload.id != *id) {
                return Ok(outcome);
            }
        }
        let message = "the server still lists an upload that it was told to end";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Returns the length of the payload that is there. By a listing: who ends uploads alone needs no
    /// right to read.
    async fn payload_bytes(&self) -> Result<Option<u64>, Fault> {
        let found = self.answer(|| self.requests.list(&self.payload_key, None)).await?.objects;
        let payload = found.into_iter().find(|(key, _)| *key == self.payload_key);
        Ok(payload.map(|(_, head)| head.bytes))
    }

    /// Deletes a payload after a last look: no upload of it is open, it is still the one that was
    /// listed, and no seal is there.
    pub(super) async fn payload(&self, leftover: &Leftover) -> Result<Discarded> {
        let key = &self.payload_key;
        if !self.answer(|| self.requests.list_uploads(key)).await?.is_empty() {
            return Ok(Discarded::InUse);
        }
        let Some(head) = self.answer(|| self.requests.head(key)).await? else {
            return Ok(Discarded::Gone);
        };
        if !leftover.is(ObjectInfo { bytes: head.bytes, modified: head.modified }) {
            return Ok(Discarded::Changed);
        }
        if self.answer(|| self.requests.head(&self.seal_key)).await?.is_some() {
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
                let there = self.answer(|| self.requests.head(key)).await?.is_some();
                return Ok(if there { Discarded::Changed } else { Discarded::Gone });
            }
            deleted => deleted?,
        }
        if self.answer(|| self.requests.head(&self.seal_key)).await?.is_some() {
            let message = "a writer sealed the run while its payload was deleted";
            return Err(Error::corrupt(message));
        }
        Ok(Discarded::Removed)
    }

    async fn answer<'r, T>(
        &'r self,
        request: impl Fn() -> retry::Sending<'r, T>,
    ) -> Result<T, Fault> {
        Ok(retry::answered(self.surroundings, request).await?.value)
    }
}
