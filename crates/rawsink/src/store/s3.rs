//! The object store: any S3-compatible bucket.
//!
//! Whatever an endpoint cannot do by itself is inside this module, so that `sink` holds one protocol
//! for all backends.
//!
//! | file | what it decides |
//! |---|---|
//! | `protocol` | the steps of one attempt, without HTTP |
//! | `requests` | which requests there are |
//! | `client`, `connect`, `credentials` | how they are sent |
//! | `fault` | what an answer means, and which kind of error it is |
//! | `retry` | what is sent again, and when |
//! | `upload` | how a payload is cut into parts |
//! | `reading` | how a GET that was cut goes on |
//! | `listing` | what is below a prefix |
//! | `leftovers` | what attempts left, and removing it |
//! | `scratch` | raw requests below a prefix of their own, to examine a bucket |

mod client;
mod connect;
mod credentials;
mod fault;
mod leftovers;
mod listing;
mod protocol;
mod reading;
#[cfg_attr(not(feature = "simulation"), expect(unreachable_pub, reason = "a feature shows it"))]
mod requests;
mod retry;
mod scratch;
mod upload;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::config::SharedHttpClient;
use futures_util::stream::{BoxStream, StreamExt};

#[cfg(not(feature = "simulation"))]
use self::requests::Requests;
pub(crate) use self::scratch::{BucketScratch, Traffic, Versioning};
#[cfg(feature = "simulation")]
pub use self::{
    fault::Fault,
    requests::{
        Condition, Content, Head, OpenUpload, Page, Reply, Requests, UploadMarker, UploadPage,
        UploadParts,
    },
};
#[cfg(not(feature = "simulation"))]
pub(crate) use self::{
    fault::Fault,
    requests::{Condition, Reply},
};
use self::{
    protocol::Rules,
    upload::{Cutting, S3Upload},
};
use super::{
    Attempt, Discarded, Leftover, LeftoverKind, Object, ObjectInfo, Presence, Reading, RunObjects,
    Store, StorePath, Stored, Upload,
};
use crate::{
    clock::Surroundings,
    config::{CompleteConditions, ObjectSettings},
    error::Result,
};

/// A store in a bucket, below a prefix.
#[derive(Debug, Clone)]
pub struct S3Store {
    requests: Arc<dyn Requests>,
    surroundings: Surroundings,
    prefix: String,
    rules: Rules,
    cutting: Cutting,
}

impl S3Store {
    /// Makes a store in the bucket that the settings name; sends nothing.
    ///
    /// # Errors
    /// `Invalid` for secrets or certificates that cannot be read.
    pub fn new(settings: &ObjectSettings, surroundings: Surroundings) -> Result<Self> {
        let client = connect::client(settings, surroundings.clock.clone(), None)?;
        Ok(Self::over(Arc::new(client), settings, surroundings))
    }

    /// Makes a store that reaches its bucket by a connector of the caller's, such as a server in
    /// the same process.
    ///
    /// # Errors
    /// `Invalid` for secrets that cannot be read.
    pub fn with_connector(
        settings: &ObjectSettings,
        surroundings: Surroundings,
        connector: SharedHttpClient,
    ) -> Result<Self> {
        let client = connect::client(settings, surroundings.clock.clone(), Some(connector))?;
        Ok(Self::over(Arc::new(client), settings, surroundings))
    }

    /// Makes a store whose requests somebody else answers, such as a server as data.
    #[cfg(feature = "simulation")]
    pub fn with_requests(
        requests: Arc<dyn Requests>,
        settings: &ObjectSettings,
        surroundings: Surroundings,
    ) -> Self {
        Self::over(requests, settings, surroundings)
    }

    fn over(
        requests: Arc<dyn Requests>,
        settings: &ObjectSettings,
        surroundings: Surroundings,
    ) -> Self {
        let rules = Rules {
            complete_conditions_enforced: settings.complete_conditions
                == CompleteConditions::Enforced,
            grace: Duration::from_secs(settings.leftover_grace_s),
            seal_deadline: Duration::from_secs(settings.seal_deadline_s),
            seal_timeout: Duration::from_secs(settings.seal_timeout_s),
            complete_deadline: Duration::from_secs(settings.complete_deadline_s),
        };
        let cutting = Cutting {
            part_bytes: settings.part_bytes,
            in_flight: settings.uploads_in_flight,
            max_parts: settings.provider.max_parts,
            equal_parts: settings.provider.equal_parts,
        };
        Self { requests, surroundings, prefix: settings.prefix.clone(), rules, cutting }
    }

    fn key(&self, path: &StorePath) -> String {
        format!("{}/{path}", self.prefix)
    }

    fn object_key(&self, run: &StorePath, object: Object) -> String {
        format!("{}/{}", self.key(run), object.file_name())
    }
}

#[async_trait]
impl Store for S3Store {
    async fn look(&self, run: &StorePath) -> Result<RunObjects> {
        // The seal first: a payload that is seen without a seal was unsealed at that moment.
        let mut found = [None, None];
        for (place, object) in found.iter_mut().zip([Object::Seal, Object::Payload]) {
            let key = self.object_key(run, object);
            let head =
                retry::answered(&self.surroundings, || self.requests.head(&key)).await?.value;
            *place = head.map(|head| ObjectInfo { bytes: head.bytes, modified: head.modified });
        }
        let [seal, payload] = found;
        Ok(RunObjects { payload, seal })
    }

    async fn start(&self, run: &StorePath, attempt: Attempt) -> Result<Box<dyn Upload>> {
        let key = self.key(run);
        let (requests, surroundings) = (self.requests.clone(), self.surroundings.clone());
        let mut started = protocol::Attempt::new(
            requests,
            surroundings,
            self.rules,
            &key,
            attempt.token,
            attempt.leftover,
        );
        started.begin(&key, attempt.now).await?;
        if started.replaces_leftover()
            && let Err(error) = started.open_upload().await
        {
            // The error stands; what stays open is found by the next attempt.
            let _ = started.end().await;
            return Err(error);
        }
        Ok(Box::new(S3Upload::new(started, self.cutting)))
    }

    async fn read(&self, run: &StorePath, object: Object, offset: u64) -> Result<Reading> {
        let key = self.object_key(run, object);
        reading::open(self.requests.clone(), self.surroundings.clone(), key, object, offset).await
    }

    async fn sync(&self, _run: &StorePath) -> Result<()> {
        // An answered PUT is durable.
        Ok(())
    }

    async fn children(&self, dir: &StorePath) -> Result<Vec<String>> {
        listing::children(&self.requests, &self.surroundings, &self.key_prefix(dir)).await
    }

    fn walk(&self, dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        listing::walk(
            self.requests.clone(),
            self.surroundings.clone(),
            format!("{}/", self.prefix),
            self.key_prefix(dir),
        )
    }

    fn presence(&self) -> Presence {
        Presence::Age
    }

    /// Open uploads first, then payloads.
    fn leftovers(&self, dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        let uploads = leftovers::Uploads {
            requests: self.requests.clone(),
            surroundings: self.surroundings.clone(),
            root: format!("{}/", self.prefix),
            prefix: self.key_prefix(dir),
        };
        uploads.stream().chain(super::leftovers::unsealed_payloads(self.walk(dir))).boxed()
    }

    async fn discard(&self, leftover: &Leftover) -> Result<Discarded> {
        let discarding = leftovers::Discarding {
            requests: &*self.requests,
            surroundings: &self.surroundings,
            payload_key: self.object_key(&leftover.run, Object::Payload),
            seal_key: self.object_key(&leftover.run, Object::Seal),
        };
        match leftover.kind {
            LeftoverKind::Upload => discarding.upload(leftover).await,
            LeftoverKind::Payload => discarding.payload(leftover).await,
            LeftoverKind::Staging => Ok(Discarded::Gone),
        }
    }
}

impl S3Store {
    /// Returns what every key below `dir` starts with.
    fn key_prefix(&self, dir: &StorePath) -> String {
        if dir.as_str().is_empty() {
            format!("{}/", self.prefix)
        } else {
            format!("{}/", self.key(dir))
        }
    }
}
