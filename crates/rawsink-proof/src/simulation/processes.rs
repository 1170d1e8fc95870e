//! Processes in the world: they start, sleep, pause and die.

use tokio::{sync::oneshot, task::AbortHandle};

use super::{
    ids::ProcessId,
    plan::CLOCK_SKEW,
    process::{PausedClock, Timer},
    time::{HOUR, Micros, SECOND},
    world::{AgendaEntry, SimWorld, Woken},
};

impl SimWorld {
    /// Starts a cleaner. Its clock is as exact as servers require.
    pub(super) fn start_cleaner(&mut self, name: String) -> ProcessId {
        let id = self.start_process(name);
        let wall = HOUR + CLOCK_SKEW - self.random.up_to(2 * CLOCK_SKEW);
        self.processes[id.0].clean_with_wall_clock(wall);
        id
    }

    /// Sets the task that runs a process.
    pub(super) fn set_task(&mut self, process: ProcessId, task: AbortHandle) {
        self.processes[process.0].task = Some(task);
    }

    /// Kills a process. Its messages stay on their way.
    pub(super) fn kill(&mut self, process: ProcessId, why: &'static str) -> Woken {
        if std::mem::replace(&mut self.processes[process.0].dead, true) {
            return Woken::Nothing;
        }
        self.encounters.mishap(why);
        self.auditor.killed(process);
        let name = self.name_of(process);
        self.trace(&name, || format!("KILLED ({why})"));
        let Some(task) = self.processes[process.0].task.take() else { return Woken::Nothing };
        let woken = if task.is_finished() { Woken::Nothing } else { Woken::Task };
        task.abort();
        woken
    }

    /// Pauses a process, perhaps with its machine.
    pub(super) fn pause(&mut self, process: ProcessId) {
        let (since, until) = (self.now, self.now + self.long());
        let suspends = self.random.happens(500);
        let (clock, mishap) = if suspends {
            (PausedClock::Stops, "suspended")
        } else {
            (PausedClock::Continues, "stopped")
        };
        if !self.processes[process.0].pause(since, until, clock) {
            return;
        }
        self.encounters.mishap(mishap);
        let name = self.name_of(process);
        self.trace(&name, || format!("{mishap} for {} s", (until - since) / SECOND));
    }

    /// Returns the end of the current pause of a process.
    pub(super) fn paused_until(&mut self, process: ProcessId) -> Option<Micros> {
        self.processes[process.0].paused_until(self.now)
    }

    /// Returns the reading of a process's monotonic clock.
    pub(super) fn monotonic(&mut self, process: ProcessId) -> Micros {
        self.processes[process.0].monotonic(self.now)
    }

    /// Begins a sleep of a process.
    pub(super) fn sleep(&mut self, process: ProcessId, time: Micros) -> oneshot::Receiver<()> {
        let (sleeper, sleeping) = oneshot::channel();
        let early = !self.fair && self.random.happens(20);
        if early {
            self.encounters.mishap("sleep ends early");
        }
        let time = if early { self.random.between(0, time) } else { time };
        let until = self.monotonic(process) + time;
        let number = self.number();
        self.timers.insert(number, Timer { process, until, sleeper });
        self.due(self.now + time, AgendaEntry::Wake(number));
        sleeping
    }

    /// Ends a sleep, unless the process is paused or its clock was stopped meanwhile.
    pub(super) fn wake(&mut self, number: u64) -> Woken {
        let Some(Timer { process, until, .. }) = self.timers.get(&number) else {
            return Woken::Nothing;
        };
        let (process, until) = (*process, *until);
        if self.processes[process.0].dead {
            self.timers.remove(&number);
            return Woken::Nothing;
        }
        if let Some(at) = self.paused_until(process) {
            self.due(at, AgendaEntry::Wake(number));
            return Woken::Nothing;
        }
        let left = until.saturating_sub(self.monotonic(process));
        if left > 0 {
            self.due(self.now + left, AgendaEntry::Wake(number));
            return Woken::Nothing;
        }
        let timer = self.timers.remove(&number);
        match timer.map(|timer| timer.sleeper.send(())) {
            Some(Ok(())) => Woken::Task,
            _ => Woken::Nothing,
        }
    }
}
