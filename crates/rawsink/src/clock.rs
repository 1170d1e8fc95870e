//! Time and randomness, injected: the only place that asks the system for either.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
///
/// The library never asks the system itself, so that tests decide what time it is.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the wall-clock time.
    fn now(&self) -> Timestamp;

    /// Returns the time since some moment, on a clock that stands while the machine is suspended:
    /// what has passed on it, others had the time to use.
    fn monotonic(&self) -> Duration;

    /// Returns the time since some moment, on a clock that goes on while the machine is suspended:
    /// for deadlines.
    fn elapsed(&self) -> Duration;

    /// Waits.
    async fn sleep(&self, time: Duration);
}

/// The system's clock, in whole milliseconds: what is written down should be readable anywhere.
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

    /// The larger of what the boot clock and the wall clock say.
    fn elapsed(&self) -> Duration {
        let origin = Origin::get();
        let wall = age(origin.wall, self.now());
        boot_time().saturating_sub(origin.boot).max(wall)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The moment from which the system's clock counts.
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

/// A clock that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Timestamp);

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

/// Makes the random token of each writing attempt.
pub trait Tokens: fmt::Debug + Send + Sync + 'static {
    /// Returns 128 bits that no other attempt has.
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

/// Tells a person what a sink is waiting for. The default tells nobody.
#[derive(Clone, Default)]
pub struct Notices(Option<Arc<Tell>>);

type Tell = dyn Fn(&str) + Send + Sync;

impl Notices {
    /// Makes notices that go to `tell`, one sentence each.
    pub fn to(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, sentence: &str) {
        if let Some(tell) = &self.0 {
            tell(sentence);
        }
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}

/// What a sink works with: time, randomness, and somebody to tell.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Writer tokens.
    pub tokens: Arc<dyn Tokens>,
    /// What a sink is waiting for.
    pub notices: Notices,
}

impl Default for Surroundings {
    fn default() -> Self {
        let (clock, tokens) = (Arc::new(SystemClock), Arc::new(SystemTokens));
        Self { clock, tokens, notices: Notices::default() }
    }
}

/// Returns the time between two moments, never negative.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
