//! The world: everything that exists in a simulation, and its agenda.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fake_s3::{FakeBucket, Stamp};
use rawsink::state::History;
use tokio::sync::oneshot;

use super::{
    auditor::Auditor,
    encounters::Encounters,
    ids::{NOBODY, ProcessId},
    message::Message,
    options::{Lie, Options, TraceLevel},
    plan::{self, SeedPlan, WorldEvent},
    process::{Process, Timer},
    random::{Random, scrambled},
    requests::SimBucket,
    server_log::ServerLog,
    time::{Agenda, HOUR, MILLISECOND, MINUTE, Micros, SECOND, micros},
};

/// The world as its tasks share it.
#[derive(Debug, Clone)]
pub(super) struct SharedWorld(Arc<Mutex<SimWorld>>);

impl SharedWorld {
    pub(super) fn new(world: SimWorld) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SimWorld> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the world after all its tasks, and returns it.
    pub(super) fn end(self) -> SimWorld {
        // A handle of a task keeps its runtime, which keeps the world.
        let mut world = self.lock();
        let tasks: Vec<_> =
            world.processes.iter_mut().filter_map(|process| process.task.take()).collect();
        let (messages, timers) =
            (std::mem::take(&mut world.messages), std::mem::take(&mut world.timers));
        drop(world);
        drop((tasks, messages, timers));
        let world = Arc::into_inner(self.0).expect("no task outlives the world");
        world.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the agenda is empty and no task can continue.
    pub(super) async fn rest(&self) {
        let (rested, resting) = oneshot::channel();
        self.lock().rested = Some(rested);
        // The sender lives in the world, which outlives its tasks.
        let _ = resting.await;
    }
}

/// An entry of the agenda.
#[derive(Debug, Clone, Copy)]
pub(super) enum AgendaEntry {
    /// A message reaches the server.
    Arrive(u64),
    /// The server ends a request that a message began.
    Finish(u64),
    /// An answer reaches the client.
    Answer(u64),
    /// A sleep ends.
    Wake(u64),
    /// An event without a client.
    World(WorldEvent),
}

/// Whether an event woke a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    Task,
    Nothing,
}

/// Everything that exists.
#[derive(Debug)]
pub(super) struct SimWorld {
    pub(super) now: Micros,
    pub(super) random: Random,
    pub(super) options: Options,
    pub(super) plan: SeedPlan,
    pub(super) server: SimBucket,
    pub(super) log: ServerLog,
    pub(super) processes: Vec<Process>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) timers: BTreeMap<u64, Timer>,
    pub(super) histories: BTreeMap<String, History>,
    pub(super) auditor: Auditor,
    pub(super) encounters: Encounters,
    /// Whether all avoidable trouble is over.
    pub(super) fair: bool,
    /// Whether the lone writer at the end has ended.
    pub(super) finished: bool,
    pub(super) lines: Vec<String>,
    agenda: Agenda<AgendaEntry>,
    names: u64,
    steps: u64,
    digest: u64,
    rested: Option<oneshot::Sender<()>>,
}

impl SimWorld {
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(scrambled(seed));
        let plan = SeedPlan::draw(&mut random, options);
        let mut agenda = Agenda::default();
        for (at, event) in &plan.events {
            agenda.add(*at, AgendaEntry::World(*event));
        }
        let mut world = Self {
            now: plan::start(),
            random,
            options,
            server: FakeBucket::new(options.lying(plan.behaviour)),
            auditor: Auditor::new(&plan, options),
            plan,
            log: ServerLog::default(),
            processes: Vec::new(),
            messages: BTreeMap::new(),
            timers: BTreeMap::new(),
            histories: BTreeMap::new(),
            encounters: Encounters::default(),
            fair: false,
            finished: false,
            lines: Vec::new(),
            agenda,
            names: 0,
            steps: 0,
            digest: 0,
            rested: None,
        };
        let nobody = world.start_process("nobody".to_owned());
        debug_assert_eq!(nobody, NOBODY);
        world
    }

    /// Starts a process.
    pub(super) fn start_process(&mut self, name: String) -> ProcessId {
        let wall = if self.random.happens(500) { HOUR } else { self.random.below(2 * HOUR) };
        let origin = self.random.below(1000 * HOUR);
        self.processes.push(Process::new(name, wall, origin));
        ProcessId(self.processes.len() - 1)
    }

    /// Adds an event to the agenda.
    pub(super) fn due(&mut self, at: Micros, event: AgendaEntry) {
        self.agenda.add(at.max(self.now), event);
    }

    /// Advances the time to the next event; returns it with the number of events so far.
    pub(super) fn next_event(&mut self) -> Option<(AgendaEntry, u64)> {
        let (at, event) = self.agenda.next()?;
        self.now = at;
        self.steps += 1;
        self.note(at);
        Some((event, self.steps))
    }

    /// Wakes the task that waits for the agenda to be empty.
    pub(super) fn wake_resting(&mut self) {
        let rested = self.rested.take().expect("a task waits for the end of the agenda");
        // The receiver lives as long as the world.
        let _ = rested.send(());
    }

    /// Returns a new name. Names are not in the order of time, as on real servers.
    pub(super) fn unique(&mut self) -> u64 {
        self.names += 1;
        scrambled(self.names)
    }

    /// Returns a new number, in the order of time.
    pub(super) fn number(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Returns a new name with the time of one of the server's gateways.
    pub(super) fn stamp(&mut self) -> Stamp {
        let time = self.now - HOUR + self.random.pick(&self.plan.gateways);
        Stamp { time, name: self.unique() }
    }

    /// Draws a usual duration.
    pub(super) fn latency(&mut self) -> Micros {
        let tempo = self.plan.tempo;
        self.random.between(tempo / 20, tempo / 2) + self.random.up_to(tempo)
    }

    /// Draws a duration near one of the settings, or any duration.
    pub(super) fn long(&mut self) -> Micros {
        let timing = self.plan.settings.timing();
        let known = [
            timing.seal_deadline,
            timing.leftover_grace,
            timing.complete_deadline,
            timing.seal_timeout,
        ];
        let known = micros(self.random.pick(&known));
        let near = self.random.between(known / 2, 2 * known);
        let any = self.random.up_to(2 * HOUR);
        self.random.pick(&[near, near, any])
    }

    /// Ends all avoidable trouble: an hour passes, every request is quick, the server is honest.
    pub(super) fn clear_up(&mut self) {
        self.fair = true;
        self.server.behaviour = self.plan.behaviour;
        self.plan.tempo = MILLISECOND;
        self.now += HOUR + MINUTE;
    }

    /// Adds a line to the trace.
    pub(super) fn trace(&mut self, who: &str, line: impl FnOnce() -> String) {
        if self.options.trace == TraceLevel::Every {
            let since = self.now - plan::start();
            let (seconds, rest) = (since / SECOND, since % SECOND);
            self.lines.push(format!("{seconds:>6}.{rest:06} {who:<12} {}", line()));
        }
    }

    /// Adds a number to the digest.
    fn note(&mut self, number: u64) {
        self.digest = scrambled(self.digest ^ number).wrapping_add(self.steps);
    }

    /// Returns a digest of all events.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns whether the world breaks this assumption now.
    pub(super) fn lies(&self, lie: Lie) -> bool {
        self.options.lie == Some(lie) && !self.fair
    }

    pub(super) fn name_of(&self, process: ProcessId) -> String {
        self.processes[process.0].name.clone()
    }
}
