//! The object store: any S3-compatible bucket.
//!
//! This module provides everything that an endpoint lacks, so `sink` needs one protocol for all
//! backends.
//!
//! | file | contents |
//! |---|---|
//! | `protocol` | the steps of one attempt, without HTTP: one file per step |
//! | `requests` | the requests |
//! | `client`, `connect`, `credentials`, `proxy` | sending them over HTTP |
//! | `fault` | the meaning of an answer, and its error kind |
//! | `patience` | how long a request may take |
//! | `retry` | when a request is sent again |
//! | `upload` | the parts of a payload |
//! | `reading` | resuming an interrupted GET |
//! | `absence` | whether an object is absent |
//! | `listing` | the objects below a prefix |
//! | `leftovers` | listing and deleting leftovers of attempts |
//! | `scratch` | raw requests below a scratch prefix, to examine a bucket |

mod absence;
mod client;
mod config;
mod connect;
mod credentials;
mod fault;
mod leftovers;
mod listing;
mod patience;
mod protocol;
mod provider;
mod proxy;
mod reading;
#[cfg_attr(not(feature = "unstable-raw"), expect(unreachable_pub, reason = "a feature shows it"))]
mod requests;
mod retry;
#[cfg(feature = "unstable-raw")]
mod scratch;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};

#[cfg(not(feature = "unstable-raw"))]
use self::requests::Requests;
use self::{
    client::Client,
    protocol::{S3Attempt, S3Context},
    retry::Retrier,
    upload::{PartSizing, S3Upload},
};
pub use self::{
    config::{
        AccessKey, MAX_DURATION, MAX_PART_BYTES, MAX_UPLOADS_IN_FLIGHT, MIN_PART_BYTES, Proxy,
        ProxyUrl, S3Config, S3ConfigBuilder, Timing,
    },
    provider::{Addressing, CompleteConditions, PROVIDERS, Provider},
    retry::RetryConfig,
};
#[cfg(feature = "unstable-raw")]
#[doc(hidden)]
pub use self::{
    fault::S3Fault,
    requests::{
        Condition, Content, Head, OpenUpload, Page, Reply, Requests, UploadMarker, UploadPage,
        UploadParts,
    },
    scratch::{BucketScratch, Traffic, Versioning},
};
use super::{
    Discarded, Leftover, LeftoverKind, Object, Presence, Reading, Restoration, RunObjects,
    StartOptions, Store, StorePath, Stored, Upload, WriterToken,
};
use crate::{
    error::Result,
    runtime::{Runtime, waits::Waits},
};

/// A store in a bucket, below a prefix.
#[derive(Debug, Clone)]
pub struct S3Store {
    context: S3Context,
    prefix: String,
    sizing: PartSizing,
}

impl S3Store {
    /// Creates a store in the bucket of the config. Sends nothing.
    ///
    /// # Errors
    /// `Invalid` for secrets or certificates that cannot be read.
    pub fn new(config: &S3Config, runtime: Runtime) -> Result<Self> {
        Self::connected(config, runtime, None)
    }

    /// Creates a store that connects to its bucket through the caller's connector, such as one to a
    /// server in the same process.
    ///
    /// # Errors
    /// `Invalid` for secrets that cannot be read.
    #[cfg(feature = "unstable-raw")]
    #[doc(hidden)]
    pub fn with_connector(
        config: &S3Config,
        runtime: Runtime,
        connector: aws_sdk_s3::config::SharedHttpClient,
    ) -> Result<Self> {
        Self::connected(config, runtime, Some(connector))
    }

    fn connected(
        config: &S3Config,
        runtime: Runtime,
        connector: Option<aws_sdk_s3::config::SharedHttpClient>,
    ) -> Result<Self> {
        let waits = Waits::new(runtime.clock.clone());
        let client = Client::new(config, runtime.clock.clone(), waits.clone(), connector)?;
        Ok(Self::over(Arc::new(client), config, runtime, waits))
    }

    /// Creates a store whose requests the caller answers, such as a simulated server.
    #[cfg(feature = "unstable-raw")]
    #[doc(hidden)]
    pub fn with_requests(requests: Arc<dyn Requests>, config: &S3Config, runtime: Runtime) -> Self {
        let waits = Waits::new(runtime.clock.clone());
        Self::over(requests, config, runtime, waits)
    }

    fn over(
        requests: Arc<dyn Requests>,
        config: &S3Config,
        runtime: Runtime,
        waits: Waits,
    ) -> Self {
        let context = S3Context {
            requests,
            retrier: Retrier::new(runtime, config.retry, waits),
            timing: config.timing,
            complete_conditions: config.complete_conditions,
        };
        let sizing = PartSizing {
            part_bytes: config.part_bytes,
            in_flight: config.uploads_in_flight,
            max_parts: config.provider.max_parts,
            equal_parts: config.provider.equal_parts,
        };
        Self { context, prefix: config.prefix.clone(), sizing }
    }

    fn key(&self, path: &StorePath) -> String {
        format!("{}/{path}", self.prefix)
    }

    fn object_key(&self, run: &StorePath, object: Object) -> String {
        format!("{}/{}", self.key(run), object.file_name())
    }
}

impl crate::internal::Internal for S3Store {}

#[async_trait]
impl Store for S3Store {
    async fn inspect(&self, run: &StorePath) -> Result<RunObjects> {
        // The seal first: then a payload without a seal was unsealed when the seal was checked.
        let mut found = [None, None];
        for (place, object) in found.iter_mut().zip([Object::Seal, Object::Payload]) {
            let (context, key) = (&self.context, self.object_key(run, object));
            let head = absence::find(&*context.requests, &context.retrier, &key).await?;
            *place = head.map(|head| head.info());
        }
        let [seal, payload] = found;
        Ok(RunObjects { payload, seal })
    }

    async fn start(&self, run: &StorePath, options: StartOptions) -> Result<Box<dyn Upload>> {
        let key = self.key(run);
        let mut started =
            S3Attempt::new(self.context.clone(), &key, options.token, options.leftover);
        started.begin(&key, options.now).await?;
        Ok(Box::new(S3Upload::new(started, self.sizing)))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        let key = self.object_key(run, object);
        reading::open(
            self.context.requests.clone(),
            self.context.retrier.clone(),
            key,
            object,
            offset,
        )
        .await
    }

    async fn sync(&self, _runs: &[StorePath]) -> Result<()> {
        // Objects are durable once the PUT is answered.
        Ok(())
    }

    fn children(&self, dir: &StorePath) -> BoxStream<'static, Result<String>> {
        let (requests, retrier) = (self.context.requests.clone(), self.context.retrier.clone());
        listing::children(requests, retrier, self.key_prefix(dir))
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        listing::walk(
            self.context.requests.clone(),
            self.context.retrier.clone(),
            format!("{}/", self.prefix),
            self.key_prefix(dir),
        )
    }

    fn prefix_bytes(&self) -> usize {
        self.prefix.len()
    }

    fn presence(&self) -> Presence {
        Presence::Age
    }

    /// Streams open uploads first, then payloads.
    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        let uploads = leftovers::UploadFinder {
            requests: self.context.requests.clone(),
            retrier: self.context.retrier.clone(),
            root: format!("{}/", self.prefix),
            prefix: self.key_prefix(dir),
        };
        uploads.stream().chain(super::unsealed::unsealed_payloads(self.walk(dir))).boxed()
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        let discarding = leftovers::LeftoverRemover {
            requests: &*self.context.requests,
            retrier: &self.context.retrier,
            payload_key: self.object_key(&leftover.run, Object::Payload),
            seal_key: self.object_key(&leftover.run, Object::Seal),
        };
        match leftover.kind {
            LeftoverKind::Upload => discarding.upload(leftover).await,
            LeftoverKind::Payload => discarding.payload(leftover).await,
            LeftoverKind::Staging => Ok(Discarded::Gone),
        }
    }

    async fn restore(
        &self,
        run: &StorePath,
        token: WriterToken,
        restoration: Restoration,
    ) -> Result<()> {
        let mut restore = S3Attempt::restoring(self.context.clone(), &self.key(run), token);
        match restoration {
            Restoration::Payload { seal, chunks } => {
                restore.begin_restore(&seal).await?;
                S3Upload::new(restore, self.sizing).restore(&seal, chunks).await
            }
            Restoration::Seal(document) => restore.restore_seal(&document).await,
        }
    }
}

impl S3Store {
    /// Returns the prefix of every key below `dir`.
    fn key_prefix(&self, dir: &StorePath) -> String {
        if dir.as_str().is_empty() {
            format!("{}/", self.prefix)
        } else {
            format!("{}/", self.key(dir))
        }
    }
}
