//! Reading an object: a GET that is cut goes on where it was cut.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{
    fault::Fault,
    requests::{Content, Requests},
    retry::{self, Pauses},
};
use crate::{
    clock::Surroundings,
    error::{Error, Result},
    store::{self, Object, Reading},
};

/// How often in a row a GET may bring nothing before it is given up.
const MAX_IDLE_TRIES: u32 = 8;

/// Opens an object from `offset` on.
pub(super) async fn open(
    requests: Arc<dyn Requests>,
    surroundings: Surroundings,
    key: String,
    object: Object,
    offset: u64,
) -> Result<Reading> {
    let first = retry::answered(&surroundings, || requests.get(&key, offset)).await?.value;
    let content = first.ok_or_else(|| store::object_missing(object))?;
    let bytes = content.bytes;
    let etag = content.etag.clone();
    let resumable = Resumable {
        requests,
        surroundings,
        key,
        etag,
        bytes,
        offset,
        content: Some(content),
        done: false,
    };
    let chunks = stream::unfold(resumable, |mut resumable| async move {
        let chunk = resumable.next().await?;
        Some((chunk, resumable))
    });
    Ok(Reading { bytes, chunks: chunks.boxed() })
}

/// An object that is being read.
struct Resumable {
    requests: Arc<dyn Requests>,
    surroundings: Surroundings,
    key: String,
    /// The tag of the first answer: every later one has to show it.
    etag: String,
    bytes: u64,
    offset: u64,
    content: Option<Content>,
    done: bool,
}

impl Resumable {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.done {
            return None;
        }
        let outcome = self.read_on().await.transpose();
        self.done = !matches!(outcome, Some(Ok(_)));
        outcome
    }

    /// Returns the next chunk; after a cut a new GET goes on behind what was handed out.
    async fn read_on(&mut self) -> Result<Option<Bytes>> {
        let mut pauses = Pauses::new(&self.surroundings);
        let mut fault = None;
        for _ in 0..MAX_IDLE_TRIES {
            let mut content = match self.content.take() {
                Some(content) => content,
                None => self.resume().await?,
            };
            match content.chunks.next().await {
                Some(Ok(chunk)) => {
                    self.offset += chunk.len() as u64;
                    self.content = Some(content);
                    return Ok(Some(chunk));
                }
                None if self.offset >= self.bytes => return Ok(None),
                Some(Err(cut)) => fault = Some(cut),
                None => fault = Some(Fault::cut_short()),
            }
            pauses.wait(fault.as_ref()).await;
        }
        Err(fault.map_or_else(|| Error::corrupt("an object cannot be read"), Error::from))
    }

    async fn resume(&mut self) -> Result<Content> {
        let again =
            retry::answered(&self.surroundings, || self.requests.get(&self.key, self.offset))
                .await?
                .value;
        let content =
            again.ok_or_else(|| Error::corrupt("the object vanished while it was read"))?;
        if content.etag == self.etag {
            Ok(content)
        } else {
            Err(Error::corrupt("the object changed while it was read"))
        }
    }
}
