//! Records the traffic of a client: requests, rate limits, the server's clock.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
        },
    },
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use jiff::{SignedDuration, Timestamp};

use crate::runtime::Clock;

/// The traffic of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Number of requests.
    pub sent: u64,
    /// Number of answers 429 and 503.
    pub refused_for_rate: u64,
    /// How far this machine's clock is ahead of the server's `Date`: the smallest difference of all
    /// answers.
    pub ahead: Option<SignedDuration>,
    /// The `Server` header.
    pub server: Option<String>,
    /// Whether an answer has the marks of a Ceph object gateway.
    pub is_ceph: bool,
}

/// Records the traffic of one or more clients.
#[derive(Debug)]
pub(super) struct TrafficRecorder {
    clock: Arc<dyn Clock>,
    traffic: Mutex<Traffic>,
}

/// The interceptor of one client, which reports to a recorder.
#[derive(Debug)]
pub(super) struct RecordingInterceptor(Arc<TrafficRecorder>);

impl TrafficRecorder {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, traffic: Mutex::default() }
    }

    pub(super) fn interceptor(this: &Arc<Self>) -> RecordingInterceptor {
        RecordingInterceptor(this.clone())
    }

    pub(super) fn so_far(&self) -> Traffic {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Traffic)) {
        change(&mut self.traffic.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn ahead_of(&self, date: &str) -> Option<SignedDuration> {
        let server = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
        let server = Timestamp::from_second(server.secs()).ok()?;
        Some(self.clock.now().duration_since(server))
    }
}

#[dyn_dispatch_hint]
impl Intercept for RecordingInterceptor {
    fn name(&self) -> &'static str {
        "TrafficRecorder"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.note(|traffic| traffic.sent += 1);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let header = |name: &str| answer.headers().get(name);
        let ahead = header("date").and_then(|date| self.0.ahead_of(date));
        let rate = matches!(answer.status().as_u16(), 429 | 503);
        let server = header("server").map(str::to_owned);
        let id = header("x-amz-request-id").unwrap_or_default();
        let is_ceph = header("x-rgw-object-type").is_some() || id.starts_with("tx0");
        self.0.note(|traffic| {
            traffic.is_ceph |= is_ceph;
            traffic.refused_for_rate += u64::from(rate);
            let known = [traffic.ahead, ahead].into_iter().flatten();
            traffic.ahead = known.min_by_key(|ahead| ahead.abs());
            traffic.server = traffic.server.take().or(server);
        });
        Ok(())
    }
}
