//! The time limits of a request, by its progress.
//!
//! A total limit would need more bandwidth for a longer body. So each phase has its own:
//!
//! | phase | limit |
//! |---|---|
//! | sending a body | the stall timeout, for each piece, and four times as long as the system's buffers need at the pace of the last body |
//! | waiting for an answer | the stall timeout, and four times as long as the body took, or would take at the pace of the last one |
//! | receiving an object | the stall timeout, for each 4 KiB |
//! | receiving any other answer | the stall timeout, and 16 MiB |
//!
//! The caller limits the requests that have a deadline of the protocol. Connecting is limited by `connect`.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use aws_sdk_s3::{
    config::{ConfigBag, HttpClient, RuntimeComponents, SharedHttpClient},
    error::{BoxError, ConnectorError},
    primitives::SdkBody,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponentsBuilder,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep, timeout};

use crate::runtime::waits::{Seconds, Stopwatch, Wait, Waits};

#[cfg(test)]
mod tests;

/// Length of a piece of a body: its progress is known to this many bytes.
const PIECE: usize = 64 << 10;

/// The pace that a first body may have, in bytes per second, and how many times slower than the last one a body may be.
const FIRST_PACE: u64 = 128 << 10;
const SLOWER: u32 = 4;
/// The slowest pace that is assumed after bodies that were given up.
const LEAST_PACE: u64 = 4 << 10;

/// A body that was sent faster may be in buffers of this machine. Its pace says nothing.
const BUFFERED_WITHIN: Duration = Duration::from_secs(1);

/// Length of the buffers of a connection: the greatest that Linux gives by itself, and those of the HTTP client.
const BUFFERS: u64 = 5 << 20;

/// Received bytes of an object that are progress.
const PROGRESS: usize = 4 << 10;

/// Length of the longest answer that is not an object.
const LONGEST_DOCUMENT: usize = 16 << 20;

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An XML document or no body, expected soon.
    Document,
    /// An object of any length.
    Object,
    /// The same as a document, but the caller limits the time.
    Limited,
}

/// What the requests of one store share.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    stall_timeout: Duration,
    waits: Waits,
    /// The server, for reports.
    server: Arc<str>,
    /// The pace of the last body that was accepted, in bytes per second.
    pace: Arc<AtomicU64>,
}

impl Patience {
    pub(super) fn new(stall_timeout: Duration, waits: Waits, server: &str) -> Self {
        let pace = Arc::new(AtomicU64::new(FIRST_PACE));
        Self { stall_timeout, waits, server: server.into(), pace }
    }

    /// Returns the same HTTP client with these limits.
    pub(super) fn limit(&self, inner: &SharedHttpClient, answer: Answer) -> SharedHttpClient {
        let (inner, patience) = (inner.clone(), self.clone());
        SharedHttpClient::new(LimitedClient { inner, patience, answer })
    }

    /// Returns how long it may take until the server has a body that was passed on in `sending`.
    fn body_limit(&self, bytes: u64, sending: Duration) -> Duration {
        let own = if sending > BUFFERED_WITHIN { pace(bytes, sending) } else { u64::MAX };
        let pace = own.min(self.pace.load(Ordering::Relaxed)).max(1);
        self.stall_timeout + SLOWER * Duration::from_millis(bytes.saturating_mul(1000) / pace)
    }
}

/// Returns a pace in bytes per second.
fn pace(bytes: u64, time: Duration) -> u64 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / milliseconds
}

#[derive(Debug)]
struct LimitedClient {
    inner: SharedHttpClient,
    patience: Patience,
    answer: Answer,
}

impl HttpClient for LimitedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        let (patience, answer) = (self.patience.clone(), self.answer);
        SharedHttpConnector::new(LimitedConnector { inner, patience, answer })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        bag: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, bag)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        bag: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, bag)
    }
}

#[derive(Debug)]
struct LimitedConnector {
    inner: SharedHttpConnector,
    patience: Patience,
    answer: Answer,
}

impl HttpConnector for LimitedConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let sending = Arc::new(Sending::new(&self.patience, request.body()));
        if sending.bytes > 0 {
            let body = InPieces::new(request.take_body(), sending.clone());
            *request.body_mut() = SdkBody::from_body_1_x(body);
        }
        let answer = self.inner.call(request);
        let (patience, expected) = (self.patience.clone(), self.answer);
        HttpConnectorFuture::new(answered(patience, expected, sending, answer))
    }
}

/// Waits for an answer.
async fn answered(
    patience: Patience,
    expected: Answer,
    sending: Arc<Sending>,
    answer: HttpConnectorFuture,
) -> Result<HttpResponse, ConnectorError> {
    let wait = patience.waits.start();
    let mut answer = pin!(answer);
    let mut response = loop {
        // The limit depends on the other requests, so it is computed anew after each report.
        let left = if expected == Answer::Limited { Duration::MAX } else { sending.time_left() };
        match timeout(left.min(wait.until_next()), &mut answer).await {
            Ok(response) => break response?,
            Err(_) if left.is_zero() => {
                sending.was_given_up();
                return Err(ConnectorError::timeout(sending.stalled().into()));
            }
            Err(_) => wait.report(Duration::ZERO, || sending.described(&wait)),
        }
    };
    // A Complete with a long list of parts takes its time for other reasons.
    if response.status().is_success() && expected != Answer::Limited {
        sending.was_accepted();
    }
    let body = response.take_body();
    let is_error = !response.status().is_success();
    let expected = if is_error && expected == Answer::Object { Answer::Document } else { expected };
    *response.body_mut() = SdkBody::from_body_1_x(Received::new(body, patience, expected));
    Ok(response)
}

/// The progress of a request's body.
#[derive(Debug)]
struct Sending {
    patience: Patience,
    /// Length of the body, in bytes.
    bytes: u64,
    /// Number of bytes that the connection has taken.
    sent: AtomicU64,
    start: Stopwatch,
    /// When the last piece was taken: microseconds after the start.
    last: AtomicU64,
}

impl Sending {
    fn new(patience: &Patience, body: &SdkBody) -> Self {
        Self {
            patience: patience.clone(),
            bytes: body.content_length().unwrap_or_default(),
            sent: AtomicU64::new(0),
            start: Stopwatch::start(),
            last: AtomicU64::new(0),
        }
    }

    fn took(&self, piece: usize) {
        self.sent.fetch_add(piece as u64, Ordering::Relaxed);
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn last(&self) -> Duration {
        Duration::from_micros(self.last.load(Ordering::Relaxed))
    }

    fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed) >= self.bytes
    }

    /// Returns how long the request may go on without progress.
    fn time_left(&self) -> Duration {
        let last = self.last();
        let limit = if self.is_sent() {
            self.patience.body_limit(self.bytes, last)
        } else {
            // The system takes the next piece when a third of its buffers is free again.
            self.patience.body_limit(self.bytes.min(BUFFERS), Duration::ZERO)
        };
        limit.saturating_sub(self.start.elapsed().saturating_sub(last))
    }

    fn stalled(&self) -> Stalled {
        let silent = Seconds(self.start.elapsed().saturating_sub(self.last()));
        if self.is_sent() {
            return Stalled(format!("no answer within {silent}"));
        }
        let sent = self.sent.load(Ordering::Relaxed);
        Stalled(format!("no byte was taken within {silent}, after {sent} of {} bytes", self.bytes))
    }

    /// Learns the pace of a body.
    fn was_accepted(&self) {
        if self.bytes >= PIECE as u64 {
            let pace = pace(self.bytes, self.start.elapsed());
            self.patience.pace.store(pace, Ordering::Relaxed);
        }
    }

    /// Lets the next body take longer: this one may have been in buffers, and the line slower than assumed.
    fn was_given_up(&self) {
        if self.bytes >= PIECE as u64 {
            let halved = |pace: u64| Some((pace / 2).max(LEAST_PACE));
            let _ = self.patience.pace.fetch_update(Ordering::Relaxed, Ordering::Relaxed, halved);
        }
    }

    /// Describes the wait for a report.
    fn described(&self, wait: &Wait) -> String {
        let (server, time) = (&self.patience.server, Seconds(wait.elapsed()));
        if self.is_sent() {
            return format!("waiting for an answer of {server}: none for {time}");
        }
        let sent = self.sent.load(Ordering::Relaxed);
        format!("sending to {server}: {sent} of {} bytes in {time}", self.bytes)
    }
}

/// A body that is sent in pieces, so that its progress shows.
struct InPieces {
    body: SdkBody,
    /// Bytes that the connection has not taken yet.
    rest: Bytes,
    sending: Arc<Sending>,
}

impl InPieces {
    fn new(body: SdkBody, sending: Arc<Sending>) -> Self {
        Self { body, rest: Bytes::new(), sending }
    }
}

impl Body for InPieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)?) {
                None => return Poll::Ready(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.sending.took(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.sending.bytes - self.sending.sent.load(Ordering::Relaxed);
        SizeHint::with_exact(left)
    }
}

/// The body of an answer.
struct Received {
    body: SdkBody,
    patience: Patience,
    expected: Answer,
    /// Number of bytes: of an object since its last progress.
    bytes: usize,
    /// How long no byte came since the last progress, before the present wait.
    silent: Duration,
    /// The wait for the next bytes.
    silence: Option<Silence>,
}

struct Silence {
    start: Stopwatch,
    wait: Wait,
    timer: Pin<Box<Sleep>>,
}

impl Received {
    fn new(body: SdkBody, patience: Patience, expected: Answer) -> Self {
        Self { body, patience, expected, bytes: 0, silent: Duration::ZERO, silence: None }
    }

    fn took(&mut self, bytes: usize) -> Result<(), TooLong> {
        self.bytes += bytes;
        if self.expected != Answer::Object {
            return if self.bytes > LONGEST_DOCUMENT { Err(TooLong) } else { Ok(()) };
        }
        // The time until the next bytes are wanted does not count.
        self.silent +=
            self.silence.take().map_or(Duration::ZERO, |silence| silence.start.elapsed());
        if self.bytes >= PROGRESS {
            (self.bytes, self.silent) = (0, Duration::ZERO);
        }
        Ok(())
    }

    /// Waits for more bytes until the limit; returns the error.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Stalled> {
        let Patience { stall_timeout, waits, server, .. } = &self.patience;
        let limit = match self.expected {
            Answer::Limited => Duration::MAX,
            _ => stall_timeout.saturating_sub(self.silent),
        };
        let silence = self.silence.get_or_insert_with(|| {
            let wait = waits.start();
            let timer = Box::pin(sleep(wait.until_next().min(limit)));
            Silence { start: Stopwatch::start(), wait, timer }
        });
        loop {
            ready!(silence.timer.as_mut().poll(context));
            let elapsed = silence.start.elapsed();
            if elapsed >= limit {
                let (bytes, time) = (self.bytes, Seconds(self.silent + elapsed));
                let what = format!("the rest of the answer is missing: {bytes} bytes in {time}");
                return Poll::Ready(Stalled(what));
            }
            silence.wait.report(Duration::ZERO, || {
                format!("waiting for the rest of an answer of {server} for {}", Seconds(elapsed))
            });
            let left = limit.saturating_sub(elapsed);
            silence.timer = Box::pin(sleep(silence.wait.until_next().min(left)));
        }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let taken = self.took(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(taken.map(|()| frame).map_err(Into::into)))
            }
            Poll::Pending => self.poll_silence(context).map(|stalled| Some(Err(stalled.into()))),
            end @ Poll::Ready(_) => end,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of a request that makes no progress.
#[derive(Debug)]
struct Stalled(String);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stalled {}

/// The error of an answer that is too long for its kind.
#[derive(Debug)]
pub(super) struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is longer than {} MiB", LONGEST_DOCUMENT >> 20)
    }
}

impl std::error::Error for TooLong {}
