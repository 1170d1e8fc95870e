//! One attempt as the sink drives it: parts in flight, then the protocol's end.
//!
//! Memory is bounded: the parts in flight and the one that is filling. Parts grow before the
//! server's limit on their number, and fewer are in flight then.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::protocol::{Attempt, Part};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{SealDocument, Upload, WriterToken},
};

/// The longest part that servers take.
const MAX_PART_BYTES: usize = 5 << 30;

/// How a payload is cut into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cutting {
    /// Size of a part, to begin with.
    pub(crate) part_bytes: usize,
    /// How many parts may be on their way.
    pub(crate) in_flight: usize,
    /// How many parts the server takes.
    pub(crate) max_parts: u32,
    /// Whether the server wants all parts but the last to be of one size.
    pub(crate) equal_parts: bool,
}

impl Cutting {
    /// Returns by how much part `number` (from 1) is larger than the first.
    ///
    /// The first four fifths of the parts have the given size; after that it doubles with every
    /// fortieth of the parts: with parts of 8 MiB, 10,000 of them hold more than a tebibyte.
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

/// An attempt with its parts.
#[derive(Debug)]
pub(super) struct S3Upload {
    /// `None` once the attempt was handed over to its end.
    attempt: Option<Arc<Attempt>>,
    cutting: Cutting,
    /// Number of the part that comes next, from 1.
    next: u32,
    bytes: u64,
    on_their_way: JoinSet<Result<Part>>,
    sent: BTreeMap<i32, String>,
}

impl S3Upload {
    pub(super) fn new(attempt: Attempt, cutting: Cutting) -> Self {
        let (on_their_way, sent) = (JoinSet::new(), BTreeMap::new());
        Self { attempt: Some(Arc::new(attempt)), cutting, next: 1, bytes: 0, on_their_way, sent }
    }

    /// Sends a part, after waiting until there is room for it.
    async fn send(&mut self, part: Bytes) -> Result<()> {
        if self.next > self.cutting.max_parts {
            let message = format!(
                "the payload is longer than the {} bytes that {} parts hold, the most that the \
                 server takes: raise RAW_SINK_PART_BYTES, which is {}",
                self.bytes, self.cutting.max_parts, self.cutting.part_bytes
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        while self.on_their_way.len() >= self.cutting.in_flight(self.next) {
            self.settle_one().await?;
        }
        let attempt = self.attempt()?.clone();
        let number = i32::try_from(self.next).expect("servers take fewer parts");
        self.next += 1;
        self.bytes += part.len() as u64;
        self.on_their_way.spawn(async move { attempt.part(number, part).await });
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<()> {
        match self.on_their_way.join_next().await {
            None => Ok(()),
            Some(Ok(part)) => {
                let (number, tag) = part?;
                self.sent.insert(number, tag);
                Ok(())
            }
            Some(Err(cause)) => {
                Err(Error::new(ErrorKind::Internal, format!("sending a part did not end: {cause}")))
            }
        }
    }

    fn attempt(&self) -> Result<&Arc<Attempt>> {
        self.attempt.as_ref().ok_or_else(|| Error::new(ErrorKind::Closed, "this attempt has ended"))
    }

    /// Returns the attempt for a step that changes it; parts on their way have to be settled.
    fn attempt_mut(&mut self) -> Result<&mut Attempt> {
        let attempt = self.attempt.as_mut().and_then(Arc::get_mut);
        attempt.ok_or_else(|| Error::new(ErrorKind::Closed, "this attempt has ended"))
    }
}

#[async_trait]
impl Upload for S3Upload {
    fn part_bytes(&self) -> usize {
        self.cutting.part_bytes(self.next)
    }

    async fn append(&mut self, part: Bytes) -> Result<()> {
        if !self.attempt()?.has_upload() {
            self.attempt_mut()?.open_upload().await?;
        }
        self.send(part).await
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        if !self.attempt()?.has_upload() {
            return self.attempt_mut()?.put(last).await;
        }
        // An upload has at least one part, if an empty one.
        if !last.is_empty() || self.next == 1 {
            self.send(last).await?;
        }
        while !self.on_their_way.is_empty() {
            self.settle_one().await?;
        }
        let parts: Vec<Part> = std::mem::take(&mut self.sent).into_iter().collect();
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
        self.on_their_way.shutdown().await;
        if let Some(mut attempt) = self.attempt.take().and_then(Arc::into_inner) {
            // What cannot be ended stays open and is found by the next attempt.
            let _ = attempt.end().await;
        }
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        self.on_their_way.abort_all();
        let Some(attempt) = self.attempt.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut parts = std::mem::take(&mut self.on_their_way);
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
    use super::Cutting;

    const MIB: usize = 1 << 20;

    fn cutting() -> Cutting {
        Cutting { part_bytes: 8 * MIB, in_flight: 4, max_parts: 10_000, equal_parts: false }
    }

    fn whole(cutting: Cutting) -> usize {
        (1..=cutting.max_parts).map(|number| cutting.part_bytes(number)).sum()
    }

    #[test]
    fn parts_grow_so_late_that_most_payloads_never_see_it_and_so_much_that_a_tebibyte_fits() {
        assert!((1..=8000).all(|number| cutting().part_bytes(number) == 8 * MIB));
        assert_eq!(cutting().part_bytes(8001), 16 * MIB);
        assert!(whole(cutting()) > 1 << 40);
        assert!(whole(Cutting { max_parts: 1000, ..cutting() }) > 100 << 30);
    }

    #[test]
    fn parts_stay_equal_where_the_server_wants_that() {
        let equal = Cutting { equal_parts: true, ..cutting() };
        assert_eq!(whole(equal), 10_000 * 8 * MIB);
    }

    #[test]
    fn fewer_parts_are_in_flight_while_they_are_larger() {
        let held = |number| cutting().part_bytes(number) * cutting().in_flight(number);
        assert!((1..=8500).all(|number| held(number) == 32 * MIB));
        assert_eq!(cutting().in_flight(10_000), 1, "never none");
    }

    #[test]
    fn no_part_is_longer_than_servers_take() {
        let long = Cutting { part_bytes: 1 << 30, ..cutting() };
        assert!((1..=10_000).all(|number| long.part_bytes(number) <= 5 << 30));
    }
}
