//! The repairers, and the damage that they repair.

use super::{SeedPlan, WorldEvent, start};
use crate::simulation::{
    random::{Random, scrambled},
    time::{HOUR, MINUTE, Micros},
};

/// A process that repairs runs from a backup.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct PlannedRepairer {
    pub(in crate::simulation) start: Micros,
    pub(in crate::simulation) times: u64,
    pub(in crate::simulation) gap: Micros,
}

impl SeedPlan {
    /// Draws repairers and damage for some seeds, from a separate generator, so that they do not change
    /// the rest of the plan.
    pub(super) fn draw_repairers(&mut self, random: &Random) {
        let random = &mut Random::new(scrambled(random.clone().next()));
        if !random.happens(250) {
            return;
        }
        for _ in 0..random.between(1, 3) {
            let event =
                random.pick(&[WorldEvent::Vandal, WorldEvent::Vandal, WorldEvent::SealVandal]);
            self.events.push((start() + random.up_to(2 * HOUR), event));
        }
        for _ in 0..random.pick(&[0, 1, 1, 2]) {
            self.repairers.push(PlannedRepairer {
                start: random.up_to(2 * HOUR),
                times: random.between(1, 4),
                gap: random.pick(&[10 * self.tempo, MINUTE, 10 * MINUTE]),
            });
        }
        self.repairs_at_the_end = random.happens(500);
    }
}
