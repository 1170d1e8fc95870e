//! Reads an object. A new GET resumes an interrupted one.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{
    fault::S3Fault,
    requests::{Content, Requests, object_tag},
    retry::Retrier,
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{self, Object, Reading},
};

/// Opens an object from `offset` on.
pub(super) async fn open(
    requests: Arc<dyn Requests>,
    retrier: Retrier,
    key: String,
    object: Object,
    offset: u64,
) -> Result<Reading> {
    let first = retrier.answered(|| requests.get(&key, offset)).await?.value;
    let content = first.ok_or_else(|| store::object_missing(object))?;
    let bytes = content.bytes;
    let (etag, tag) = (content.etag.clone(), object_tag(&content.etag));
    let resumable = Resumable {
        requests,
        retrier,
        key,
        etag,
        bytes,
        offset,
        content: Some(content),
        interrupted: (offset, 0),
        done: false,
    };
    let chunks = stream::unfold(resumable, |mut resumable| async move {
        let chunk = resumable.next().await?;
        Some((chunk, resumable))
    });
    Ok(Reading { bytes, tag, chunks: chunks.boxed(), file: None })
}

/// An object that is being read.
struct Resumable {
    requests: Arc<dyn Requests>,
    retrier: Retrier,
    key: String,
    /// The tag of the first answer. Every later one must have the same.
    etag: String,
    bytes: u64,
    offset: u64,
    content: Option<Content>,
    /// The offset of the last interruption after enough progress, and the number of interruptions since.
    interrupted: (u64, u32),
    done: bool,
}

/// Bytes after an interruption that are progress, and most interruptions without it. A server that sends single bytes
/// would hold a reader for ever.
const PROGRESS: u64 = 64 << 10;
const FRUITLESS: u32 = 10;

impl Resumable {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.done {
            return None;
        }
        let outcome = self.read_on().await.transpose();
        self.done = !matches!(outcome, Some(Ok(_)));
        outcome
    }

    /// Returns the next chunk. After an interruption, a new GET resumes after the last chunk.
    async fn read_on(&mut self) -> Result<Option<Bytes>> {
        let mut tries = self.retrier.tries();
        loop {
            let mut content = match self.content.take() {
                Some(content) => content,
                None => self.resume().await?,
            };
            let fault = match content.chunks.next().await {
                Some(Ok(chunk)) => {
                    self.offset += chunk.len() as u64;
                    self.content = Some(content);
                    return Ok(Some(chunk));
                }
                None if self.offset >= self.bytes => return Ok(None),
                Some(Err(fault)) => fault,
                None => S3Fault::truncated(),
            };
            if self.is_fruitless() || !tries.pause(Some(&fault)).await {
                return Err(tries.give_up(fault).into());
            }
        }
    }

    /// Counts an interruption; returns whether there were too many without progress.
    fn is_fruitless(&mut self) -> bool {
        let (from, count) = &mut self.interrupted;
        if self.offset - *from >= PROGRESS {
            (*from, *count) = (self.offset, 0);
        }
        *count += 1;
        *count > FRUITLESS
    }

    /// Opens the object again. Another answer than before proves nothing: a new reader sees which of
    /// the two is stored.
    async fn resume(&mut self) -> Result<Content> {
        let again =
            self.retrier.answered(|| self.requests.get(&self.key, self.offset)).await?.value;
        // Two halves prove nothing. A repair may have replaced a damaged object.
        let wrong = |what: &str| {
            let message = format!("the object {what} while it was being read; try again");
            Error::new(ErrorKind::Unavailable, message)
        };
        let content = again.ok_or_else(|| wrong("was no longer found"))?;
        if content.etag == self.etag { Ok(content) } else { Err(wrong("changed")) }
    }
}
