//! The upload of one attempt: sends parts in parallel, then completes the protocol.
//!
//! Memory holds the parts in flight and the one that is being filled. Parts grow before the
//! server's limit on their number is reached. Then fewer are in flight.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use tokio::task::JoinSet;

use super::protocol::{Part, S3Attempt};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{SealDocument, Upload, WriterToken},
};

/// The longest part that servers accept.
const MAX_PART_BYTES: usize = 5 << 30;

/// The sizes and the number of parts of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartSizing {
    /// Size of the first parts, in bytes.
    pub(crate) part_bytes: usize,
    /// Greatest number of parts in flight.
    pub(crate) in_flight: usize,
    /// Greatest number of parts that the server accepts.
    pub(crate) max_parts: u32,
    /// Whether the server requires the same size for all parts but the last.
    pub(crate) equal_parts: bool,
}

impl PartSizing {
    /// Returns how often the size has doubled at part `number` (from 1).
    ///
    /// The first four fifths of the parts have the given size. Then it doubles with every fortieth
    /// of the parts. With 8 MiB, 10,000 parts hold more than a tebibyte.
    fn growth(&self, number: u32) -> u32 {
        let plain = self.max_parts / 5 * 4;
        let step = (self.max_parts / 40).max(1);
        if self.equal_parts || number <= plain {
            0
        } else {
            ((number - plain - 1) / step + 1).min(8)
        }
    }

    fn part_bytes(&self, number: u32) -> usize {
        (self.part_bytes << self.growth(number)).min(MAX_PART_BYTES)
    }

    fn in_flight(&self, number: u32) -> usize {
        (self.in_flight >> self.growth(number)).max(1)
    }
}

/// An attempt and its parts.
#[derive(Debug)]
pub(super) struct S3Upload {
    /// `None` after the attempt has ended.
    attempt: Option<Arc<S3Attempt>>,
    sizing: PartSizing,
    /// Number of the next part, from 1.
    next: u32,
    bytes: u64,
    in_flight: JoinSet<Result<Part>>,
    sent: BTreeMap<i32, String>,
}

impl S3Upload {
    pub(super) fn new(attempt: S3Attempt, sizing: PartSizing) -> Self {
        let (in_flight, sent) = (JoinSet::new(), BTreeMap::new());
        Self { attempt: Some(Arc::new(attempt)), sizing, next: 1, bytes: 0, in_flight, sent }
    }

    /// Sends a part, after waiting until fewer parts are in flight.
    async fn send(&mut self, part: Bytes) -> Result<()> {
        if self.next > self.sizing.max_parts {
            let message = format!(
                "the payload is longer than {} bytes, which fill the server's limit of {} parts: use \
                 parts larger than {} bytes",
                self.bytes, self.sizing.max_parts, self.sizing.part_bytes
            );
            return Err(Error::new(ErrorKind::Unsupported, message).by_setting("part_bytes"));
        }
        while self.in_flight.len() >= self.sizing.in_flight(self.next) {
            self.settle_one().await?;
        }
        let attempt = self.attempt()?.clone();
        let number = i32::try_from(self.next).expect("servers take fewer parts");
        self.next += 1;
        self.bytes += part.len() as u64;
        self.in_flight.spawn(async move { attempt.part(number, part).await });
        Ok(())
    }

    /// Sends the last part, waits for all of them and returns them.
    async fn finish_parts(&mut self, last: Bytes) -> Result<Vec<Part>> {
        // An upload needs at least one part, even an empty one.
        if !last.is_empty() || self.next == 1 {
            self.send(last).await?;
        }
        while !self.in_flight.is_empty() {
            self.settle_one().await?;
        }
        Ok(std::mem::take(&mut self.sent).into_iter().collect())
    }

    /// Replaces a damaged payload by a stream of bytes, below the seal that covers them.
    pub(super) async fn restore(
        mut self,
        seal: &Bytes,
        chunks: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let outcome = self.send_restored(seal, chunks).await;
        Box::new(self).abort().await;
        outcome
    }

    async fn send_restored(
        &mut self,
        seal: &Bytes,
        mut chunks: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let mut part = BytesMut::new();
        while let Some(mut chunk) = chunks.next().await.transpose()? {
            while !chunk.is_empty() {
                let size = self.part_bytes();
                part.reserve(size - part.len());
                part.extend_from_slice(&chunk.split_to(chunk.len().min(size - part.len())));
                if part.len() == size {
                    self.append(part.split().freeze()).await?;
                }
            }
        }
        let parts = self.finish_parts(part.freeze()).await?;
        let bytes = self.bytes;
        self.attempt_mut()?.complete_restore(&parts, bytes, seal).await
    }

    async fn settle_one(&mut self) -> Result<()> {
        match self.in_flight.join_next().await {
            None => Ok(()),
            Some(Ok(part)) => {
                let (number, tag) = part?;
                self.sent.insert(number, tag);
                Ok(())
            }
            Some(Err(cause)) => {
                Err(Error::new(ErrorKind::Internal, format!("sending a part panicked: {cause}")))
            }
        }
    }

    fn attempt(&self) -> Result<&Arc<S3Attempt>> {
        self.attempt.as_ref().ok_or_else(|| Error::new(ErrorKind::Closed, "this attempt has ended"))
    }

    /// Returns the attempt for a step that changes it. No part may be in flight.
    fn attempt_mut(&mut self) -> Result<&mut S3Attempt> {
        let attempt = self.attempt.as_mut().and_then(Arc::get_mut);
        attempt.ok_or_else(|| Error::new(ErrorKind::Closed, "this attempt has ended"))
    }
}

impl crate::internal::Internal for S3Upload {}

#[async_trait]
impl Upload for S3Upload {
    fn part_bytes(&self) -> usize {
        self.sizing.part_bytes(self.next)
    }

    async fn append(&mut self, part: Bytes) -> Result<()> {
        // If parts are in flight, the upload is open and the attempt does not change here.
        if !self.attempt()?.has_upload() {
            self.attempt_mut()?.ensure_upload().await?;
        }
        self.send(part).await
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        if !self.attempt()?.has_upload() {
            return self.attempt_mut()?.put(last).await;
        }
        let parts = self.finish_parts(last).await?;
        let bytes = self.bytes;
        self.attempt_mut()?.complete(&parts, bytes).await
    }

    async fn seal(mut self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        let outcome = self.attempt_mut()?.seal(document).await;
        if outcome.is_err() {
            self.abort().await;
        } else {
            self.attempt = None;
        }
        outcome
    }

    async fn abort(mut self: Box<Self>) {
        self.in_flight.shutdown().await;
        if let Some(mut attempt) = self.attempt.take().and_then(Arc::into_inner) {
            // An upload that cannot be aborted stays open. The next attempt finds it.
            let _ = attempt.end().await;
        }
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        self.in_flight.abort_all();
        let Some(attempt) = self.attempt.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut parts = std::mem::take(&mut self.in_flight);
        runtime.spawn(async move {
            parts.shutdown().await;
            if let Some(mut attempt) = Arc::into_inner(attempt) {
                let _ = attempt.end().await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::PartSizing;

    const MIB: usize = 1 << 20;

    fn sizing() -> PartSizing {
        PartSizing { part_bytes: 8 * MIB, in_flight: 4, max_parts: 10_000, equal_parts: false }
    }

    fn whole(sizing: PartSizing) -> usize {
        (1..=sizing.max_parts).map(|number| sizing.part_bytes(number)).sum()
    }

    #[test]
    fn parts_grow_late_and_fast_enough_for_a_tebibyte() {
        assert!((1..=8000).all(|number| sizing().part_bytes(number) == 8 * MIB));
        assert_eq!(sizing().part_bytes(8001), 16 * MIB);
        assert!(whole(sizing()) > 1 << 40);
        assert!(whole(PartSizing { max_parts: 1000, ..sizing() }) > 100 << 30);
    }

    #[test]
    fn parts_stay_equal_if_the_server_requires_it() {
        let equal = PartSizing { equal_parts: true, ..sizing() };
        assert_eq!(whole(equal), 10_000 * 8 * MIB);
    }

    #[test]
    fn fewer_parts_are_in_flight_when_they_are_larger() {
        let held = |number| sizing().part_bytes(number) * sizing().in_flight(number);
        assert!((1..=8500).all(|number| held(number) == 32 * MIB));
        assert_eq!(sizing().in_flight(10_000), 1, "at least one");
    }

    #[test]
    fn no_part_exceeds_the_servers_limit() {
        let long = PartSizing { part_bytes: 1 << 30, ..sizing() };
        assert!((1..=10_000).all(|number| long.part_bytes(number) <= 5 << 30));
    }
}
