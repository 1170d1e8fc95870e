//! Raw requests below a scratch prefix, to examine a bucket.
//!
//! These are requests that no method of a store offers: single requests without retries, DELETE,
//! versions. Every key is below the scratch prefix, so no other object is touched. All used names
//! are recorded, so that they can be deleted.

#![expect(clippy::missing_errors_doc, reason = "each returns the fault of its request")]

mod clearing;
mod traffic;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_s3::{config::SharedHttpClient, types::BucketVersioningStatus};
use bytes::Bytes;
use futures_util::TryStreamExt;

pub use self::traffic::Traffic;
use self::traffic::TrafficRecorder;
use super::{
    client::Client,
    fault::S3Fault,
    requests::{Condition, Head, OpenUpload, Reply, Requests},
    retry::{Retrier, RetryConfig},
};
use crate::{
    error::Result,
    runtime::{Runtime, waits::Waits},
    store::{
        WriterToken,
        s3::{Addressing, S3Config},
    },
};

/// How long one request may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Greatest number of tries of a request that the examination depends on.
const TRIES: u32 = 5;

/// A prefix of a bucket that no other process uses.
pub struct BucketScratch {
    client: Client,
    /// A client with the other addressing; `None` if the endpoint is an IP address.
    other_addressing: Option<(Addressing, Client)>,
    prefix: String,
    traffic: Arc<TrafficRecorder>,
    retrier: Retrier,
    stopped: AtomicBool,
    used: Mutex<UsedNames>,
}

/// The names that were used.
#[derive(Debug, Default)]
struct UsedNames {
    objects: BTreeSet<String>,
    /// By name, the number of uploads that may exist. An abort does not lower it: a listing has to
    /// confirm it.
    uploads: BTreeMap<String, usize>,
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Versioning was never enabled.
    Off,
    /// Versioning is enabled.
    On,
    /// Versioning was enabled and is suspended.
    Suspended,
}

/// An object as GET shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub bytes: Bytes,
    /// The token in the user metadata.
    pub writer: Option<String>,
}

impl BucketScratch {
    /// Creates a scratch in the bucket of the config. Sends nothing.
    pub fn new(
        config: &S3Config,
        runtime: Runtime,
        connector: Option<&SharedHttpClient>,
    ) -> Result<Self> {
        let traffic = Arc::new(TrafficRecorder::new(runtime.clock.clone()));
        let waits = Waits::new(runtime.clock.clone());
        let client = |config: &S3Config| {
            let recorder = TrafficRecorder::interceptor(&traffic);
            let clock = runtime.clock.clone();
            Client::with_sdk_config(config, clock, waits.clone(), connector.cloned(), |config| {
                config.interceptor(recorder)
            })
        };
        let other = match config.addressing {
            Addressing::Path => Addressing::Virtual,
            Addressing::Virtual => Addressing::Path,
        };
        let other_addressing = if host_is_address(config) {
            None
        } else {
            Some((other, client(&S3Config { addressing: other, ..config.clone() })?))
        };
        let token = WriterToken::new(runtime.tokens.next());
        Ok(Self {
            client: client(config)?,
            other_addressing,
            prefix: format!("{}/_doctor/{token}", config.prefix),
            traffic,
            retrier: Retrier::new(
                runtime,
                RetryConfig { max_tries: TRIES, ..RetryConfig::default() },
                waits,
            ),
            stopped: AtomicBool::new(false),
            used: Mutex::default(),
        })
    }

    /// Returns the prefix of every key of this scratch, without a trailing slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Stops all retries.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Returns whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Returns the traffic so far.
    pub fn traffic(&self) -> Traffic {
        let traffic = self.traffic.so_far();
        let server = traffic.server.map(|server| self.client.credentials.hidden_in(&server));
        Traffic { server, ..traffic }
    }

    /// Creates an object, `If-None-Match: *`; returns its tag.
    pub async fn create(&self, name: &str, body: &Bytes, token: &WriterToken) -> Reply<String> {
        self.note(|used| used.objects.extend([name.to_owned()]));
        let (key, body) = (self.key(name), body.clone());
        let condition = Condition::CreateOnly;
        within_limit(self.client.put(&key, body, condition, token, Some(ANSWER_LIMIT))).await
    }

    /// Returns an object as HEAD shows it; `None` if it does not exist.
    pub async fn head(&self, name: &str) -> Reply<Option<Head>> {
        within_limit(self.client.head(&self.key(name))).await
    }

    /// Reads an object from an offset on; `None` if it does not exist.
    pub async fn get(&self, name: &str, offset: u64) -> Reply<Option<Read>> {
        let read = async {
            let Some(content) = self.client.get(&self.key(name), offset).await? else {
                return Ok(None);
            };
            let chunks: Vec<Bytes> = content.chunks.try_collect().await?;
            Ok(Some(Read { bytes: chunks.concat().into(), writer: content.writer }))
        };
        within_limit(read).await
    }

    /// Returns the names that start with `start`.
    pub async fn list(&self, start: &str) -> Reply<Vec<String>> {
        let (mut names, mut after) = (Vec::new(), None::<String>);
        let (prefix, scratch) = (self.key(start), self.key(""));
        loop {
            let page = within_limit(self.client.list(&prefix, after.as_deref())).await?;
            let keys = page.objects.iter().filter_map(|(key, _)| key.strip_prefix(&scratch));
            names.extend(keys.map(str::to_owned));
            let Some(next) = page.next else { return Ok(names) };
            after = Some(next);
        }
    }

    /// Lists the scratch with the other addressing; `None` if the endpoint is an IP address.
    pub async fn list_with_other_addressing(&self) -> Option<(Addressing, Reply<()>)> {
        let (addressing, client) = self.other_addressing.as_ref()?;
        let listed = within_limit(client.list(&self.key(""), None)).await;
        Some((*addressing, listed.map(|_| ())))
    }

    /// Deletes an object.
    pub async fn delete(&self, name: &str) -> Reply<()> {
        self.delete_version(name, None).await
    }

    async fn delete_version(&self, name: &str, version: Option<String>) -> Reply<()> {
        let Client { sdk, bucket, .. } = &self.client;
        let request = || {
            let request = sdk.delete_object().bucket(bucket).key(self.key(name));
            request.set_version_id(version.clone()).send()
        };
        within_limit(self.client.send(request)).await.map(|_| ())
    }

    /// Returns whether the bucket keeps old versions.
    pub async fn versioning(&self) -> Reply<Versioning> {
        let Client { sdk, bucket, .. } = &self.client;
        let answer = self.client.send(|| sdk.get_bucket_versioning().bucket(bucket).send());
        Ok(match within_limit(answer).await?.status {
            Some(BucketVersioningStatus::Enabled) => Versioning::On,
            Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
            _ => Versioning::Off,
        })
    }

    /// Creates a multipart upload and returns its id.
    pub async fn create_upload(&self, name: &str, token: &WriterToken) -> Reply<String> {
        self.note(|used| *used.uploads.entry(name.to_owned()).or_default() += 1);
        within_limit(self.client.create_upload(&self.key(name), token)).await
    }

    /// Sends a part and returns its tag.
    pub async fn upload_part(
        &self,
        name: &str,
        upload: &str,
        number: i32,
        body: &Bytes,
    ) -> Reply<String> {
        let key = self.key(name);
        within_limit(self.client.upload_part(&key, upload, number, body.clone())).await
    }

    /// Lists the open uploads of exactly this name.
    pub async fn list_uploads(&self, name: &str) -> Reply<Vec<OpenUpload>> {
        within_limit(self.client.list_uploads(&self.key(name))).await
    }

    /// Returns the total length of an upload's parts, in bytes.
    pub async fn list_parts(&self, name: &str, upload: &str) -> Reply<u64> {
        let parts = within_limit(self.client.list_parts(&self.key(name), upload)).await?;
        Ok(parts.bytes)
    }

    /// Completes an upload and returns the object's tag; `None` for an empty tag.
    pub async fn complete_upload(
        &self,
        name: &str,
        upload: &str,
        parts: &[(i32, String)],
        condition: Condition,
    ) -> Reply<Option<String>> {
        self.note(|used| used.objects.extend([name.to_owned()]));
        let key = self.key(name);
        let completed =
            within_limit(self.client.complete_upload(&key, upload, parts, condition)).await?;
        self.note(|used| {
            if let Some(open) = used.uploads.get_mut(name) {
                *open = open.saturating_sub(1);
            }
        });
        Ok(completed)
    }

    /// Aborts a multipart upload.
    pub async fn abort_upload(&self, name: &str, upload: &str) -> Reply<()> {
        within_limit(self.client.abort_upload(&self.key(name), upload)).await
    }

    /// Sends a request that the examination depends on, with up to 5 tries.
    pub async fn with_retries<T, F>(&self, request: impl Fn() -> F) -> Reply<T>
    where
        F: Future<Output = Reply<T>>,
    {
        let mut tries = self.retrier.tries();
        loop {
            match request().await {
                Err(fault) if fault.may_pass() && !self.is_stopped() => {
                    if !tries.pause(Some(&fault)).await {
                        return Err(tries.give_up(fault));
                    }
                }
                reply => return reply,
            }
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn note(&self, change: impl FnOnce(&mut UsedNames)) {
        change(&mut self.used.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Returns whether the endpoint is an IP address, which cannot follow a bucket's name.
fn host_is_address(config: &S3Config) -> bool {
    let url = url::Url::parse(&config.endpoint_url);
    url.is_ok_and(|url| matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_))))
}

/// Waits for a reply until [`ANSWER_LIMIT`].
async fn within_limit<T>(reply: impl Future<Output = Reply<T>>) -> Reply<T> {
    tokio::time::timeout(ANSWER_LIMIT, reply).await.unwrap_or_else(|_| {
        let message = format!("timed out after {} s", ANSWER_LIMIT.as_secs());
        Err(S3Fault { message, ..S3Fault::default() })
    })
}

impl fmt::Debug for BucketScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketScratch").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
