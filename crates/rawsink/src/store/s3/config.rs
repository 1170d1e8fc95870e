//! The configuration of a bucket, and the rules for its values.
//!
//! [`S3Config`] is always valid: its fields are private and [`S3ConfigBuilder::build`] checks them
//! all.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    provider::{Addressing, CompleteConditions, Provider},
    retry::RetryConfig,
};
use crate::{
    error::{ConfigFault, Result},
    secret::Secret,
    tls::{self, is_loopback},
};

/// Smallest part of a multipart upload that servers accept, in bytes.
pub const MIN_PART_BYTES: usize = 5 << 20;
/// Largest part that may be configured, in bytes. A part is held in memory.
pub const MAX_PART_BYTES: usize = 1 << 30;
/// Most parts of one payload that may be in flight.
pub const MAX_UPLOADS_IN_FLIGHT: usize = 64;
/// Longest duration that may be configured.
pub const MAX_DURATION: Duration = Duration::from_hours(24);

/// How requests reach the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proxy {
    /// Directly.
    #[default]
    Direct,
    /// Through the proxy named by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, if any.
    FromEnvironment,
}

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
            proxy: self.proxy,
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

/// Collects the values of an [`S3Config`].
#[derive(Debug, Clone)]
#[must_use]
pub struct S3ConfigBuilder {
    endpoint_url: String,
    bucket: String,
    prefix: String,
    access_key: AccessKey,
    region: Option<String>,
    addressing: Option<Addressing>,
    ca_file: Option<PathBuf>,
    allow_http: bool,
    proxy: Proxy,
    part_bytes: usize,
    uploads_in_flight: usize,
    complete_conditions: Option<CompleteConditions>,
    timing: Timing,
    retry: RetryConfig,
}

impl S3ConfigBuilder {
    /// Sets the endpoint.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint_url = url.into();
        self
    }

    /// Sets the access key.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.access_key = key;
        self
    }

    /// Sets the bucket.
    pub fn bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = bucket.into();
        self
    }

    /// Sets the root inside the bucket.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the region that requests are signed for. The default depends on the provider.
    pub fn region(mut self, region: impl Into<Option<String>>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets how requests name the bucket. The default depends on the provider.
    pub fn addressing(mut self, addressing: impl Into<Option<Addressing>>) -> Self {
        self.addressing = addressing.into();
        self
    }

    /// Trusts the certificates of a PEM file, besides the system's.
    pub fn ca_file(mut self, path: impl Into<Option<PathBuf>>) -> Self {
        self.ca_file = path.into();
        self
    }

    /// Allows plain `http` to other machines. On loopback it is always allowed.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Sets how requests reach the endpoint; directly unless set.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Sets the size of a part, from 5 MiB to 1 GiB; 8 MiB unless set.
    ///
    /// A writer's memory is about this times the parts in flight.
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets how many parts of one payload are sent in parallel, from 1 to 64; 4 unless set.
    pub fn uploads_in_flight(mut self, parts: usize) -> Self {
        self.uploads_in_flight = parts;
        self
    }

    /// Sets whether the server honours conditions on `CompleteMultipartUpload`. The default depends
    /// on the provider.
    pub fn complete_conditions(
        mut self,
        conditions: impl Into<Option<CompleteConditions>>,
    ) -> Self {
        self.complete_conditions = conditions.into();
        self
    }

    /// Sets the waits of the protocol.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Sets how failed requests are retried.
    pub fn retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry;
        self
    }

    /// Checks all values.
    ///
    /// # Errors
    /// `Invalid`, which names every field that has an illegal value.
    pub fn build(self) -> Result<S3Config> {
        self.checked().map_err(|faults| ConfigFault::join(&faults))
    }

    /// Checks all values and returns all faults, each with its field.
    pub(crate) fn checked(self) -> Result<S3Config, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut fault = |field, what| faults.push(ConfigFault { field, what });
        let endpoint = endpoint(&self.endpoint_url).map_err(|what| fault("endpoint_url", what));
        let bucket = bucket(&self.bucket).map_err(|what| fault("bucket", what));
        let prefix = prefix(&self.prefix).map_err(|what| fault("prefix", what));
        if let Some(region) = &self.region
            && let Err(what) = region_name(region)
        {
            fault("region", what);
        }
        if let Some(path) = &self.ca_file
            && let Err(what) = tls::read_certificates(path)
        {
            fault("ca_file", what);
        }
        if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&self.part_bytes) {
            fault("part_bytes", format!("is {}, not from 5 MiB to 1 GiB", self.part_bytes));
        }
        if !(1..=MAX_UPLOADS_IN_FLIGHT).contains(&self.uploads_in_flight) {
            fault("uploads_in_flight", format!("is {}, not from 1 to 64", self.uploads_in_flight));
        }
        for (field, what) in self.timing.faults() {
            fault(field, what);
        }
        if let Ok(endpoint) = &endpoint
            && let Some(what) = endpoint.refusal(self.allow_http)
        {
            fault("endpoint_url", what);
        }
        match (endpoint, bucket, prefix) {
            (Ok(endpoint), Ok(bucket), Ok(prefix)) if faults.is_empty() => {
                Ok(self.into_config(endpoint, bucket, prefix))
            }
            _ => Err(faults),
        }
    }

    fn into_config(self, endpoint: Endpoint, bucket: String, prefix: String) -> S3Config {
        let provider = endpoint.provider;
        S3Config {
            region: self.region.unwrap_or_else(|| provider.region(&endpoint.host)),
            addressing: self.addressing.unwrap_or_else(|| provider.addressing(&bucket)),
            complete_conditions: self.complete_conditions.unwrap_or(provider.complete_conditions),
            endpoint_url: endpoint.url,
            provider,
            bucket,
            prefix,
            access_key: self.access_key,
            ca_file: self.ca_file,
            allow_http: self.allow_http,
            proxy: self.proxy,
            part_bytes: self.part_bytes,
            uploads_in_flight: self.uploads_in_flight,
            timing: self.timing,
            retry: self.retry,
        }
    }
}

impl Timing {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("leftover_grace", self.leftover_grace),
            ("seal_deadline", self.seal_deadline),
            ("seal_timeout", self.seal_timeout),
            ("complete_deadline", self.complete_deadline),
        ];
        let legal = Duration::from_millis(1)..=MAX_DURATION;
        let mut faults: Vec<_> = fields
            .into_iter()
            .filter(|(_, time)| !legal.contains(time))
            .map(|(field, time)| (field, format!("is {time:?}, not more than 0 and up to 24 h")))
            .collect();
        let least = self.least_grace();
        if faults.is_empty() && self.leftover_grace < least {
            let what = format!(
                "is {} s, must be at least {} s: the seal's deadline ({} s) and one and a half of its \
                 timeouts ({} s each)",
                self.leftover_grace.as_secs_f64(),
                least.as_secs_f64(),
                self.seal_deadline.as_secs_f64(),
                self.seal_timeout.as_secs_f64()
            );
            faults.push(("leftover_grace", what));
        }
        faults
    }
}

/// A parsed endpoint URL.
struct Endpoint {
    url: String,
    host: String,
    provider: &'static Provider,
}

impl Endpoint {
    /// Returns the reason to refuse an endpoint: it could overwrite a sealed run or leak secrets.
    fn refusal(&self, allow_http: bool) -> Option<String> {
        if let Some(why) = self.provider.refused {
            return Some(format!("is refused: {why}"));
        }
        let in_the_clear = self.url.starts_with("http:") && !is_loopback(&self.host);
        (in_the_clear && !allow_http).then(|| "is plain http to another machine".to_owned())
    }
}

/// Parses an endpoint URL. The error never contains the URL, which may include a password.
fn endpoint(text: &str) -> Result<Endpoint, String> {
    let url = url::Url::parse(text).map_err(|cause| format!("is not a URL: {cause}"))?;
    let fault = match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) if !url.username().is_empty() || url.password().is_some() => {
            "contains credentials"
        }
        ("http" | "https", Some(_)) if url.path() != "/" => {
            "has a path; set the bucket and the prefix separately"
        }
        ("http" | "https", Some(_)) if url.query().is_some() || url.fragment().is_some() => {
            "has a query or fragment"
        }
        ("http" | "https", Some(host)) => {
            let plain = url.as_str().trim_end_matches('/').to_owned();
            let provider = Provider::of_host(host);
            return Ok(Endpoint { url: plain, host: host.to_owned(), provider });
        }
        _ => "does not start with https:// and a host",
    };
    Err(fault.to_owned())
}

fn bucket(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (3..=255).contains(&text.len()) && text.bytes().all(legal) && text != "..." {
        Ok(text.to_owned())
    } else {
        Err(format!("is {text:?}, not a valid bucket name"))
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let trimmed = text.trim_matches('/');
    let legal = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.chars().any(char::is_control)
    };
    if trimmed.split('/').all(legal) {
        Ok(trimmed.to_owned())
    } else {
        Err(format!("is {text:?}, not a valid path inside a bucket"))
    }
}

fn region_name(text: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !text.is_empty() && text.bytes().all(legal) {
        Ok(())
    } else {
        Err(format!("is {text:?}, not a valid region name"))
    }
}

#[cfg(test)]
mod tests;
