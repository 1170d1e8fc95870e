//! Time that passes when somebody waits for it, and only while no request is on its way.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rawsink::Clock;

/// 2 June 2024, 04:00:00 UTC.
const START: i64 = 1_717_300_800;

/// A clock that is moved on by those who sleep, and by a millisecond with every request.
#[derive(Debug, Default)]
pub(crate) struct VirtualClock {
    milliseconds: AtomicU64,
    on_their_way: AtomicUsize,
    waits: AtomicUsize,
}

/// A request on its way, until it is dropped.
pub(super) struct OnItsWay<'c>(&'c VirtualClock);

impl VirtualClock {
    pub(super) fn passed(&self) -> Duration {
        Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }

    /// Returns how often somebody waited.
    pub(super) fn waits(&self) -> usize {
        self.waits.load(Ordering::Relaxed)
    }

    /// Lets time pass.
    pub(super) fn pass(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap();
        self.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Marks a request as on its way.
    pub(super) fn request(&self) -> OnItsWay<'_> {
        self.milliseconds.fetch_add(1, Ordering::Relaxed);
        self.on_their_way.fetch_add(1, Ordering::Relaxed);
        OnItsWay(self)
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.on_their_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(START).unwrap() + self.passed()
    }

    fn monotonic(&self) -> Duration {
        self.passed()
    }

    fn elapsed(&self) -> Duration {
        self.passed()
    }

    /// The protocol assumes that no request outlives the grace, so none does here.
    async fn sleep(&self, time: Duration) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        loop {
            tokio::task::yield_now().await;
            if self.on_their_way.load(Ordering::Relaxed) == 0 {
                break;
            }
        }
        self.pass(time + Duration::from_millis(1));
    }
}
