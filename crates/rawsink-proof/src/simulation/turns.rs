//! The course of the world: one event at a time.
//!
//! Tasks run until none can continue. Then the time jumps to the next event, which may wake a task.
//! Nothing else wakes a task, so the seed decides the order of everything.

use super::{
    notices,
    world::{AgendaEntry, SimWorld, Woken},
};

/// More events than any seed needs; reaching it means an endless loop.
const MAX_EVENTS: u64 = 200_000;

impl SimWorld {
    /// Handles events until one wakes a task, or the agenda is empty.
    ///
    /// # Panics
    /// When all tasks wait and nothing can wake them.
    pub(super) fn turn(&mut self) {
        for notice in notices::take() {
            self.encounters.path("waited for the grace");
            self.trace("library", || format!("notice: {notice}"));
        }
        while self.auditor.violation().is_none() {
            let Some((event, number)) = self.next_event() else { break };
            if number > MAX_EVENTS {
                self.auditor.violate("the end: the simulation runs in an endless loop".to_owned());
            }
            if self.handle(event) == Woken::Task {
                return;
            }
        }
        self.wake_resting();
    }

    fn handle(&mut self, event: AgendaEntry) -> Woken {
        let woken = match event {
            AgendaEntry::Arrive(message) => self.arrive(message),
            AgendaEntry::Finish(message) => self.finish(message),
            AgendaEntry::Answer(message) => self.answer(message),
            AgendaEntry::Wake(timer) => self.wake(timer),
            AgendaEntry::World(event) => self.world_event(event),
        };
        self.auditor.after_event(&self.server);
        woken
    }
}
