//! Who cleans, and at which age.

use std::time::Duration;

use rawsink::clean::{LEAST_AGE_WITHOUT_LOCK, Payloads, Rules};

use super::Plan;
use crate::{
    server::{AbortMeetingComplete, UploadListing},
    simulation::{
        random::Random,
        time::{HOUR, MINUTE, Micros},
    },
};

/// How far clocks may be apart for a server to answer.
pub(in crate::simulation) const CLOCK_SKEW: Micros = 15 * MINUTE;

/// Somebody who ends uploads that nobody continues.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct Cleaner {
    pub(in crate::simulation) start: Micros,
    pub(in crate::simulation) times: u64,
    pub(in crate::simulation) gap: Micros,
    pub(in crate::simulation) rules: Rules,
}

impl Plan {
    /// Draws who cleans, from numbers of its own: where nobody does, a seed tells what it told before.
    ///
    /// The age is the least one, and what the clocks may be apart. Where an abort ruins a Complete that
    /// runs, it is longer than any writer lives, as the documentation of `clean` asks for.
    pub(super) fn draw_cleaners(&mut self, random: &Random) {
        let random = &mut Random::new(random.clone().next());
        self.behaviour.upload_listing =
            random.pick(&[UploadListing::ByPrefix, UploadListing::ByKey]);
        let behind = self.gateways.iter().map(|says| HOUR.saturating_sub(*says)).max();
        let least =
            LEAST_AGE_WITHOUT_LOCK + Duration::from_micros(behind.unwrap_or_default() + CLOCK_SKEW);
        let ruins = self.behaviour.abort_meeting_complete == AbortMeetingComplete::Ruins;
        let (age, start) = if ruins {
            (Duration::from_hours(48), 72 * HOUR)
        } else {
            (least, random.up_to(4 * HOUR))
        };
        let cleaner = |payloads| Cleaner {
            start,
            times: 1,
            gap: 0,
            rules: Rules { older_than: age, payloads },
        };
        for _ in 0..random.pick(&[0, 0, 1, 1, 2]) {
            let (times, gap) = (random.between(1, 4), random.pick(&[0, 10 * MINUTE, HOUR]));
            self.cleaners.push(Cleaner { times, gap, ..cleaner(Payloads::UnderLock) });
        }
        if random.happens(300) {
            self.last_cleaner = Some(Cleaner { start: 96 * HOUR, ..cleaner(Payloads::Everywhere) });
        }
    }
}
