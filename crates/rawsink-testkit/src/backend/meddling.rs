//! A store whose uploads, reads and listings a test can intercept.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt, future::ready, stream::BoxStream};
use rawsink::{
    Error, ErrorKind, Result,
    store::{
        Discarded, Leftover, Object, Presence, Reading, Restoration, RunObjects, StartOptions,
        Store, StorePath, Stored, Upload, WriterToken,
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
    /// Paths that walks cannot show.
    hidden: BTreeSet<StorePath>,
    prefix_bytes: usize,
}

impl Meddling {
    fn forwarding(inner: AnyStore) -> Self {
        let (upload, reading): (OnUpload, OnReading) =
            (Arc::new(|upload| upload), Arc::new(|_, reading| reading));
        Self { inner, upload, reading, hidden: BTreeSet::new(), prefix_bytes: 0 }
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

    /// Creates a store whose walks cannot show what is stored at these paths: each is one error, in its
    /// place.
    pub fn hiding(inner: AnyStore, hidden: impl IntoIterator<Item = StorePath>) -> Self {
        Self { hidden: hidden.into_iter().collect(), ..Self::forwarding(inner) }
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

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        self.inner.children(dir)
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        let (hidden, mut told) = (self.hidden.clone(), BTreeSet::new());
        let visible = self.inner.walk(dir).filter_map(move |stored| {
            let path = stored.as_ref().ok().and_then(|stored| {
                hidden.iter().find(|hidden| stored.dir.below(hidden).is_some()).cloned()
            });
            ready(match path {
                None => Some(stored),
                Some(path) => told.insert(path.clone()).then(|| {
                    Err(Error::new(ErrorKind::Denied, "injected: permission denied").at(path))
                }),
            })
        });
        visible.boxed()
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

    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        self.inner.restore(run, token, restoration).await
    }
}
