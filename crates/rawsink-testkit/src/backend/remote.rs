//! A store in a bucket of the server that the environment names, below a unique prefix.
//!
//! A separate SDK client reads the objects and tampers with them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, SharedHttpClient},
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rawsink::{
    env::Loaded,
    runtime::Runtime,
    store::{
        Object, S3Store, StorePath,
        s3::{Addressing, S3Config},
    },
};

use super::{AnyStore, Backend, SecondWriter, WholePayload};

/// Minimum size of a part that servers accept.
const PART_BYTES: usize = 5 << 20;

/// A unique prefix in the bucket.
pub struct Remote {
    config: S3Config,
    client: Client,
}

impl Default for Remote {
    /// Uses the server that the environment names; panics if there is none.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let loaded = Loaded::from_env().unwrap_or_else(|error| panic!("`make parity`? {error}"));
        let rawsink::Backend::Bucket(bucket) = loaded.config.backend else {
            panic!("RAW_SINK is not `object`: `make parity`?");
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{}/suite-{}-{number}", bucket.prefix(), std::process::id());
        let config = bucket.to_builder().prefix(prefix).part_bytes(PART_BYTES).build().unwrap();
        Self { client: client(&config), config }
    }
}

impl Remote {
    fn key(&self, run: &StorePath, object: &str) -> String {
        format!("{}/{run}/{object}", self.config.prefix())
    }

    async fn names(&self, run: &StorePath) -> Vec<String> {
        let prefix = self.key(run, "");
        let listed = self.client.list_objects_v2().bucket(self.config.bucket()).prefix(&prefix);
        let listed = listed.send().await.unwrap();
        assert_ne!(listed.is_truncated(), Some(true), "one page holds all of a run");
        let keys = listed.contents().iter().map(|object| object.key().unwrap());
        keys.map(|key| key.strip_prefix(&prefix).unwrap().to_owned()).collect()
    }

    async fn uploads(&self, run: &StorePath) -> usize {
        // Some servers list only the uploads of an exact key.
        let key = self.key(run, Object::Payload.file_name());
        let listed = self.client.list_multipart_uploads().bucket(self.config.bucket());
        listed.prefix(key).send().await.unwrap().uploads().len()
    }
}

#[async_trait]
impl Backend for Remote {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(S3Store::new(&self.config, Runtime::default()).unwrap()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        let (bucket, key) = (self.config.bucket(), self.key(run, object.file_name()));
        if let Some(content) = content {
            let put = self.client.put_object().bucket(bucket).key(key);
            put.body(content.to_vec().into()).send().await.unwrap();
        } else {
            self.client.delete_object().bucket(bucket).key(key).send().await.unwrap();
        }
    }

    async fn residue(&self, run: &StorePath) -> Vec<String> {
        let uploads = vec!["upload".to_owned(); self.uploads(run).await];
        [self.names(run).await, uploads].concat()
    }

    fn whole_payload(&self) -> WholePayload {
        WholePayload::Left
    }

    fn second_writer(&self) -> SecondWriter {
        SecondWriter::Supersedes
    }
}

fn client(config: &S3Config) -> Client {
    let key = config.access_key();
    let secret = |secret: &rawsink::secret::Secret| secret.read().unwrap();
    let credentials = Credentials::new(
        secret(&key.id),
        secret(&key.secret),
        key.session_token.as_ref().map(secret),
        None,
        "test",
    );
    let sdk = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region().to_owned()))
        .endpoint_url(config.endpoint_url())
        .force_path_style(config.addressing() == Addressing::Path)
        .credentials_provider(credentials)
        // Some servers refuse bodies with a trailing checksum.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .http_client(connections(config));
    Client::from_conf(sdk.build())
}

fn connections(config: &S3Config) -> SharedHttpClient {
    let mut trust = TrustStore::empty().with_native_roots(true);
    if let Some(path) = config.ca_file() {
        trust = trust.with_pem_certificate(std::fs::read(path).unwrap());
    }
    let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https()
}
