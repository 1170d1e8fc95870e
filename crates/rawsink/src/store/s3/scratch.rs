//! Raw requests below a scratch prefix, for whoever examines a bucket.
//!
//! What no verb of a store offers is here: single requests without a retry, DELETE, versions. Every
//! key is made below a prefix of this scratch's own, so nothing else can be touched; what was made is
//! known, so that it can be taken away again.

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

pub(crate) use self::traffic::Traffic;
use self::traffic::Watch;
use super::{
    client::Client,
    connect,
    fault::Fault,
    requests::{Condition, Head, OpenUpload, Reply, Requests},
    retry::Pauses,
};
use crate::{
    clock::Surroundings,
    config::{Addressing, ObjectSettings},
    error::Result,
    store::WriterToken,
};

/// How long one request may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How often a request is sent that the examination depends on.
const TRIES: u32 = 5;

/// A prefix of a bucket that nobody else uses.
pub(crate) struct BucketScratch {
    client: Client,
    /// The same bucket, named in the other way; `None` where an address leaves only one.
    otherwise: Option<(Addressing, Client)>,
    prefix: String,
    traffic: Arc<Watch>,
    surroundings: Surroundings,
    stopped: AtomicBool,
    used: Mutex<Used>,
}

/// Which names were used.
#[derive(Debug, Default)]
struct Used {
    objects: BTreeSet<String>,
    /// By name, how many uploads may be there yet. An abort takes none away: a listing has to show it.
    uploads: BTreeMap<String, usize>,
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versioning {
    Off,
    On,
    Suspended,
}

/// An object as GET shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    /// The token in the user metadata.
    pub(crate) writer: Option<String>,
}

impl BucketScratch {
    /// Makes a scratch in the bucket that the settings name; sends nothing.
    pub(crate) fn new(
        settings: &ObjectSettings,
        surroundings: Surroundings,
        connector: Option<&SharedHttpClient>,
    ) -> Result<Self> {
        let traffic = Arc::new(Watch::new(surroundings.clock.clone()));
        let client = |settings: &ObjectSettings| {
            let watch = Watch::shared(&traffic);
            connect::client_with(
                settings,
                surroundings.clock.clone(),
                connector.cloned(),
                |config| config.interceptor(watch),
            )
        };
        let other = match settings.addressing {
            Addressing::Path => Addressing::Virtual,
            Addressing::Virtual => Addressing::Path,
        };
        let otherwise = if host_is_address(settings) {
            None
        } else {
            Some((other, client(&ObjectSettings { addressing: other, ..settings.clone() })?))
        };
        let token = WriterToken::new(surroundings.tokens.next());
        Ok(Self {
            client: client(settings)?,
            otherwise,
            prefix: format!("{}/_doctor/{token}", settings.prefix),
            traffic,
            surroundings,
            stopped: AtomicBool::new(false),
            used: Mutex::default(),
        })
    }

    /// Returns what every key of this scratch starts with, without the slash at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Lets nothing be tried again any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Returns what was sent and answered so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic.so_far()
    }

    /// Creates an object, `If-None-Match: *`; returns its tag.
    pub(crate) async fn create(
        &self,
        name: &str,
        body: &Bytes,
        token: &WriterToken,
    ) -> Reply<String> {
        self.note(|used| used.objects.extend([name.to_owned()]));
        let (key, body) = (self.key(name), body.clone());
        within_limit(self.client.create(&key, body, token, ANSWER_LIMIT)).await
    }

    pub(crate) async fn head(&self, name: &str) -> Reply<Option<Head>> {
        within_limit(self.client.head(&self.key(name))).await
    }

    /// Reads an object from an offset on; `None` where nothing is.
    pub(crate) async fn get(&self, name: &str, offset: u64) -> Reply<Option<Read>> {
        let read = async {
            let Some(content) = self.client.get(&self.key(name), offset).await? else {
                return Ok(None);
            };
            let chunks: Vec<Bytes> = content.chunks.try_collect().await?;
            Ok(Some(Read { bytes: chunks.concat().into(), writer: content.writer }))
        };
        within_limit(read).await
    }

    /// Returns the names that start like this.
    pub(crate) async fn list(&self, start: &str) -> Reply<Vec<String>> {
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

    /// Lists the scratch with the bucket named in the other way; `None` where there is no other.
    pub(crate) async fn list_otherwise(&self) -> Option<(Addressing, Reply<()>)> {
        let (addressing, client) = self.otherwise.as_ref()?;
        let listed = within_limit(client.list(&self.key(""), None)).await;
        Some((*addressing, listed.map(|_| ())))
    }

    pub(crate) async fn delete(&self, name: &str) -> Reply<()> {
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
    pub(crate) async fn versioning(&self) -> Reply<Versioning> {
        let Client { sdk, bucket, .. } = &self.client;
        let asked = self.client.send(|| sdk.get_bucket_versioning().bucket(bucket).send());
        Ok(match within_limit(asked).await?.status {
            Some(BucketVersioningStatus::Enabled) => Versioning::On,
            Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
            _ => Versioning::Off,
        })
    }

    pub(crate) async fn create_upload(&self, name: &str, token: &WriterToken) -> Reply<String> {
        self.note(|used| *used.uploads.entry(name.to_owned()).or_default() += 1);
        within_limit(self.client.create_upload(&self.key(name), token)).await
    }

    /// Sends a part and returns its tag.
    pub(crate) async fn upload_part(
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
    pub(crate) async fn list_uploads(&self, name: &str) -> Reply<Vec<OpenUpload>> {
        within_limit(self.client.list_uploads(&self.key(name))).await
    }

    /// Completes an upload; an empty tag is none.
    pub(crate) async fn complete_upload(
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

    pub(crate) async fn abort_upload(&self, name: &str, upload: &str) -> Reply<()> {
        within_limit(self.client.abort_upload(&self.key(name), upload)).await
    }

    /// Sends a request on which the examination depends a few times, where it may succeed later.
    pub(crate) async fn patiently<T, F>(&self, request: impl Fn() -> F) -> Reply<T>
    where
        F: Future<Output = Reply<T>>,
    {
        let mut pauses = Pauses::new(&self.surroundings);
        for _ in 1..TRIES {
            match request().await {
                Err(fault) if fault.may_pass() && !self.is_stopped() => {
                    pauses.wait(Some(&fault)).await;
                }
                reply => return reply,
            }
        }
        request().await
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn note(&self, change: impl FnOnce(&mut Used)) {
        change(&mut self.used.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Tells whether the endpoint is named by an address, which no bucket's name can stand before.
fn host_is_address(settings: &ObjectSettings) -> bool {
    let url = url::Url::parse(&settings.endpoint_url);
    url.is_ok_and(|url| matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_))))
}

/// Gives up a request that nobody answers.
async fn within_limit<T>(reply: impl Future<Output = Reply<T>>) -> Reply<T> {
    tokio::time::timeout(ANSWER_LIMIT, reply).await.unwrap_or_else(|_| {
        let message = format!("there was no answer within {} s", ANSWER_LIMIT.as_secs());
        Err(Fault { message, ..Fault::default() })
    })
}

impl fmt::Debug for BucketScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketScratch").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
