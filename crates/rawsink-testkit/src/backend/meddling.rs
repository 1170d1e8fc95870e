//! A store whose uploads and reads a test can intercept.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use rawsink::{
    Result,
    store::{
        Discarded, Leftover, Object, Presence, Reading, RunObjects, StartOptions, Store, StorePath,
        Stored, Upload,
    },
};

use super::AnyStore;

type OnUpload = Arc<dyn Fn(Box<dyn Upload>) -> Box<dyn Upload> + Send + Sync>;
type OnReading = Arc<dyn Fn(Object, Reading) -> Reading + Send + Sync>;

/// Forwards every call, and passes its uploads and readings through a function.
#[derive(Clone)]
pub struct Meddling {
    inner: AnyStore,
    upload: OnUpload,
    reading: OnReading,
    prefix_bytes: usize,
}

impl Meddling {
    fn forwarding(inner: AnyStore) -> Self {
        let (upload, reading): (OnUpload, OnReading) =
            (Arc::new(|upload| upload), Arc::new(|_, reading| reading));
        Self { inner, upload, reading, prefix_bytes: 0 }
    }

    /// Creates a store that reports a prefix of this length before every path.
    pub fn with_prefix_bytes(inner: AnyStore, prefix_bytes: usize) -> Self {
        Self { prefix_bytes, ..Self::forwarding(inner) }
    }

    /// Creates a store that replaces uploads.
    pub fn with_uploads(
        inner: AnyStore,
        upload: impl Fn(Box<dyn Upload>) -> Box<dyn Upload> + Send + Sync + 'static,
    ) -> Self {
        Self { upload: Arc::new(upload), ..Self::forwarding(inner) }
    }

    /// Creates a store that replaces readings.
    pub fn with_readings(
        inner: AnyStore,
        reading: impl Fn(Object, Reading) -> Reading + Send + Sync + 'static,
    ) -> Self {
        Self { reading: Arc::new(reading), ..Self::forwarding(inner) }
    }
}

impl fmt::Debug for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meddling").field(&self.inner).finish()
    }
}

impl rawsink::Internal for Meddling {}

#[async_trait]
impl Store for Meddling {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        self.inner.inspect(run).await
    }

    async fn start(&self, run: &StorePath, attempt: StartOptions) -> Result<Box<dyn Upload>> {
        self.inner.start(run, attempt).await.map(|upload| (self.upload)(upload))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        self.inner.read(run, object, offset).await.map(|reading| (self.reading)(object, reading))
    }

    async fn sync(&self, runs: &[StorePath]) -> Result<()> {
        self.inner.sync(runs).await
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        self.inner.children(dir).await
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        self.inner.walk(dir)
    }

    fn prefix_bytes(&self) -> usize {
        self.prefix_bytes
    }

    fn presence(&self) -> Presence {
        self.inner.presence()
    }

    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        self.inner.leftovers(dir)
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        self.inner.discard(leftover).await
    }
}
