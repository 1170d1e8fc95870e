//! What is there, as HEAD and the upload listing show it.

use jiff::Timestamp;

use super::Attempt;
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        self,
        s3::requests::{Head, OpenUpload},
    },
};

/// A payload without a seal that is to be replaced, known by what a look shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leftover {
    etag: String,
    modified: Timestamp,
    bytes: u64,
    /// Whether this attempt made it, so that no slower writer can be behind it.
    pub(super) own: bool,
}

impl Leftover {
    pub(super) fn of(head: &Head, own: bool) -> Self {
        Self { etag: head.etag.clone(), modified: head.modified, bytes: head.bytes, own }
    }

    fn is(&self, head: &Head) -> bool {
        (&self.etag, self.modified, self.bytes) == (&head.etag, head.modified, head.bytes)
    }
}

/// What a look at the payload shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Absent,
    /// My token and my size.
    Mine(Head),
    /// What this attempt replaces.
    Leftover,
    Another(Head),
}

impl Attempt {
    /// HEAD of the payload, then of the seal: another's seal ends the attempt.
    pub(super) async fn look(&self) -> Result<Seen> {
        let seen = self.look_at_payload().await?;
        self.refuse_sealed().await?;
        Ok(seen)
    }

    /// HEAD of the seal.
    pub(super) async fn refuse_sealed(&self) -> Result<()> {
        let seal = self.answer(|requests| requests.head(&self.seal_key)).await?.value;
        if seal.is_some() { Err(store::already_sealed()) } else { Ok(()) }
    }

    pub(super) async fn look_at_payload(&self) -> Result<Seen> {
        let Some(head) = self.answer(|requests| requests.head(&self.payload_key)).await?.value
        else {
            return Ok(Seen::Absent);
        };
        if head.writer.as_deref() == Some(self.token.as_str()) && head.bytes == self.size {
            return Ok(Seen::Mine(head));
        }
        if head.writer.is_none() && self.tag.as_ref() == Some(&head.etag) {
            let message = "the server drops user metadata, by which a writer knows its own payload";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let left = self.leftover.as_ref().is_some_and(|leftover| leftover.is(&head));
        Ok(if left { Seen::Leftover } else { Seen::Another(head) })
    }

    /// Tells whether somebody else has an upload open.
    pub(super) fn is_company(&self, listed: &[OpenUpload]) -> bool {
        let mut others = listed.iter().filter(|upload| Some(&upload.id) != self.upload.as_ref());
        others.any(|upload| !self.ended.contains(&upload.id))
    }
}
