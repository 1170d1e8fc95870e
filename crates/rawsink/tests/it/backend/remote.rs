//! A store in a bucket of the server that the environment names, below a prefix of its own.
//!
//! What lies there is tampered with and looked at by an SDK client of the test's own.

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
    clock::Surroundings,
    config::{Addressing, Loaded, ObjectSettings},
    store::{Object, S3Store, StorePath},
};

use super::{AnyStore, Backend, SecondWriter, WholePayload};

/// The least size of a part that servers take.
const PART_BYTES: usize = 5 << 20;

/// A prefix that nobody else uses.
pub(crate) struct Remote {
    settings: ObjectSettings,
    client: Client,
}

impl Default for Remote {
    /// Takes the server of the environment; panics where none is named.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let loaded = Loaded::from_env().unwrap_or_else(|error| panic!("`make parity`? {error}"));
        let object = loaded.settings.object;
        let mut settings = object.expect("RAW_SINK is not `object`: `make parity`?");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        settings.prefix = format!("{}/suite-{}-{number}", settings.prefix, std::process::id());
        settings.part_bytes = PART_BYTES;
        Self { client: client(&settings), settings }
    }
}

impl Remote {
    fn key(&self, run: &StorePath, object: &str) -> String {
        format!("{}/{run}/{object}", self.settings.prefix)
    }

    async fn names(&self, run: &StorePath) -> Vec<String> {
        let prefix = self.key(run, "");
        let listed = self.client.list_objects_v2().bucket(&self.settings.bucket).prefix(&prefix);
        let listed = listed.send().await.unwrap();
        assert_ne!(listed.is_truncated(), Some(true), "one page holds all of a run");
        let keys = listed.contents().iter().map(|object| object.key().unwrap());
        keys.map(|key| key.strip_prefix(&prefix).unwrap().to_owned()).collect()
    }

    async fn uploads(&self, run: &StorePath) -> usize {
        // Some servers list the uploads of an exact key alone.
        let key = self.key(run, Object::Payload.file_name());
        let listed = self.client.list_multipart_uploads().bucket(&self.settings.bucket);
        listed.prefix(key).send().await.unwrap().uploads().len()
    }
}

#[async_trait]
impl Backend for Remote {
    fn store(&self) -> AnyStore {
        AnyStore(Arc::new(S3Store::new(&self.settings, Surroundings::default()).unwrap()))
    }

    async fn tamper(&self, run: &StorePath, object: Object, content: Option<&[u8]>) {
        let (bucket, key) = (&self.settings.bucket, self.key(run, object.file_name()));
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

fn client(settings: &ObjectSettings) -> Client {
    let secret = |secret: &rawsink::config::Secret| secret.read().unwrap();
    let credentials = Credentials::new(
        secret(&settings.access_key_id),
        secret(&settings.secret_access_key),
        settings.session_token.as_ref().map(secret),
        None,
        "test",
    );
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .endpoint_url(&settings.endpoint_url)
        .force_path_style(settings.addressing == Addressing::Path)
        .credentials_provider(credentials)
        // Some servers refuse bodies with a checksum behind them.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .http_client(connections(settings));
    Client::from_conf(config.build())
}

fn connections(settings: &ObjectSettings) -> SharedHttpClient {
    let mut trust = TrustStore::empty().with_native_roots(true);
    if let Some(path) = &settings.ca_file {
        trust = trust.with_pem_certificate(std::fs::read(path).unwrap());
    }
    let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https()
}
