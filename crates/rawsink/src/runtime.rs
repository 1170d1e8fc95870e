//! Injected time and randomness. No other module requests either from the system.

pub(crate) mod process;
#[cfg(any(feature = "s3", feature = "sqlite", feature = "postgres"))]
pub(crate) mod waits;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// A source of time.
///
/// The library uses no other, so that tests control the time.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the wall-clock time.
    fn now(&self) -> Timestamp;

    /// Returns the time since a fixed moment, without time in suspension.
    ///
    /// For grace periods: other processes were able to run during all of this time.
    fn monotonic(&self) -> Duration;

    /// Returns the time since a fixed moment, with time in suspension. For deadlines.
    fn elapsed(&self) -> Duration;

    /// Waits for `time`.
    async fn sleep(&self, time: Duration);
}

/// The system's clock, in whole milliseconds: every tool can read such time stamps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the injected clock")]
    fn now(&self) -> Timestamp {
        let milliseconds = Timestamp::now().as_millisecond();
        Timestamp::from_millisecond(milliseconds).expect("the time was in range before")
    }

    fn monotonic(&self) -> Duration {
        Origin::get().start.elapsed()
    }

    /// Returns the larger of the times that the boot clock and the wall clock show.
    fn elapsed(&self) -> Duration {
        let origin = Origin::get();
        let wall = age(origin.wall, self.now());
        boot_time().saturating_sub(origin.boot).max(wall)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The moment at which the system's clock starts.
struct Origin {
    start: Instant,
    boot: Duration,
    wall: Timestamp,
}

impl Origin {
    #[expect(clippy::disallowed_methods, reason = "this is the injected clock")]
    fn get() -> &'static Self {
        static ORIGIN: OnceLock<Origin> = OnceLock::new();
        ORIGIN.get_or_init(|| Self {
            start: Instant::now(),
            boot: boot_time(),
            wall: Timestamp::now(),
        })
    }
}

fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

/// A clock that does not advance, for tests.
#[cfg(feature = "test-util")]
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Timestamp);

#[cfg(feature = "test-util")]
#[async_trait]
impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _time: Duration) {}
}

/// A source of random writer tokens, one for each attempt.
pub trait Tokens: fmt::Debug + Send + Sync + 'static {
    /// Returns 128 bits that are unique to one attempt.
    fn next(&self) -> u128;
}

/// Tokens from the system's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemTokens;

impl Tokens for SystemTokens {
    fn next(&self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has a random number generator");
        u128::from_ne_bytes(bytes)
    }
}

/// The clock and the tokens that a sink uses.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of writer tokens.
    pub tokens: Arc<dyn Tokens>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), tokens: Arc::new(SystemTokens) }
    }
}

/// Returns the time between two moments, never negative.
pub fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
