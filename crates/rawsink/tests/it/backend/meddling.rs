//! A store whose uploads and readings pass through a test's hands.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use rawsink::{
    Result,
    store::{
        Attempt, Discarded, Leftover, Object, Presence, Reading, RunObjects, Store, StorePath,
        Stored, Upload,
    },
};

use super::AnyStore;

type OnUpload = Arc<dyn Fn(Box<dyn Upload>) -> Box<dyn Upload> + Send + Sync>;
type OnReading = Arc<dyn Fn(Object, Reading) -> Reading + Send + Sync>;

/// Passes every call on, and what uploads and readings it gets through a function.
#[derive(Clone)]
pub(crate) struct Meddling {
    inner: AnyStore,
    upload: OnUpload,
    reading: OnReading,
}

impl Meddling {
    /// Makes a store that changes uploads.
    pub(crate) fn with_uploads(
        inner: AnyStore,
        upload: impl Fn(Box<dyn Upload>) -> Box<dyn Upload> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, upload: Arc::new(upload), reading: Arc::new(|_, reading| reading) }
    }

    /// Makes a store that changes what is read.
    pub(crate) fn with_readings(
        inner: AnyStore,
        reading: impl Fn(Object, Reading) -> Reading + Send + Sync + 'static,
    ) -> Self {
        Self { inner, upload: Arc::new(|upload| upload), reading: Arc::new(reading) }
    }
}

impl fmt::Debug for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meddling").field(&self.inner).finish()
    }
}

#[async_trait]
impl Store for Meddling {
    async fn look(&self, run: &StorePath) -> Result<RunObjects> {
        self.inner.look(run).await
    }

    async fn start(&self, run: &StorePath, attempt: Attempt) -> Result<Box<dyn Upload>> {
        self.inner.start(run, attempt).await.map(|upload| (self.upload)(upload))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        self.inner.read(run, object, offset).await.map(|reading| (self.reading)(object, reading))
    }

    async fn sync(&self, run: &StorePath) -> Result<()> {
        self.inner.sync(run).await
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        self.inner.children(dir).await
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        self.inner.walk(dir)
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
