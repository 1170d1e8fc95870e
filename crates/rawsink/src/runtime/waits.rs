//! Reports long waits: the first word after 4 s, then one each minute.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use {std::pin::pin, tokio::time::timeout};

use super::Clock;

/// How long a wait is silent at first, and between two reports.
const FIRST: Duration = Duration::from_secs(4);
const NEXT: Duration = Duration::from_mins(1);

/// The reports about one server. Requests in parallel wait for the same one, so they share them.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    clock: Arc<dyn Clock>,
    /// The time of the last report.
    last: Arc<Mutex<Option<Duration>>>,
}

impl Waits {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Arc::default() }
    }

    /// Starts a wait.
    pub(crate) fn start(&self) -> Wait {
        Wait { waits: self.clone(), start: self.clock.elapsed() }
    }
}

/// One wait.
#[derive(Debug)]
pub(crate) struct Wait {
    waits: Waits,
    start: Duration,
}

impl Wait {
    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.waits.clock.elapsed().saturating_sub(self.start)
    }

    /// Returns the time until the next report.
    pub(crate) fn until_next(&self) -> Duration {
        let last = *self.waits.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.due(last).saturating_sub(self.waits.clock.elapsed())
    }

    /// Reports the wait if it is time, or will be after `ahead`.
    pub(crate) fn report(&self, ahead: Duration, what: impl FnOnce() -> String) {
        let now = self.waits.clock.elapsed();
        {
            let mut last = self.waits.last.lock().unwrap_or_else(PoisonError::into_inner);
            if now + ahead < self.due(*last) {
                return;
            }
            *last = Some(now);
        }
        let what = what();
        tracing::warn!("{what}");
    }

    /// Waits until `work` ends, and reports a long wait.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) async fn until<T>(
        &self,
        work: impl Future<Output = T>,
        what: impl Fn(Seconds) -> String,
    ) -> T {
        let mut work = pin!(work);
        loop {
            match timeout(self.until_next(), &mut work).await {
                Ok(end) => return end,
                Err(_) => self.report(Duration::ZERO, || what(Seconds(self.elapsed()))),
            }
        }
    }

    /// Returns the time of the next report. One that was made during this wait stands for all requests.
    fn due(&self, last: Option<Duration>) -> Duration {
        match last {
            Some(last) if last >= self.start => last + NEXT,
            _ => self.start + FIRST,
        }
    }
}

/// Measures how long the network is silent, by the timer of the async runtime.
#[cfg(feature = "s3")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(tokio::time::Instant);

#[cfg(feature = "s3")]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The timer of the async runtime, which a test pauses, as a clock.
#[cfg(all(test, feature = "s3"))]
#[derive(Debug)]
pub(crate) struct PausedClock(Stopwatch);

#[cfg(all(test, feature = "s3"))]
impl PausedClock {
    pub(crate) fn start() -> Self {
        Self(Stopwatch::start())
    }
}

#[cfg(all(test, feature = "s3"))]
#[async_trait::async_trait]
impl Clock for PausedClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A number of seconds, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64().round())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use jiff::Timestamp;

    use super::*;

    /// A clock that a test sets, in seconds.
    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    #[async_trait::async_trait]
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            self.elapsed()
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        async fn sleep(&self, _: Duration) {}
    }

    /// Returns whether a wait is reported at a second.
    fn is_reported(hand: &Hand, wait: &Wait, second: u64, ahead: u64) -> bool {
        hand.0.store(second, Ordering::Relaxed);
        let mut said = false;
        wait.report(Duration::from_secs(ahead), || {
            said = true;
            String::new()
        });
        said
    }

    #[test]
    fn a_wait_is_reported_after_four_seconds_and_then_each_minute() {
        let hand = Arc::new(Hand::default());
        let waits = Waits::new(hand.clone());
        let (one, other) = (waits.start(), waits.start());
        assert_eq!(one.until_next(), FIRST);
        let seconds = (0..200).filter(|second| is_reported(&hand, &one, *second, 0));
        assert_eq!(seconds.collect::<Vec<_>>(), [4, 64, 124, 184]);
        assert!(!is_reported(&hand, &other, 200, 0), "it waits for the same server");
        let next = waits.start();
        assert!(!is_reported(&hand, &next, 203, 0) && is_reported(&hand, &next, 204, 0));
    }

    #[test]
    fn a_pause_that_lasts_until_the_report_is_reported_before() {
        let hand = Arc::new(Hand::default());
        let wait = Waits::new(hand.clone()).start();
        assert!(!is_reported(&hand, &wait, 1, 2) && is_reported(&hand, &wait, 1, 3));
    }
}
