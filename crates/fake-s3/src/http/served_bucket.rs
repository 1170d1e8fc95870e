//! The bucket behind the server, with the clock and the names that it needs.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use bytes::Bytes;

use super::VirtualClock;
use crate::{Behaviour, ContentState, FakeBucket, Stamp, UploadId};

/// User metadata by its names.
pub type MetadataMap = BTreeMap<String, String>;

/// The bucket of the server. Its times are milliseconds since the Unix epoch.
pub type HttpBucket = FakeBucket<String, Bytes, MetadataMap>;

/// A bucket that gives names and knows the time.
#[derive(Debug)]
pub struct ServedBucket {
    bucket: HttpBucket,
    clock: Arc<VirtualClock>,
    names: u64,
}

impl ServedBucket {
    pub(super) fn new(behaviour: Behaviour, clock: Arc<VirtualClock>) -> Self {
        Self { bucket: FakeBucket::new(behaviour), clock, names: 0 }
    }

    /// Returns the current time and a new name. Names are not in the order of time, as on real servers.
    pub fn stamp(&mut self) -> Stamp {
        self.names += 1;
        Stamp { time: self.clock.now_ms(), name: self.names.wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }

    /// Overwrites or removes an object without user metadata, as a client outside the protocol would.
    pub fn tamper(&mut self, key: &str, content: Option<&[u8]>) {
        let Some(content) = content else {
            self.bucket.objects.remove(key);
            return;
        };
        let (stamp, body) = (self.stamp(), Bytes::copy_from_slice(content));
        self.store(key.to_owned(), body, None, ContentState::Intact, stamp);
    }

    /// Creates an upload that no client continues, and returns its id.
    pub fn open_upload(&mut self, key: &str) -> UploadId {
        let stamp = self.stamp();
        self.create_upload(key.to_owned(), None, stamp)
    }
}

impl Deref for ServedBucket {
    type Target = HttpBucket;

    fn deref(&self) -> &HttpBucket {
        &self.bucket
    }
}

impl DerefMut for ServedBucket {
    fn deref_mut(&mut self) -> &mut HttpBucket {
        &mut self.bucket
    }
}
