//! Time and randomness, injected: the only place that asks the system for either.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

/// Tells the time.
///
/// The library never asks the system itself, so that tests decide what time it is.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the wall-clock time.
    fn now(&self) -> Timestamp;
}

/// The system's clock, in whole milliseconds: what is written down should be readable anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the injected clock")]
    fn now(&self) -> Timestamp {
        let milliseconds = Timestamp::now().as_millisecond();
        Timestamp::from_millisecond(milliseconds).expect("the time was in range before")
    }
}

/// A clock that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
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

/// The time and randomness that a sink works with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Writer tokens.
    pub tokens: Arc<dyn Tokens>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), tokens: Arc::new(SystemTokens) }
    }
}

/// Returns the whole seconds between two times, never negative.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
