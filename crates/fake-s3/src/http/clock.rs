//! Virtual time, which passes when a client sleeps and no request is in flight.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// 2 June 2024, 04:00:00 UTC, in milliseconds since the Unix epoch.
const START_MS: u64 = 1_717_300_800_000;

/// A clock that advances when a client sleeps, and by a millisecond with every request.
#[derive(Debug, Default)]
pub struct VirtualClock {
    passed_ms: AtomicU64,
    in_flight: AtomicUsize,
    sleeps: AtomicUsize,
}

/// A request in flight, until it is dropped.
pub(super) struct RequestInFlight<'c>(&'c VirtualClock);

impl VirtualClock {
    /// Returns the time since the clock was created.
    pub fn passed(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::Relaxed))
    }

    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        START_MS + self.passed_ms.load(Ordering::Relaxed)
    }

    /// Returns how often a client slept.
    pub fn sleeps(&self) -> usize {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// Advances the clock.
    pub fn pass(&self, time: Duration) {
        let passed = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.passed_ms.fetch_add(passed, Ordering::Relaxed);
    }

    /// Sleeps: waits until no request is in flight, then advances the clock.
    ///
    /// So no request takes longer than a client's sleep. Effects that need a slow request advance the
    /// clock themselves.
    pub async fn sleep(&self, time: Duration) {
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        loop {
            tokio::task::yield_now().await;
            if self.in_flight.load(Ordering::Relaxed) == 0 {
                break;
            }
        }
        self.pass(time + Duration::from_millis(1));
    }

    /// Counts a request as in flight until the result is dropped.
    pub(super) fn begin_request(&self) -> RequestInFlight<'_> {
        self.passed_ms.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        RequestInFlight(self)
    }
}

impl Drop for RequestInFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
