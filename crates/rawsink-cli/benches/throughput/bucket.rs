//! The plain SDK: cost of the same requests and bytes without the product.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Config, Credentials, HttpClient, IdentityCache, Region,
        RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents,
        SharedHttpClient, retry::RetryConfig,
    },
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use aws_smithy_http_client::{
    pool::{self, ConnectionPool},
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use rawsink::{
    Backend,
    env::Loaded,
    store::s3::{Addressing, S3Config},
};
use tokio::task::JoinSet;

use crate::checks::Checks;

/// The bucket of the environment, used by the SDK as by the product: the same
/// connections, part size and number in flight, no checksum headers, no retries.
pub(crate) struct Bucket {
    pub(crate) sdk: Client,
    pub(crate) name: String,
    pub(crate) prefix: String,
    part_bytes: usize,
    in_flight: usize,
}

impl Bucket {
    pub(crate) fn from_env() -> Self {
        let config = config();
        let http = connections(&config);
        Self::new(&config, http)
    }

    pub(crate) fn new(config: &S3Config, http: SharedHttpClient) -> Self {
        let key = config.access_key();
        let secret = |secret: &rawsink::secret::Secret| secret.read().unwrap();
        let credentials = Credentials::new(
            secret(&key.id),
            secret(&key.secret),
            key.session_token.as_ref().map(secret),
            None,
            "benchmark",
        );
        let sdk = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region().to_owned()))
            .endpoint_url(config.endpoint_url())
            .force_path_style(config.addressing() == Addressing::Path)
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::no_cache())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .http_client(http)
            .build();
        Self {
            sdk: Client::from_conf(sdk),
            name: config.bucket().to_owned(),
            prefix: config.prefix().to_owned(),
            part_bytes: config.part_bytes(),
            in_flight: config.uploads_in_flight(),
        }
    }

    /// The object of the floors, outside the product's listings.
    fn key(&self) -> String {
        format!("{}-floor/payload.jsonl", self.prefix)
    }

    pub(crate) async fn upload(self, file: &Path, checks: &mut Checks) {
        let created = self.sdk.create_multipart_upload().bucket(&self.name).key(self.key());
        let id = created.send().await.unwrap().upload_id.unwrap();
        let mut input = File::open(file).unwrap();
        let (mut on_their_way, mut parts) = (JoinSet::new(), Vec::new());
        for number in 1.. {
            let mut part = Vec::with_capacity(self.part_bytes);
            input.by_ref().take(self.part_bytes as u64).read_to_end(&mut part).unwrap();
            if part.is_empty() {
                break;
            }
            checks.update(&part);
            if on_their_way.len() == self.in_flight {
                parts.push(on_their_way.join_next().await.unwrap().unwrap());
            }
            let request = self.sdk.upload_part().bucket(&self.name).key(self.key()).upload_id(&id);
            let request = request.part_number(number).body(ByteStream::from(part));
            on_their_way.spawn(async move {
                let tag = request.send().await.unwrap().e_tag.unwrap();
                CompletedPart::builder().part_number(number).e_tag(tag).build()
            });
        }
        parts.extend(on_their_way.join_all().await);
        parts.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.sdk.complete_multipart_upload().bucket(&self.name).key(self.key());
        request.upload_id(id).multipart_upload(parts).send().await.unwrap();
    }

    pub(crate) async fn download(self, checks: &mut Checks) {
        let request = self.sdk.get_object().bucket(&self.name).key(self.key());
        let mut body = request.send().await.unwrap().body;
        while let Some(chunk) = body.next().await {
            checks.update(&chunk.unwrap());
        }
    }

    /// Deletes the objects of the benchmark: below its prefix, or all of them.
    pub(crate) async fn clear(self, what: Clear) {
        let prefix = match what {
            Clear::Runs => format!("{}/", self.prefix),
            Clear::Everything => self.prefix.clone(),
        };
        loop {
            let request = self.sdk.list_objects_v2().bucket(&self.name).prefix(&prefix);
            let found = request.send().await.unwrap().contents.unwrap_or_default();
            if found.is_empty() {
                return;
            }
            for key in found.into_iter().filter_map(|object| object.key) {
                self.sdk.delete_object().bucket(&self.name).key(key).send().await.unwrap();
            }
        }
    }
}

/// The objects to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clear {
    /// The objects of the product.
    Runs,
    /// The object of the floors too.
    Everything,
}

pub(crate) fn config() -> S3Config {
    match Loaded::from_env().unwrap().config.backend {
        Backend::Bucket(bucket) => *bucket,
        _ => panic!("RAW_SINK=object was not set"),
    }
}

/// Connections like the product's.
pub(crate) fn connections(config: &S3Config) -> SharedHttpClient {
    let mut trust = TrustStore::empty().with_native_roots(true);
    if let Some(path) = config.ca_file() {
        trust = trust.with_pem_certificate(std::fs::read(path).unwrap());
    }
    let pool = ConnectionPool::builder()
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(TlsContext::builder().with_trust_store(trust).build().unwrap())
        .build_https()
        .unwrap();
    SharedHttpClient::new(pool::Client::new(&pool).unwrap())
}

/// Connections that count the requests.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    inner: SharedHttpClient,
    requests: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn new(inner: SharedHttpClient) -> Self {
        Self { inner, requests: Arc::default() }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl HttpClient for Counted {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(CountedConnector { inner, requests: self.requests.clone() })
    }
}

#[derive(Debug)]
struct CountedConnector {
    inner: SharedHttpConnector,
    requests: Arc<AtomicU64>,
}

impl HttpConnector for CountedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.call(request)
    }
}
