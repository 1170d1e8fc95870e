//! A server that gives the same answer to every request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use rawsink::{
    Secret,
    store::{
        S3Store,
        raw::Connector,
        s3::{AccessKey, RetryConfig, S3Config},
    },
};

use crate::runtime;

/// A server that answers every request with the same document.
#[derive(Debug, Clone)]
pub struct Answering {
    document: Arc<[u8]>,
    uploads: Option<&'static str>,
    requests: Arc<AtomicUsize>,
}

impl Answering {
    /// Creates a server of one document.
    pub fn with(document: &[u8]) -> Self {
        Self { document: document.into(), uploads: None, requests: Arc::default() }
    }

    /// Answers with another document to a request for open uploads.
    #[must_use]
    pub fn with_uploads(mut self, document: &'static str) -> Self {
        self.uploads = Some(document);
        self
    }

    /// Returns a store in a bucket of this server, below the prefix `raw`, that sends each request once.
    ///
    /// # Panics
    /// Never.
    pub fn store(&self) -> S3Store {
        let key = AccessKey::new(Secret::value("AKIDTEST"), Secret::value("this-is-the-secret"));
        let mut retry = RetryConfig::default();
        retry.max_tries = 1;
        let config = S3Config::builder("http://s3.test", "landing", "raw", key)
            .allow_http(true)
            .retry(retry)
            .build()
            .expect("the settings are legal");
        S3Store::with_connector(&config, runtime(), Connector::new(self.clone()))
            .expect("the secrets are values")
    }

    /// Returns how many requests arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl HttpConnector for Answering {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let ok = StatusCode::try_from(200).expect("200 is a status");
        let document = match self.uploads {
            Some(uploads) if request.uri().contains("uploads") => uploads.as_bytes(),
            _ => &self.document,
        };
        let mut response = HttpResponse::new(ok, SdkBody::from(document));
        response.headers_mut().insert("content-type", "application/xml");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Answering {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
