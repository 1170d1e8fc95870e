//! Collects the values of a configuration and checks them together.

use std::path::PathBuf;

use super::{
    AccessKey, MAX_PART_BYTES, MAX_UPLOADS_IN_FLIGHT, MIN_PART_BYTES, Proxy, S3Config, Timing,
    checks::{self, Endpoint},
};
use crate::{
    error::{ConfigFault, Result},
    store::s3::{
        provider::{Addressing, CompleteConditions},
        retry::RetryConfig,
    },
    tls,
};

/// Collects the values of an [`S3Config`].
#[derive(Debug, Clone)]
#[must_use]
pub struct S3ConfigBuilder {
    pub(super) endpoint_url: String,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) access_key: AccessKey,
    pub(super) region: Option<String>,
    pub(super) addressing: Option<Addressing>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) allow_http: bool,
    pub(super) proxy: Proxy,
    pub(super) part_bytes: usize,
    pub(super) uploads_in_flight: usize,
    pub(super) complete_conditions: Option<CompleteConditions>,
    pub(super) timing: Timing,
    pub(super) retry: RetryConfig,
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
        let endpoint =
            checks::endpoint(&self.endpoint_url).map_err(|what| fault("endpoint_url", what));
        let bucket = checks::bucket(&self.bucket).map_err(|what| fault("bucket", what));
        let prefix = checks::prefix(&self.prefix).map_err(|what| fault("prefix", what));
        if let Some(region) = &self.region
            && let Err(what) = checks::region_name(region)
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
        for (field, what) in self.timing.faults().into_iter().chain(checks::retry(&self.retry)) {
            fault(field, what);
        }
        if let Ok(endpoint) = &endpoint
            && let Some((field, what)) = endpoint.refusal(self.allow_http)
        {
            fault(field, what);
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
