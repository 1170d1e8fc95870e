//! The cleaners and the age of what they clean.

use std::time::Duration;

use fake_s3::{AbortDuringComplete, UploadListing};
use rawsink_ops::clean::{CleanPolicy, LEAST_AGE_WITHOUT_LOCK, Payloads};

use super::SeedPlan;
use crate::simulation::{
    random::Random,
    time::{HOUR, MINUTE, Micros},
};

/// The largest difference of clocks that a server accepts.
pub(in crate::simulation) const CLOCK_SKEW: Micros = 15 * MINUTE;

/// A process that aborts abandoned uploads.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct PlannedCleaner {
    pub(in crate::simulation) start: Micros,
    pub(in crate::simulation) times: u64,
    pub(in crate::simulation) gap: Micros,
    pub(in crate::simulation) rules: CleanPolicy,
}

impl SeedPlan {
    /// Draws the cleaners from a separate generator, so that they do not change the rest of the plan.
    ///
    /// The age is the minimum plus the difference of the clocks. Where an abort during a Complete loses
    /// the content, the age exceeds the life of every writer, as the documentation of `clean` requires.
    pub(super) fn draw_cleaners(&mut self, random: &Random) {
        let random = &mut Random::new(random.clone().next());
        self.behaviour.upload_listing =
            random.pick(&[UploadListing::ByPrefix, UploadListing::ByKey]);
        let behind = self.gateways.iter().map(|says| HOUR.saturating_sub(*says)).max();
        let least =
            LEAST_AGE_WITHOUT_LOCK + Duration::from_micros(behind.unwrap_or_default() + CLOCK_SKEW);
        let loses = self.behaviour.abort_during_complete == AbortDuringComplete::LosesContent;
        let (age, start) = if loses {
            (Duration::from_hours(48), 72 * HOUR)
        } else {
            (least, random.up_to(4 * HOUR))
        };
        let cleaner = |payloads| PlannedCleaner {
            start,
            times: 1,
            gap: 0,
            rules: CleanPolicy { older_than: age, payloads },
        };
        for _ in 0..random.pick(&[0, 0, 1, 1, 2]) {
            let (times, gap) = (random.between(1, 4), random.pick(&[0, 10 * MINUTE, HOUR]));
            self.cleaners.push(PlannedCleaner { times, gap, ..cleaner(Payloads::UnderLock) });
        }
        if random.happens(300) {
            self.last_cleaner =
                Some(PlannedCleaner { start: 96 * HOUR, ..cleaner(Payloads::Everywhere) });
        }
    }
}
