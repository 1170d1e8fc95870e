//! The configuration of a bucket, and the rules for its values.
//!
//! [`S3Config`] is always valid: its fields are private and [`S3ConfigBuilder::build`] checks them
//! all.

mod builder;
mod checks;
mod proxy;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    builder::S3ConfigBuilder,
    proxy::{Proxy, ProxyUrl},
};
use super::{
    provider::{Addressing, CompleteConditions, Provider},
    retry::RetryConfig,
};
use crate::secret::Secret;

/// Smallest part of a multipart upload that servers accept, in bytes.
pub const MIN_PART_BYTES: usize = 5 << 20;
/// Largest part that may be configured, in bytes. A part is held in memory.
pub const MAX_PART_BYTES: usize = 1 << 30;
/// Most parts of one payload that may be in flight.
pub const MAX_UPLOADS_IN_FLIGHT: usize = 64;
/// Longest duration that may be configured.
pub const MAX_DURATION: Duration = Duration::from_hours(24);

/// The access key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessKey {
    /// The key's id.
    pub id: Secret,
    /// The secret key.
    pub secret: Secret,
    /// The session token of temporary keys.
    pub session_token: Option<Secret>,
}

impl AccessKey {
    /// Creates a permanent access key.
    pub fn new(id: Secret, secret: Secret) -> Self {
        Self { id, secret, session_token: None }
    }

    /// Adds the session token of a temporary key.
    #[must_use]
    pub fn session_token(mut self, token: Option<Secret>) -> Self {
        self.session_token = token;
        self
    }
}

/// A valid configuration of a bucket, see [`S3Config::builder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Config {
    pub(crate) endpoint_url: String,
    pub(crate) provider: &'static Provider,
    pub(crate) region: String,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) access_key: AccessKey,
    pub(crate) addressing: Addressing,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) allow_http: bool,
    pub(crate) proxy: Proxy,
    pub(crate) part_bytes: usize,
    pub(crate) uploads_in_flight: usize,
    pub(crate) complete_conditions: CompleteConditions,
    pub(crate) timing: Timing,
    pub(crate) retry: RetryConfig,
}

/// The waits of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a writer waits before its payload appears, after it found a leftover, or aborted
    /// another upload where conditions on Complete are ignored. At least [`Timing::least_grace`].
    pub leftover_grace: Duration,
    /// How long after its last check a writer may still send the seal.
    pub seal_deadline: Duration,
    /// How long one request that sends the seal may take.
    pub seal_timeout: Duration,
    /// How long `CompleteMultipartUpload`, and the sealing as a whole, may be retried.
    pub complete_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            leftover_grace: Duration::from_secs(90),
            seal_deadline: Duration::from_mins(1),
            seal_timeout: Duration::from_secs(20),
            complete_deadline: Duration::from_mins(10),
        }
    }
}

impl Timing {
    /// Returns the shortest safe grace: the seal's deadline plus one and a half of its timeouts.
    pub fn least_grace(&self) -> Duration {
        self.seal_deadline + self.seal_timeout * 3 / 2
    }
}

impl S3Config {
    /// Starts a configuration from the values that have no default.
    ///
    /// `endpoint_url` has a scheme and a host and no path. `prefix` is the root inside the bucket,
    /// such as `raw`.
    pub fn builder(
        endpoint_url: impl Into<String>,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        access_key: AccessKey,
    ) -> S3ConfigBuilder {
        S3ConfigBuilder {
            endpoint_url: endpoint_url.into(),
            bucket: bucket.into(),
            prefix: prefix.into(),
            access_key,
            region: None,
            addressing: None,
            ca_file: None,
            allow_http: false,
            proxy: Proxy::Direct,
            part_bytes: 8 << 20,
            uploads_in_flight: 4,
            complete_conditions: None,
            timing: Timing::default(),
            retry: RetryConfig::default(),
        }
    }

    /// Returns a builder that holds these values, to change some of them.
    ///
    /// If the addressing is the provider's default, it follows later changes of provider and
    /// bucket.
    pub fn to_builder(&self) -> S3ConfigBuilder {
        let preset = self.addressing == self.provider.addressing(&self.bucket);
        S3ConfigBuilder {
            endpoint_url: self.endpoint_url.clone(),
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            access_key: self.access_key.clone(),
            region: Some(self.region.clone()),
            addressing: (!preset).then_some(self.addressing),
            ca_file: self.ca_file.clone(),
            allow_http: self.allow_http,
            proxy: self.proxy.clone(),
            part_bytes: self.part_bytes,
            uploads_in_flight: self.uploads_in_flight,
            complete_conditions: Some(self.complete_conditions),
            timing: self.timing,
            retry: self.retry,
        }
    }

    /// Sets parts of any size, which servers may refuse.
    #[cfg(feature = "unstable-raw")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_unchecked_part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets waits of any length, which may break the guarantees.
    #[cfg(feature = "unstable-raw")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_unchecked_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Sets whether the server honours conditions on `CompleteMultipartUpload`.
    #[cfg(feature = "unstable-raw")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_complete_conditions(mut self, conditions: CompleteConditions) -> Self {
        self.complete_conditions = conditions;
        self
    }

    /// Sets the assumed properties of the server.
    #[cfg(feature = "unstable-raw")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_provider(mut self, provider: &'static Provider) -> Self {
        self.provider = provider;
        self
    }

    /// Returns the endpoint's URL, without a trailing slash.
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// Returns the endpoint's provider.
    pub fn provider(&self) -> &'static Provider {
        self.provider
    }

    /// Returns the bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the root inside the bucket, without a slash at either end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the access key. `Debug` does not print its parts.
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// Returns the certificates that are trusted besides the system's.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Returns the size of a part, in bytes.
    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    /// Returns how many parts of one payload are sent in parallel.
    pub fn uploads_in_flight(&self) -> usize {
        self.uploads_in_flight
    }

    /// Returns how requests name the bucket.
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// Returns whether the server honours conditions on `CompleteMultipartUpload`.
    pub fn complete_conditions(&self) -> CompleteConditions {
        self.complete_conditions
    }

    /// Returns the waits of the protocol.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Returns how failed requests are retried.
    pub fn retry(&self) -> RetryConfig {
        self.retry
    }

    /// Returns the URL of requests, with the bucket's name if it is part of the host.
    #[cfg(feature = "env")]
    pub(crate) fn url_of_requests(&self) -> Option<url::Url> {
        let mut url = url::Url::parse(&self.endpoint_url).ok()?;
        if self.addressing == Addressing::Virtual {
            let host = format!("{}.{}", self.bucket, url.host_str()?);
            url.set_host(Some(&host)).ok()?;
        }
        Some(url)
    }

    /// Returns the URI of the root, `s3://bucket/prefix`. Names are not percent-encoded.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Writes the location of the partitions: `https://host/bucket/prefix`.
impl fmt::Display for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.endpoint_url, self.bucket, self.prefix)
    }
}
