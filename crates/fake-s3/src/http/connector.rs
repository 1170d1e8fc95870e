//! The connection between the AWS SDK and the server, where habits take effect.

use std::{sync::Arc, time::Duration};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::HttpError,
};
use aws_smithy_types::body::SdkBody;
use s3s::service::S3Service;

use super::{
    Effect, Op, date,
    operation::last_segment,
    shared::Shared,
    wrong_answer::{cut, response},
};
use crate::RangeRequests;

/// A client's connection to the server.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    shared: Arc<Shared>,
    service: S3Service,
}

impl Connector {
    pub(super) fn new(shared: Arc<Shared>, service: S3Service) -> Self {
        Self { shared, service }
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        assert_plain(&request);
        assert_sent_once(&request);
        let Some(op) = Op::of(&request) else {
            panic!("no client should send {} {}", request.method(), request.uri());
        };
        *self.shared.counts().entry(op).or_default() += 1;
        let _in_flight = self.shared.clock.begin_request();
        self.yield_to_others().await;
        let effect = self.shared.habits().meet(op, last_segment(&request));
        let answer = match effect {
            Some(Effect::Refused(answer)) => response(op, answer),
            Some(Effect::Lost(answer)) => {
                self.apply(request).await?;
                response(op, answer)
            }
            Some(Effect::Cut(bytes)) => Ok(cut(self.apply(request).await?, bytes).await),
            Some(Effect::After(change)) => {
                change(&mut self.shared.bucket());
                self.apply(request).await
            }
            Some(Effect::Slow(seconds)) => {
                let answer = self.apply(request).await;
                self.shared.clock.pass(Duration::from_secs(seconds));
                answer
            }
            Some(Effect::Whole) => self.apply_without_range(request).await,
            Some(Effect::WithoutMetadata) => self.apply(request).await.map(without_metadata),
            None => self.apply(request).await,
        };
        self.yield_to_others().await;
        answer.map(|answer| self.with_date(answer))
    }

    /// Adds the `Date` header of a server whose clock is set.
    fn with_date(&self, mut answer: HttpResponse) -> HttpResponse {
        let ahead_s = self.shared.bucket().behaviour.clock_ahead_s;
        if let Some(ahead_s) = ahead_s {
            let date = date::header(self.shared.clock.now_ms(), ahead_s);
            answer.headers_mut().insert("date", date);
        }
        answer
    }

    async fn yield_to_others(&self) {
        let yields = self.shared.habits().yields();
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    async fn apply_without_range(
        &self,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let set =
            |ranges| std::mem::replace(&mut self.shared.bucket().behaviour.range_requests, ranges);
        let before = set(RangeRequests::Ignored);
        let answer = self.apply(request).await;
        set(before);
        answer
    }

    async fn apply(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| failed(error.into()))?;
        let mut request = request.map(s3s::Body::http_body);
        let host = "s3.test".parse().expect("a host name is a header value");
        request.headers_mut().insert("host", host);
        let answer = self.service.call(request).await.map_err(|error| failed(error.into()))?;
        let answer = answer.map(SdkBody::from_body_1_x);
        answer.try_into().map_err(|error: HttpError| failed(error.into()))
    }
}

fn without_metadata(mut answer: HttpResponse) -> HttpResponse {
    let headers = answer.headers().iter();
    let of_user =
        headers.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("x-amz-meta-"));
    for name in of_user.collect::<Vec<_>>() {
        answer.headers_mut().remove(name);
    }
    answer
}

fn failed(cause: Box<dyn std::error::Error + Send + Sync>) -> ConnectorError {
    ConnectorError::other(cause, None)
}

/// Asserts that the body is hashed as a whole and has no checksum trailer. Some servers refuse others.
fn assert_plain(request: &HttpRequest) {
    let hash = request.headers().get("x-amz-content-sha256").unwrap_or_default();
    let is_hex = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hex, "the body of {} {} is not hashed: {hash}", request.method(), request.uri());
    for (name, value) in request.headers() {
        let checksums = ["x-amz-checksum", "x-amz-trailer", "x-amz-sdk-checksum"];
        let is_plain = !checksums.iter().any(|start| name.starts_with(start));
        assert!(is_plain && !value.contains("aws-chunked"), "{name}: {value}");
    }
}

/// Asserts that the SDK itself does not retry.
fn assert_sent_once(request: &HttpRequest) {
    let sending = request.headers().get("amz-sdk-request");
    assert_eq!(sending, Some("attempt=1; max=1"), "{} {}", request.method(), request.uri());
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.answer(request).await })
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
