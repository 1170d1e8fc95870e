//! Sending a request again: the one place for it.
//!
//! Full jitter up to a cap that doubles, a harder one where the server asks to slow down, a
//! deadline over all tries. What cannot succeed is not sent again.

use std::{future::Future, pin::Pin, time::Duration};

use super::{fault::Fault, requests::Reply};
use crate::clock::Surroundings;

/// How long a request that may be sent again is tried.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);
/// How long one sending of a part or a payload may take.
pub(crate) const PART_TIMEOUT: Duration = Duration::from_mins(5);
/// A short wait for the server to come to a view.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// After so many tries without success a person is told what is waited for.
const TRIES_UNTOLD: u32 = 3;
const FIRST_CAP: Duration = Duration::from_millis(100);
const FIRST_CAP_SLOW: Duration = Duration::from_secs(1);
const LAST_CAP: Duration = Duration::from_secs(20);

/// A request on its way.
pub(crate) type Sending<'r, T> = Pin<Box<dyn Future<Output = Reply<T>> + Send + 'r>>;

/// A value, and when the request that brought it was sent, on the clock of the deadlines.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) value: T,
    pub(crate) sent: Duration,
}

/// Sends a request until it is answered, cannot be, or the deadline has passed.
pub(crate) async fn answered<'r, T>(
    surroundings: &Surroundings,
    request: impl Fn() -> Sending<'r, T>,
) -> Reply<Answered<T>> {
    let clock = &surroundings.clock;
    let start = clock.elapsed();
    let mut pauses = Pauses::new(surroundings);
    loop {
        let sent = clock.elapsed();
        match request().await {
            Ok(value) => return Ok(Answered { value, sent }),
            Err(fault) if !fault.may_pass() || clock.elapsed().saturating_sub(start) > DEADLINE => {
                return Err(fault);
            }
            Err(fault) => pauses.wait(Some(&fault)).await,
        }
    }
}

/// The waits between the sendings of one request.
#[derive(Debug)]
pub(crate) struct Pauses {
    surroundings: Surroundings,
    tries: u32,
}

impl Pauses {
    pub(crate) fn new(surroundings: &Surroundings) -> Self {
        Self { surroundings: surroundings.clone(), tries: 0 }
    }

    /// Waits for a random time up to the cap, which doubles with every wait; says why, once.
    pub(crate) async fn wait(&mut self, fault: Option<&Fault>) {
        let slow = fault.is_some_and(Fault::asks_to_slow_down);
        let first = if slow { FIRST_CAP_SLOW } else { FIRST_CAP };
        let cap = first.saturating_mul(1 << self.tries.min(16)).min(LAST_CAP);
        self.tries += 1;
        if let Some(fault) = fault.filter(|_| self.tries == TRIES_UNTOLD) {
            self.surroundings.notices.tell(&format!("trying again: {fault}"));
        }
        let random =
            u32::try_from(self.surroundings.tokens.next() >> 96).expect("32 bits are left");
        self.surroundings.clock.sleep(cap.mul_f64(f64::from(random) / f64::from(u32::MAX))).await;
    }
}
