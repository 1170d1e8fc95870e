//! Answers in place of the true ones, and answers that break off.

use std::io;

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::ConnectorError},
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use s3s::dto::StreamingBlob;

use super::{Answer, Op};

/// An hour after the start of the virtual clock, and long ago for the SDK's signer.
const DATE: &str = "Sun, 02 Jun 2024 05:00:00 GMT";

/// The text of a page, repeated up to its length.
const PAGE: &str = "<html>Bad gateway, try later</html>";

/// Returns the HTTP response of an answer.
pub(super) fn response(op: Op, answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let (status, kind, text) = match answer {
        Answer::Closed => return Err(ConnectorError::io(closed().into())),
        Answer::CutShort(status) => (status, "application/xml", String::new()),
        Answer::Empty(status) => (status, "text/plain", String::new()),
        Answer::Html(status) => (status, "text/html", "<html>Too many requests</html>".to_owned()),
        Answer::Page { bytes, .. } => {
            (200, "text/html", PAGE.chars().cycle().take(bytes).collect())
        }
        Answer::Document(text) => (200, "application/xml", text.to_owned()),
        Answer::Error(status, code) => (status, "application/xml", error(code, "said so")),
        Answer::Told { code, message, .. } => (403, "application/xml", error(code, message)),
        Answer::Said(message) => (403, "application/xml", error("AccessDenied", message)),
    };
    let status = StatusCode::try_from(status).map_err(|e| ConnectorError::other(e.into(), None))?;
    let length = text.len().to_string();
    let body = if op == Op::Head { SdkBody::empty() } else { SdkBody::from(text) };
    let mut response = HttpResponse::new(status, body);
    response.headers_mut().insert("content-type", kind);
    let id = match answer {
        Answer::Told { request_id, .. } => request_id,
        _ => "REQUEST-17",
    };
    response.headers_mut().insert("x-amz-request-id", id);
    response.headers_mut().insert("x-amz-id-2", id);
    response.headers_mut().insert("date", DATE);
    if let Answer::Page { etag, .. } = answer {
        response.headers_mut().insert("content-length", length);
        if let Some(etag) = etag {
            response.headers_mut().insert("etag", etag);
        }
    }
    if matches!(answer, Answer::CutShort(_)) {
        break_off(&mut response, Bytes::from_static(b"<Error>"));
    }
    Ok(response)
}

/// Shortens the body of a response; the connection closes after `bytes`.
pub(super) async fn cut(mut response: HttpResponse, bytes: usize) -> HttpResponse {
    let body = s3s::Body::http_body(response.take_body());
    let chunks: Vec<Bytes> = body.try_collect().await.expect("a body in memory has no errors");
    let whole = Bytes::from(chunks.concat());
    break_off(&mut response, whole.slice(..bytes.min(whole.len())));
    response
}

/// Sets a body after which the connection closes.
fn break_off(response: &mut HttpResponse, bytes: Bytes) {
    let body = StreamingBlob::wrap(stream::iter(vec![Ok(bytes), Err(closed())]));
    *response.body_mut() = SdkBody::from_body_1_x(s3s::Body::from(body));
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was closed")
}

fn error(code: &str, message: &str) -> String {
    let start = "<?xml version=\"1.0\"?><Error>";
    format!("{start}<Code>{code}</Code><Message>{message}</Message></Error>")
}
