//! A process: its clocks, its sleeps, how it stands still and how it is killed.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rawsink::{
    Clock, RawSink,
    clock::{Notices, Surroundings, Tokens},
    config::{CompleteConditions, LeftoverPolicy},
    sink::SinkOptions,
    store::S3Store,
};
use tokio::{sync::oneshot, task::AbortHandle};

use super::{
    auditor::AttemptId,
    plan::{CLOCK_SKEW, PREFIX},
    time::{HOUR, Micros, SECOND, micros, timestamp_of},
    world::{Due, Shared, Woken, World},
};
use crate::server::UploadId;

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProcessId(pub(super) usize);

/// Whoever waits outside of any process; nothing happens to it.
pub(super) const NOBODY: ProcessId = ProcessId(0);

/// A process, alive or dead.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) dead: bool,
    /// What it is at, where it writes.
    pub(super) attempt: Option<AttemptId>,
    /// Whether a body that it reads was garbled.
    pub(super) misled: bool,
    /// Where it cleans: how long each upload at whose parts it looked had rested then.
    pub(super) looked_at: Option<BTreeMap<UploadId, Micros>>,
    pub(super) task: Option<AbortHandle>,
    /// Its wall clock: how far it is from the right time, an hour being right.
    wall: Micros,
    /// What its other clocks say when the world starts.
    origin: Micros,
    suspended: Micros,
    still: Option<Still>,
}

/// A time in which a process stands still.
#[derive(Debug, Clone, Copy)]
struct Still {
    since: Micros,
    until: Micros,
    with: StandsWith,
}

/// What stands still with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StandsWith {
    /// Its machine, and the clock of what others had time for.
    Machine,
    Nothing,
}

/// A sleep.
#[derive(Debug)]
pub(super) struct Timer {
    process: ProcessId,
    /// When it ends, on the process's monotonic clock.
    until: Micros,
    sleeper: oneshot::Sender<()>,
}

impl World {
    /// Starts a process.
    pub(super) fn process(&mut self, name: String) -> ProcessId {
        let wall = if self.random.happens(500) { HOUR } else { self.random.below(2 * HOUR) };
        let origin = self.random.below(1000 * HOUR);
        self.processes.push(Process {
            name,
            dead: false,
            attempt: None,
            misled: false,
            looked_at: None,
            task: None,
            wall,
            origin,
            suspended: 0,
            still: None,
        });
        ProcessId(self.processes.len() - 1)
    }

    /// Starts a process that cleans. Its clock is as right as servers ask for.
    pub(super) fn cleaning_process(&mut self, name: String) -> ProcessId {
        let id = self.process(name);
        self.processes[id.0].wall = HOUR + CLOCK_SKEW - self.random.up_to(2 * CLOCK_SKEW);
        self.processes[id.0].looked_at = Some(BTreeMap::new());
        id
    }

    /// Says which task a process is.
    pub(super) fn is_task(&mut self, process: ProcessId, task: AbortHandle) {
        self.processes[process.0].task = Some(task);
    }

    /// Kills a process: what it sent goes on without it.
    pub(super) fn kill(&mut self, process: ProcessId, why: &'static str) -> Woken {
        if std::mem::replace(&mut self.processes[process.0].dead, true) {
            return Woken::Nobody;
        }
        self.coverage.fault(why);
        self.auditor.killed(process);
        let name = self.name_of(process);
        self.tell(&name, || format!("KILLED ({why})"));
        let Some(task) = self.processes[process.0].task.take() else { return Woken::Nobody };
        let woken = if task.is_finished() { Woken::Nobody } else { Woken::Somebody };
        task.abort();
        woken
    }

    /// Lets a process stand still for a while, perhaps with its machine.
    pub(super) fn pause(&mut self, process: ProcessId) {
        let (since, until) = (self.now, self.now + self.long());
        let with = if self.random.happens(500) { StandsWith::Machine } else { StandsWith::Nothing };
        let still = &mut self.processes[process.0].still;
        if still.is_some() {
            return;
        }
        *still = Some(Still { since, until, with });
        self.coverage.fault(match with {
            StandsWith::Machine => "suspended",
            StandsWith::Nothing => "stopped",
        });
        let name = self.name_of(process);
        self.tell(&name, || format!("stands still for {} s ({with:?})", (until - since) / SECOND));
    }

    /// Draws a time that matters: about as long as one of the settings, or any.
    pub(super) fn long(&mut self) -> Micros {
        let settings = &self.plan.settings;
        let known = [
            settings.seal_deadline_s,
            settings.leftover_grace_s,
            settings.complete_deadline_s,
            settings.seal_timeout_s,
        ];
        let known = self.random.pick(&known) * SECOND;
        let about = self.random.between(known / 2, 2 * known);
        let any = self.random.up_to(2 * HOUR);
        self.random.pick(&[about, about, any])
    }

    /// Returns until when a process stands still; `None` where it does not.
    pub(super) fn still_until(&mut self, process: ProcessId) -> Option<Micros> {
        let now = self.now;
        let process = &mut self.processes[process.0];
        let still = process.still?;
        if still.until > now {
            return Some(still.until);
        }
        process.still = None;
        if still.with == StandsWith::Machine {
            process.suspended += still.until - still.since;
        }
        None
    }

    fn monotonic(&mut self, process: ProcessId) -> Micros {
        // What it did already in the moment in which it came to stand still.
        let since = match self.still_until(process) {
            Some(_) => self.processes[process.0].still.map_or(self.now, |still| still.since),
            None => self.now,
        };
        let process = &self.processes[process.0];
        process.origin + since - process.suspended
    }

    fn sleep(&mut self, process: ProcessId, time: Micros) -> oneshot::Receiver<()> {
        let (sleeper, sleeping) = oneshot::channel();
        let early = !self.fair && self.random.happens(20);
        if early {
            self.coverage.fault("sleep ends early");
        }
        let time = if early { self.random.between(0, time) } else { time };
        let until = self.monotonic(process) + time;
        let number = self.number();
        self.timers.insert(number, Timer { process, until, sleeper });
        self.due(self.now + time, Due::Wake(number));
        sleeping
    }

    /// Ends a sleep, unless the process stands still or its clock did meanwhile.
    pub(super) fn wake(&mut self, number: u64) -> Woken {
        let Some(Timer { process, until, .. }) = self.timers.get(&number) else {
            return Woken::Nobody;
        };
        let (process, until) = (*process, *until);
        if self.processes[process.0].dead {
            self.timers.remove(&number);
            return Woken::Nobody;
        }
        if let Some(at) = self.still_until(process) {
            self.due(at, Due::Wake(number));
            return Woken::Nobody;
        }
        let left = until.saturating_sub(self.monotonic(process));
        if left > 0 {
            self.due(self.now + left, Due::Wake(number));
            return Woken::Nobody;
        }
        let timer = self.timers.remove(&number);
        match timer.map(|timer| timer.sleeper.send(())) {
            Some(Ok(())) => Woken::Somebody,
            _ => Woken::Nobody,
        }
    }
}

/// A process, as what runs in it sees itself.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) world: Shared,
    pub(super) id: ProcessId,
}

impl Here {
    /// Returns the sink as a process opens it that does not write.
    pub(super) fn sink(&self) -> RawSink {
        self.sink_with(LeftoverPolicy::Replace, CompleteConditions::Ignored)
    }

    /// Returns the sink as a process opens it.
    pub(super) fn sink_with(
        &self,
        leftover: LeftoverPolicy,
        conditions: CompleteConditions,
    ) -> RawSink {
        let here = Arc::new(self.clone());
        let notices = self.clone();
        let surroundings = Surroundings {
            clock: here.clone(),
            tokens: here.clone(),
            notices: Notices::to(move |sentence| notices.notice(sentence)),
        };
        let mut settings = self.world.lock().plan.settings.clone();
        settings.complete_conditions = conditions;
        let store = S3Store::with_requests(here, &settings, surroundings.clone());
        let options =
            SinkOptions { leftover, prefix_bytes: PREFIX.len(), ..SinkOptions::default() };
        RawSink::with(Arc::new(store), options, surroundings)
    }

    fn notice(&self, sentence: &str) {
        let mut world = self.world.lock();
        world.coverage.path("waited for the grace");
        let name = world.name_of(self.id);
        world.tell(&name, || format!("says: {sentence}"));
    }

    /// Waits for so long, or for ever where the process was killed.
    pub(super) async fn wait(&self, time: Micros) {
        let sleeping = self.world.lock().sleep(self.id, time);
        if sleeping.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits, now and then.
    pub(super) async fn perhaps_wait(&self) {
        let wait = {
            let mut world = self.world.lock();
            if world.random.happens(200) { world.latency() } else { 0 }
        };
        if wait > 0 {
            self.wait(wait).await;
        }
    }

    /// Says something in the story.
    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        let mut world = self.world.lock();
        let name = world.name_of(self.id);
        world.tell(&name, line);
    }
}

impl fmt::Debug for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Here").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Clock for Here {
    fn now(&self) -> Timestamp {
        let world = self.world.lock();
        timestamp_of(world.now + world.processes[self.id.0].wall - HOUR)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.world.lock().monotonic(self.id))
    }

    fn elapsed(&self) -> Duration {
        let world = self.world.lock();
        Duration::from_micros(world.now + 2 * world.processes[self.id.0].origin)
    }

    async fn sleep(&self, time: Duration) {
        self.wait(micros(time)).await;
    }
}

impl Tokens for Here {
    fn next(&self) -> u128 {
        let mut world = self.world.lock();
        u128::from(world.random.next()) << 64 | u128::from(world.random.next())
    }
}
