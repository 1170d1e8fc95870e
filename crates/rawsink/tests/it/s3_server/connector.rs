//! How the SDK reaches the server, and where answers go wrong.

use std::{io, sync::Arc, time::Duration};

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
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use rawsink::{Clock, store::Object};
use s3s::{dto::StreamingBlob, service::S3Service};

use super::{
    Shared,
    habits::{Answer, Effect, Op},
    objects::Ranges,
};

/// A client's connection to the server.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    service: S3Service,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, service: S3Service) -> Self {
        Self { shared, service }
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        assert_plain(&request);
        assert_sent_once(&request);
        let (op, object) = target(&request);
        *self.shared.counts.lock().unwrap().entry(op).or_default() += 1;
        let _on_its_way = self.shared.clock.request();
        self.let_others_go_first().await;
        let effect = self.shared.habits.lock().unwrap().meet(op, object);
        let answer = match effect {
            Some(Effect::Refused(answer)) => wrong(op, answer),
            Some(Effect::Lost(answer)) => {
                self.apply(request).await?;
                wrong(op, answer)
            }
            Some(Effect::Cut(bytes)) => Ok(cut(self.apply(request).await?, bytes).await),
            Some(Effect::After(change)) => {
                change(&mut self.shared.objects.lock().unwrap());
                self.apply(request).await
            }
            Some(Effect::Slow(seconds)) => {
                let answer = self.apply(request).await;
                self.shared.clock.pass(Duration::from_secs(seconds));
                answer
            }
            Some(Effect::Whole) => {
                let set = |ranges| self.shared.objects.lock().unwrap().ranges = ranges;
                set(Ranges::Ignored);
                let answer = self.apply(request).await;
                set(Ranges::Honoured);
                answer
            }
            None => self.apply(request).await,
        };
        self.let_others_go_first().await;
        answer.map(|answer| self.dated(answer))
    }

    /// Adds the time of a server whose clock is off.
    fn dated(&self, mut answer: HttpResponse) -> HttpResponse {
        if let Some(ahead) = self.shared.objects.lock().unwrap().clock_ahead {
            let date = (self.shared.clock.now() + ahead).strftime("%a, %d %b %Y %T GMT");
            answer.headers_mut().insert("date", date.to_string());
        }
        answer
    }

    async fn let_others_go_first(&self) {
        let turns = self.shared.habits.lock().unwrap().turns();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    async fn apply(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|cause| failed(cause.into()))?;
        let mut request = request.map(s3s::Body::http_body);
        request.headers_mut().insert("host", "s3.test".parse().unwrap());
        let answer = self.service.call(request).await.map_err(|cause| failed(cause.into()))?;
        answer.map(SdkBody::from_body_1_x).try_into().map_err(|cause| {
            let cause: aws_smithy_runtime_api::http::HttpError = cause;
            failed(cause.into())
        })
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn failed(cause: Cause) -> ConnectorError {
    ConnectorError::other(cause, None)
}

/// No body may come in pieces with signatures or checksums of their own (some servers refuse them).
fn assert_plain(request: &HttpRequest) {
    let hash = request.headers().get("x-amz-content-sha256").unwrap_or_default();
    let hex = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(hex, "the body of {} {} is not hashed: {hash}", request.method(), request.uri());
    for (name, value) in request.headers() {
        let checksum = ["x-amz-checksum", "x-amz-trailer", "x-amz-sdk-checksum"];
        let plain = !checksum.iter().any(|start| name.starts_with(start));
        assert!(plain && !value.contains("aws-chunked"), "{name}: {value}");
    }
}

/// Nobody below the store's own loop may send a request again.
fn assert_sent_once(request: &HttpRequest) {
    let sending = request.headers().get("amz-sdk-request");
    assert_eq!(sending, Some("attempt=1; max=1"), "{} {}", request.method(), request.uri());
}

/// Returns what a request asks for, and of which object.
fn target(request: &HttpRequest) -> (Op, Option<Object>) {
    let (uri, query) = request.uri().split_once('?').unwrap_or((request.uri(), ""));
    let object = uri.rsplit('/').next().and_then(Object::from_file_name);
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let op = match request.method() {
        "GET" if has("list-type") => Op::List,
        "GET" if has("uploads") => Op::Uploads,
        "GET" if has("versioning") => Op::Versioning,
        "GET" if has("versions") => Op::Versions,
        "GET" if has("uploadId") => Op::Parts,
        "GET" => Op::Get,
        "HEAD" => Op::Head,
        "PUT" if has("uploadId") => Op::Part,
        "PUT" => Op::Put,
        "POST" if has("uploads") => Op::Create,
        "POST" if has("uploadId") => Op::Complete,
        "DELETE" if has("uploadId") => Op::Abort,
        "DELETE" => Op::Delete,
        method => panic!("nobody should ask for {method} {}", request.uri()),
    };
    (op, object)
}

fn wrong(op: Op, answer_is: Answer) -> Result<HttpResponse, ConnectorError> {
    let (status, kind, text) = match answer_is {
        Answer::Closed => {
            let cause = io::Error::new(io::ErrorKind::ConnectionReset, "the connection was closed");
            return Err(ConnectorError::io(cause.into()));
        }
        Answer::CutShort(status) => (status, "application/xml", String::new()),
        Answer::Html(status) => (status, "text/html", "<html>Too many requests</html>".to_owned()),
        Answer::Document(text) => (200, "application/xml", text.to_owned()),
        Answer::Error(status, code) => (status, "application/xml", document(code, "said so")),
        Answer::Said(words) => (403, "application/xml", document("AccessDenied", words)),
    };
    let status = StatusCode::try_from(status).unwrap();
    let body = if op == Op::Head { SdkBody::empty() } else { SdkBody::from(text) };
    let mut answer = HttpResponse::new(status, body);
    answer.headers_mut().insert("content-type", kind);
    answer.headers_mut().insert("x-amz-request-id", "REQUEST-17");
    // An hour after the start of the virtual clock, and long ago for the SDK's signer.
    answer.headers_mut().insert("date", "Sun, 02 Jun 2024 05:00:00 GMT");
    if matches!(answer_is, Answer::CutShort(_)) {
        end_in_an_error(&mut answer, Bytes::from_static(b"<Error>"));
    }
    Ok(answer)
}

fn document(code: &str, words: &str) -> String {
    let start = "<?xml version=\"1.0\"?><Error>";
    format!("{start}<Code>{code}</Code><Message>{words}</Message></Error>")
}

async fn cut(mut answer: HttpResponse, bytes: usize) -> HttpResponse {
    let body = s3s::Body::http_body(answer.take_body());
    let chunks: Vec<Bytes> = body.try_collect().await.unwrap();
    let whole = Bytes::from(chunks.concat());
    end_in_an_error(&mut answer, whole.slice(..bytes.min(whole.len())));
    answer
}

/// Gives an answer this body, and then the end of the connection.
fn end_in_an_error(answer: &mut HttpResponse, bytes: Bytes) {
    let end = io::Error::new(io::ErrorKind::ConnectionReset, "the connection was closed");
    let body = StreamingBlob::wrap(stream::iter(vec![Ok(bytes), Err(end)]));
    *answer.body_mut() = SdkBody::from_body_1_x(s3s::Body::from(body));
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connection = self.clone();
        HttpConnectorFuture::new(async move { connection.answer(request).await })
    }
}

impl HttpClient for Connection {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
