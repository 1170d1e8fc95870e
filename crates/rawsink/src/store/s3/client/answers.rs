//! What a failed request says: an S3 error, another server's page, or no answer.

use std::{error::Error, fmt, time::Duration};

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    primitives::{DateTime, DateTimeFormat},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Client, timestamp};
use crate::store::s3::{
    connect,
    fault::{self, S3Fault},
    patience::TooLong,
};

/// The transport's words for a 407 of a proxy.
const PROXY_REFUSES: &str = "proxy authorization required";

/// The clock difference that servers accept.
const SKEW_ALLOWED: Duration = Duration::from_mins(15);

/// Length of the longest shown part of a page, in characters.
const LONGEST_PAGE: usize = 120;

impl Client {
    /// Returns what a failed request says, without secrets.
    pub(super) fn fault<E>(&self, error: &SdkError<E, HttpResponse>) -> S3Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        // A truncated reply may not show its real outcome.
        let is_complete = !matches!(error, SdkError::ResponseError(_));
        let raw = error.raw_response().filter(|_| is_complete);
        let status = raw.map(|raw| raw.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        // The SDK names a 404 without a body, which says nothing.
        let is_empty = raw.and_then(|raw| raw.body().bytes()).is_some_and(<[u8]>::is_empty);
        let code = meta.and_then(|meta| meta.code()).filter(|_| !is_empty);
        let code = code.map(|code| fault::checked_code(self.credentials.hidden_in(code)));
        let text = meta.and_then(|meta| meta.message()).map(str::to_owned);
        // From the headers: the answer to a HEAD has no parsed error.
        let request_id = error.request_id();
        let request_id = request_id.map(|id| fault::checked_id(self.credentials.hidden_in(id)));
        let date = raw.and_then(|raw| raw.headers().get("date"));
        let skew = date.and_then(|date| self.skew(date)).filter(|skew| match code.as_deref() {
            Some(code) => code == "RequestTimeTooSkewed",
            // The answer to a HEAD has no code.
            None => status == Some(403) && *skew > SKEW_ALLOWED,
        });
        let causes = chain(error);
        let wants_password = raw.is_none() && causes.contains(PROXY_REFUSES);
        let text = text.unwrap_or_else(|| match raw {
            None => format!("{}{}: {causes}", self.endpoint_url, self.via("")),
            Some(raw) if code.is_none() => {
                let page = self.described(raw.body().bytes().unwrap_or_default());
                let unreadable = raw.status().is_success().then(|| unreadable(&causes));
                let parts = [unreadable, page, Some(self.via("it came"))].into_iter().flatten();
                let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
                parts.join("; ")
            }
            Some(_) => String::new(),
        });
        let message = match code.as_deref() {
            Some("NoSuchBucket") => format!("{text} ({} at {})", self.bucket, self.endpoint_url),
            _ => text,
        };
        let message = [Some(message), raw.and_then(pointers)].into_iter().flatten();
        let message: Vec<String> = message.filter(|part| !part.is_empty()).collect();
        let message = self.credentials.hidden_in(&message.join("; "));
        let untrusted = status.is_none() && connect::is_refused_handshake(error);
        let unreadable = raw.is_some_and(|raw| raw.status().is_success()) && code.is_none();
        let unusable = unreadable || causes_of(error).any(<dyn Error>::is::<TooLong>);
        let status = if wants_password { Some(407) } else { status };
        S3Fault { status, code, message, request_id, given_up: None, skew, untrusted, unusable }
    }

    /// Describes the page of another server. Secrets are hidden in its start before it is shortened.
    fn described(&self, body: &[u8]) -> Option<String> {
        let text = page(&self.credentials.hidden_in(&String::from_utf8_lossy(body)))?;
        Some(format!("it is not from S3: {text:?}"))
    }

    /// Names the proxy, after `what`.
    fn via(&self, what: &str) -> String {
        self.proxy
            .as_ref()
            .map_or_else(String::new, |proxy| format!("{what} via the proxy {proxy}"))
    }

    fn skew(&self, date: &str) -> Option<Duration> {
        let server = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
        let server = timestamp(Some(&server));
        Duration::try_from(self.clock.now().duration_since(server).abs()).ok()
    }
}

/// The error for a request without an answer in time.
#[derive(Debug)]
pub(super) struct NoAnswer(pub(super) Duration);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

impl Error for NoAnswer {}

/// Returns the texts of an error's causes, without repetitions.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in causes_of(error).map(ToString::to_string) {
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

fn causes_of<'e>(error: &'e dyn Error) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// Returns why an answer of a success cannot be read, without the parser's dump of what it met.
fn unreadable(causes: &str) -> String {
    let why = causes.trim_start_matches("unhandled error: ");
    let why = why.split_once(" but got StartEl").map_or(why, |(why, _)| why);
    format!("it cannot be read: {why}")
}

/// Returns where an answer says that the bucket is.
fn pointers(raw: &HttpResponse) -> Option<String> {
    let header = |name, what: &str| Some(format!("{what} {}", raw.headers().get(name)?));
    let region = header("x-amz-bucket-region", "the region of the bucket is");
    let parts = [header("location", "the answer leads to"), region];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Returns the title of a page or, without one, the start of its text; `None` for an empty page.
fn page(body: &str) -> Option<String> {
    let mut tag = false;
    let text = title(body).unwrap_or(body).replace(
        |c: char| {
            tag = c == '<' || (tag && c != '>');
            tag || c == '>'
        },
        " ",
    );
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = words.chars().take(LONGEST_PAGE).collect();
    (!shown.is_empty()).then_some(shown)
}

fn title(body: &str) -> Option<&str> {
    let lower = body.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    Some(&body[start..start + lower[start..].find("</title")?])
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_is_shown_by_its_title_or_its_first_words() {
        let long = "word ".repeat(100);
        for (body, expected) in [
            ("", None),
            ("<html></html>", None),
            ("default backend - 404\n", Some("default backend - 404")),
            ("<html><head><title>413 Too\n Large</title></head><p>x</p>", Some("413 Too Large")),
            ("<STYLE>a</STYLE><TITLE lang=de>Nein</TITLE>", Some("Nein")),
            ("<p>Log in</p><a href='>'>here</a>", Some("Log in ' here")),
            (&long, Some(&long[..LONGEST])),
        ] {
            assert_eq!(page(body).as_deref(), expected);
        }
    }

    const LONGEST: usize = super::LONGEST_PAGE;
}
