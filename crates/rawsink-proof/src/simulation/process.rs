//! A process: its clocks, its pauses and its death.

use std::collections::BTreeMap;

use fake_s3::UploadId;
use tokio::{sync::oneshot, task::AbortHandle};

use super::{
    ids::{AttemptId, ProcessId},
    time::{HOUR, Micros},
};

/// A process, alive or dead.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) dead: bool,
    /// The attempt of a writer.
    pub(super) attempt: Option<AttemptId>,
    /// The prefix of the run that it repairs.
    pub(super) repairs: Option<String>,
    /// Whether it read a garbled body.
    pub(super) misled: bool,
    /// The uploads whose parts a cleaner listed, with the time since their last use at that moment.
    pub(super) inspected: Option<BTreeMap<UploadId, Micros>>,
    pub(super) task: Option<AbortHandle>,
    /// Offset of its wall clock from the right time, plus an hour.
    wall: Micros,
    /// Readings of its other clocks at the start of the world.
    origin: Micros,
    /// Time for which its monotonic clock was suspended.
    suspended: Micros,
    pause: Option<Pause>,
}

/// A pause of a process.
#[derive(Debug, Clone, Copy)]
struct Pause {
    since: Micros,
    until: Micros,
    clock: PausedClock,
}

/// Whether the monotonic clock of a paused process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PausedClock {
    /// It stops: the machine is suspended.
    Stops,
    /// It continues: the process alone is stopped.
    Continues,
}

/// A sleep.
#[derive(Debug)]
pub(super) struct Timer {
    pub(super) process: ProcessId,
    /// The end, on the monotonic clock of the process.
    pub(super) until: Micros,
    pub(super) sleeper: oneshot::Sender<()>,
}

impl Process {
    pub(super) fn new(name: String, wall: Micros, origin: Micros) -> Self {
        Self {
            name,
            dead: false,
            attempt: None,
            repairs: None,
            misled: false,
            inspected: None,
            task: None,
            wall,
            origin,
            suspended: 0,
            pause: None,
        }
    }

    /// Makes the process a cleaner, with a wall clock that servers accept.
    pub(super) fn clean_with_wall_clock(&mut self, wall: Micros) {
        self.wall = wall;
        self.inspected = Some(BTreeMap::new());
    }

    /// Pauses the process unless it is paused; returns whether it did.
    pub(super) fn pause(&mut self, since: Micros, until: Micros, clock: PausedClock) -> bool {
        let starts = self.pause.is_none();
        self.pause.get_or_insert(Pause { since, until, clock });
        starts
    }

    /// Returns the end of the current pause.
    pub(super) fn paused_until(&mut self, now: Micros) -> Option<Micros> {
        let pause = self.pause?;
        if pause.until > now {
            return Some(pause.until);
        }
        self.pause = None;
        if pause.clock == PausedClock::Stops {
            self.suspended += pause.until - pause.since;
        }
        None
    }

    /// Returns the reading of the wall clock.
    pub(super) fn wall_clock(&self, now: Micros) -> Micros {
        now + self.wall - HOUR
    }

    /// Returns the reading of the monotonic clock.
    pub(super) fn monotonic(&mut self, now: Micros) -> Micros {
        // A paused process reads the time at which the pause began.
        let paused = self.paused_until(now).and(self.pause);
        let read_at = paused.map_or(now, |pause| pause.since);
        self.origin + read_at - self.suspended
    }

    /// Returns the reading of the clock that runs while the machine is suspended.
    pub(super) fn elapsed(&self, now: Micros) -> Micros {
        now + 2 * self.origin
    }
}
