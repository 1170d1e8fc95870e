//! Checks of the existing objects with HEAD, and of open uploads.
//!
//! [HeadObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html)

use jiff::Timestamp;

use super::{LOOKS, Purpose, S3Attempt};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        self,
        s3::requests::{Head, OpenUpload},
    },
};

/// A payload without a seal that the attempt replaces, as HEAD shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replaced {
    etag: String,
    modified: Timestamp,
    bytes: u64,
    /// Whether this attempt wrote it. Then it has no slower writer.
    pub(super) own: bool,
}

impl Replaced {
    pub(super) fn of(head: &Head, own: bool) -> Self {
        Self { etag: head.etag.clone(), modified: head.modified, bytes: head.bytes, own }
    }

    fn is(&self, head: &Head) -> bool {
        (&self.etag, self.modified, self.bytes) == (&head.etag, head.modified, head.bytes)
    }
}

/// The payload as HEAD shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Absent,
    /// It has my token and my size.
    Mine(Head),
    /// The payload that this attempt replaces.
    Leftover,
    Another(Head),
}

impl S3Attempt {
    /// Checks the payload, then the seal. Fails if a seal exists, unless this restores a sealed run.
    pub(super) async fn check_objects(&self) -> Result<Seen> {
        let seen = self.check_payload().await?;
        if self.purpose == Purpose::Land {
            self.refuse_sealed().await?;
        }
        Ok(seen)
    }

    /// Fails if HEAD finds a seal. If a gateway answers that there is none, the create-only seal decides.
    async fn refuse_sealed(&self) -> Result<()> {
        let seal = self.answer(|requests| requests.head(&self.seal_key)).await?.value;
        if seal.is_some() { Err(store::already_sealed()) } else { Ok(()) }
    }

    /// Fails unless it is certain that no seal exists.
    pub(super) async fn require_unsealed(&self) -> Result<()> {
        let seal = self.find(&self.seal_key).await?;
        if seal.is_some() { Err(store::already_sealed()) } else { Ok(()) }
    }

    pub(super) async fn check_payload(&self) -> Result<Seen> {
        let Some(head) = self.head_payload().await? else { return Ok(Seen::Absent) };
        if head.writer.as_deref() == Some(self.token.as_str()) && head.bytes == self.size {
            return Ok(Seen::Mine(head));
        }
        if head.writer.is_none() && self.tag.as_ref() == Some(&head.etag) {
            let message = "the server drops user metadata, which identifies a writer's payload";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(if self.is_leftover(&head) { Seen::Leftover } else { Seen::Another(head) })
    }

    /// Returns the payload. If it may be mine but has no token, this looks again for a while: some servers
    /// show an object before its user metadata.
    async fn head_payload(&self) -> Result<Option<Head>> {
        for _ in 0..LOOKS {
            let head = self.answer(|requests| requests.head(&self.payload_key)).await?.value;
            if !head.as_ref().is_some_and(|head| self.may_lack_metadata(head)) {
                return Ok(head);
            }
            self.context.retrier.poll().await;
        }
        Ok(self.answer(|requests| requests.head(&self.payload_key)).await?.value)
    }

    fn may_lack_metadata(&self, head: &Head) -> bool {
        head.writer.is_none() && head.bytes == self.size && !self.is_leftover(head)
    }

    fn is_leftover(&self, head: &Head) -> bool {
        self.replaced.as_ref().is_some_and(|replaced| replaced.is(head))
    }

    /// Returns whether another writer has an upload open.
    pub(super) fn has_rival_upload(&self, listed: &[OpenUpload]) -> bool {
        let mut others = listed.iter().filter(|upload| Some(&upload.id) != self.upload.as_ref());
        others.any(|upload| !self.aborted.contains(&upload.id))
    }
}
