//! Everything there is, and how it goes on: one thing at a time, whatever is due first.
//!
//! Tasks run until none can go on; then the world takes its turn: time jumps to what is due first,
//! and somebody wakes up. Nothing else wakes anybody, so a seed decides the order of everything.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rawsink::state::Record;
use tokio::sync::oneshot;

use super::{
    auditor::Auditor,
    coverage::Coverage,
    messages::Message,
    options::{Lie, Options, Telling},
    plan::{self, Happening, Plan},
    process::{NOBODY, Process, ProcessId, Timer},
    random::{Random, scrambled},
    requests::Bucket,
    serving::Log,
    time::{Agenda, Micros, SECOND},
};

/// More than any seed needs; who gets there goes round in circles.
const MAX_STEPS: u64 = 200_000;

/// The world, as its inhabitants hold it.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the world, after everybody in it.
    pub(super) fn end(self) -> World {
        // A handle of a task keeps its runtime, which keeps the world.
        let mut world = self.lock();
        let tasks = world.processes.iter_mut().filter_map(|process| process.task.take());
        let tasks: Vec<_> = tasks.collect();
        let (messages, timers) =
            (std::mem::take(&mut world.messages), std::mem::take(&mut world.timers));
        drop(world);
        drop((tasks, messages, timers));
        let world = Arc::into_inner(self.0).expect("nobody outlives the world");
        world.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is due any more and nobody can go on.
    pub(super) async fn rest(&self) {
        let (rested, resting) = oneshot::channel();
        self.lock().rested = Some(rested);
        // The world is never dropped before its inhabitants.
        let _ = resting.await;
    }
}

/// What is due.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    /// A message reaches the server.
    Arrive(u64),
    /// What a message began at the server ends.
    Finish(u64),
    /// An answer reaches the client.
    Answer(u64),
    /// A sleep ends.
    Wake(u64),
    /// Something happens without anybody's doing.
    Happen(Happening),
}

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Micros,
    pub(super) random: Random,
    pub(super) options: Options,
    pub(super) plan: Plan,
    pub(super) server: Bucket,
    pub(super) log: Log,
    pub(super) processes: Vec<Process>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) timers: BTreeMap<u64, Timer>,
    pub(super) records: BTreeMap<String, Record>,
    pub(super) auditor: Auditor,
    pub(super) coverage: Coverage,
    /// Whether anything goes wrong that does not have to.
    pub(super) fair: bool,
    /// Whether who was alone came to an end.
    pub(super) finished: bool,
    pub(super) lines: Vec<String>,
    agenda: Agenda<Due>,
    given: u64,
    steps: u64,
    digest: u64,
    rested: Option<oneshot::Sender<()>>,
}

impl World {
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(scrambled(seed));
        let plan = Plan::draw(&mut random, options);
        let mut agenda = Agenda::default();
        for (at, happening) in &plan.happenings {
            agenda.add(*at, Due::Happen(*happening));
        }
        let auditor = Auditor::new(&plan, options);
        let mut world = Self {
            now: plan::start(),
            random,
            options,
            server: Bucket::new(plan.behaviour),
            plan,
            log: Log::default(),
            processes: Vec::new(),
            messages: BTreeMap::new(),
            timers: BTreeMap::new(),
            records: BTreeMap::new(),
            auditor,
            coverage: Coverage::default(),
            fair: false,
            finished: false,
            lines: Vec::new(),
            agenda,
            given: 0,
            steps: 0,
            digest: 0,
            rested: None,
        };
        let nobody = world.process("nobody".to_owned());
        debug_assert_eq!(nobody, NOBODY);
        world
    }

    pub(super) fn due(&mut self, at: Micros, what: Due) {
        self.agenda.add(at.max(self.now), what);
    }

    /// Takes turns until somebody woke up, or nothing is due any more.
    pub(super) fn turn(&mut self) {
        while self.auditor.violation().is_none() {
            let Some((at, what)) = self.agenda.next() else { break };
            self.now = at;
            self.steps += 1;
            self.note(at);
            if self.steps > MAX_STEPS {
                self.auditor.violate("the end: something goes round in circles".to_owned());
            }
            if self.happens(what) == Woken::Somebody {
                return;
            }
        }
        match self.rested.take() {
            // Who waits for this is there as long as the world.
            Some(rested) => drop(rested.send(())),
            None => panic!("everybody waits for nothing"),
        }
    }

    fn happens(&mut self, what: Due) -> Woken {
        let woken = match what {
            Due::Arrive(message) => self.arrive(message),
            Due::Finish(message) => self.finish(message),
            Due::Answer(message) => self.answer(message),
            Due::Wake(timer) => self.wake(timer),
            Due::Happen(happening) => self.happening(happening),
        };
        self.auditor.after_step(&self.server);
        woken
    }

    /// Returns a name that was not given before; not in the order of time, as on real servers.
    pub(super) fn unique(&mut self) -> u64 {
        self.given += 1;
        scrambled(self.given)
    }

    /// Returns a number that was not given before, in the order of time.
    pub(super) fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// Returns how long something takes that usually takes as long as the plan says.
    pub(super) fn latency(&mut self) -> Micros {
        let tempo = self.plan.tempo;
        self.random.between(tempo / 20, tempo / 2) + self.random.up_to(tempo)
    }

    /// Tells a line of the story, where somebody listens.
    pub(super) fn tell(&mut self, who: &str, line: impl FnOnce() -> String) {
        if self.options.telling == Telling::Every {
            let since = self.now - plan::start();
            let (seconds, rest) = (since / SECOND, since % SECOND);
            self.lines.push(format!("{seconds:>6}.{rest:06} {who:<12} {}", line()));
        }
    }

    /// Takes a number into the digest of all that happened.
    pub(super) fn note(&mut self, what: u64) {
        self.digest = scrambled(self.digest ^ what).wrapping_add(self.steps);
    }

    /// Returns what tells two stories apart.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Tells whether the server breaks an assumption, and does so now.
    pub(super) fn lies(&self, lie: Lie) -> bool {
        self.options.lie == Some(lie) && !self.fair
    }

    pub(super) fn name_of(&self, process: ProcessId) -> String {
        self.processes[process.0].name.clone()
    }
}

/// Whether a turn made somebody go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    Somebody,
    Nobody,
}
