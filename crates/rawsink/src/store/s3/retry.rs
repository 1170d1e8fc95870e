//! The retry policy of every loop that waits.
//!
//! The pauses are random up to a cap that doubles with every try (full jitter). They are longer if
//! the server asks to slow down. A deadline ends all tries. The final error contains their number
//! and total time. A request that cannot succeed is not retried.

use std::{future::Future, pin::Pin, time::Duration};

use super::{
    fault::{self, S3Fault},
    requests::Reply,
};
use crate::runtime::{
    Runtime,
    waits::{Wait, Waits},
};

/// How failed requests are retried.
///
/// A request is retried after a timeout, a lost connection, an interrupted reply, the statuses 408,
/// 429, 500, 502, 503 and 504, and error codes that ask for it (such as `SlowDown`), if that is safe.
/// The protocol then checks the objects and does not rely on the status of a retry alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How long a failed request is retried; 5 minutes unless set.
    pub deadline: Duration,
    /// Greatest number of tries of one request; not limited unless set.
    pub max_tries: u32,
    /// The longest first pause; 100 ms unless set. The cap doubles with every try.
    pub first_pause: Duration,
    /// The longest first pause if the server asks to slow down (429, 503); 1 s unless set.
    pub first_pause_slow_down: Duration,
    /// The longest pause; 20 s unless set.
    pub max_pause: Duration,
    /// The pause between two checks of the server's progress; 200 ms unless set.
    pub poll: Duration,
    /// How long a request may make no progress; 1 minute unless set. Then it is sent again, on another
    /// connection. A request that makes progress may take any time.
    pub stall_timeout: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(5),
            max_tries: u32::MAX,
            first_pause: Duration::from_millis(100),
            first_pause_slow_down: Duration::from_secs(1),
            max_pause: Duration::from_secs(20),
            poll: Duration::from_millis(200),
            stall_timeout: Duration::from_mins(1),
        }
    }
}

/// A request in flight.
pub(crate) type Sending<'r, T> = Pin<Box<dyn Future<Output = Reply<T>> + Send + 'r>>;

/// A value and the time when its request was sent, on the clock of the deadlines.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) value: T,
    pub(crate) sent: Duration,
}

/// Applies a policy with a clock and randomness.
#[derive(Debug, Clone)]
pub(crate) struct Retrier {
    pub(crate) runtime: Runtime,
    pub(crate) config: RetryConfig,
    waits: Waits,
}

impl Retrier {
    pub(super) fn new(runtime: Runtime, config: RetryConfig, waits: Waits) -> Self {
        Self { runtime, config, waits }
    }

    /// Sends a request until it is answered, a retry is useless, or the deadline has passed.
    pub(crate) async fn answered<'r, T>(
        &self,
        request: impl Fn() -> Sending<'r, T>,
    ) -> Reply<Answered<T>> {
        let mut tries = self.tries();
        loop {
            let sent = self.runtime.clock.elapsed();
            match request().await {
                Ok(value) => return Ok(Answered { value, sent }),
                Err(fault) if !fault.may_pass() => return Err(fault),
                Err(fault) => {
                    tries.start_deadline();
                    if !tries.pause(Some(&fault)).await {
                        return Err(tries.give_up(fault));
                    }
                }
            }
        }
    }

    /// Starts the tries of one request, with the policy's deadline.
    pub(crate) fn tries(&self) -> Tries {
        self.tries_until(self.config.deadline)
    }

    /// Starts the tries of one request, with a separate deadline.
    pub(crate) fn tries_until(&self, deadline: Duration) -> Tries {
        let (start, wait) = (self.runtime.clock.elapsed(), self.waits.start());
        let late = Duration::ZERO;
        Tries { retrier: self.clone(), start, wait, deadline, late, count: 0 }
    }

    /// Pauses between two checks of the server's progress.
    pub(crate) async fn poll(&self) {
        self.runtime.clock.sleep(self.config.poll).await;
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries {
    retrier: Retrier,
    start: Duration,
    wait: Wait,
    deadline: Duration,
    /// How long after the start the deadline begins.
    late: Duration,
    count: u32,
}

impl Tries {
    /// Lets the deadline begin now if no try has failed yet: a long body may take longer than the deadline.
    pub(crate) fn start_deadline(&mut self) {
        if self.count == 0 {
            self.late = self.elapsed();
        }
    }

    /// Pauses before the next try; returns `false` at once if there is none.
    pub(crate) async fn pause(&mut self, fault: Option<&S3Fault>) -> bool {
        self.count += 1;
        if self.are_over() {
            return false;
        }
        let pause = self.next_pause(fault.is_some_and(S3Fault::asks_to_slow_down));
        let (tries, milliseconds) = (self.count, pause.as_millis());
        if let Some(fault) = fault {
            tracing::debug!(tries, milliseconds, "retrying: {fault}");
        } else {
            tracing::debug!(tries, milliseconds, "checking again");
        }
        self.wait.report(pause, || {
            let (so_far, most) = (self.summary(), self.deadline.as_secs());
            match fault {
                Some(fault) => format!("retrying for up to {most} s, after {so_far}: {fault}"),
                None => format!("checking again for up to {most} s, after {so_far}"),
            }
        });
        self.retrier.runtime.clock.sleep(pause).await;
        true
    }

    /// Returns whether the deadline has passed, or the tries are used up.
    pub(crate) fn are_over(&self) -> bool {
        self.elapsed() > self.late + self.deadline || self.count >= self.retrier.config.max_tries
    }

    /// Adds the number of tries and their total time to a fault.
    pub(crate) fn give_up(&self, fault: S3Fault) -> S3Fault {
        S3Fault { given_up: Some((self.count, self.elapsed())), ..fault }
    }

    /// Returns the number of tries and their total time, for a message.
    pub(crate) fn summary(&self) -> String {
        fault::summary(self.count, self.elapsed())
    }

    /// Returns the total time of the tries.
    pub(crate) fn elapsed(&self) -> Duration {
        self.retrier.runtime.clock.elapsed().saturating_sub(self.start)
    }

    fn next_pause(&self, slow: bool) -> Duration {
        let RetryConfig { first_pause, first_pause_slow_down, max_pause, .. } = self.retrier.config;
        let first = if slow { first_pause_slow_down } else { first_pause };
        let cap = first.saturating_mul(1 << (self.count - 1).min(16)).min(max_pause);
        let random = self.retrier.runtime.tokens.next() >> 96;
        let random = u32::try_from(random).expect("32 bits are left");
        cap.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::runtime::waits::PausedClock;

    /// Sends a request that needs `takes` for each try and fails `failures` times.
    async fn sent(takes: Duration, failures: u32) -> Reply<Answered<u32>> {
        let runtime = Runtime { clock: Arc::new(PausedClock::start()), ..Runtime::default() };
        let waits = Waits::new(Arc::clone(&runtime.clock));
        let retrier = Retrier::new(runtime, RetryConfig::default(), waits);
        let tries = AtomicU32::new(0);
        let request = || -> Sending<'_, u32> {
            Box::pin(async {
                tokio::time::sleep(takes).await;
                let number = tries.fetch_add(1, Ordering::Relaxed);
                if number < failures { Err(S3Fault::default()) } else { Ok(number) }
            })
        };
        retrier.answered(request).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_begins_when_the_first_try_fails() {
        let longer_than_the_deadline = Duration::from_mins(30);
        assert_eq!(sent(longer_than_the_deadline, 1).await.unwrap().value, 1);
        let fault = sent(longer_than_the_deadline, 2).await.unwrap_err();
        let (tries, elapsed) = fault.given_up.unwrap();
        assert_eq!((tries, elapsed.as_secs() / 60), (2, 60), "{fault:?}");
    }
}
