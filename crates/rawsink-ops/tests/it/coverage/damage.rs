//! Random damage: a plan, followed to the letter at most twice, leads to the right rows again.
//!
//! A run that fails its validation costs one plan more, and so does each run of the future: a second lost
//! one, or one that was readable and kept others from authority.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use rawsink::{
    PartitionKey, PartitionReader, RawSink, RunId, consume,
    layout::Place,
    partition::Selection,
    runtime::Runtime,
    sink::SinkOptions,
    state::{Change, MemoryState, Outcome, PartitionState, Record, Verdict},
    store::{Object, Store},
    validate::{self, Rules},
};
use rawsink_ops::coverage::{Action, Coverage, Scope, Standing, coverage};

use super::check_random;
use rawsink_testkit::{
    backend::{Backend, Directory, Memory},
    sample::{key, path, payload, read_all, rows, run, seal},
};

const JOBS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN;

/// What happens to a partition before somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incident {
    /// A writer crashes and leaves a payload.
    Unsealed,
    Sealed,
    /// Other software seals a run.
    Foreign,
    /// A run with an id of the future is validated.
    Future,
    /// A writer with an id of the future crashes.
    UnsealedFuture,
    Validated,
    Failed,
    LostSeal,
    LostPayload,
    LostRun,
    Truncated,
    Flipped,
    /// A run that passed is landed again, with other rows of the same length.
    Landed,
    /// The metadata changes, and its length does not.
    Edited,
    ForeignSeal,
}

use Incident::{
    Edited, Failed, Flipped, Foreign, ForeignSeal, Future, Landed, LostPayload, LostRun, LostSeal,
    Sealed, Truncated, Unsealed, UnsealedFuture, Validated,
};

/// An incident, and the run that it happens to.
fn incidents() -> impl Strategy<Value = Vec<(Incident, usize)>> {
    let landings = vec![Unsealed, Sealed, Foreign, Future, UnsealedFuture];
    let damage = vec![
        Failed,
        LostSeal,
        LostPayload,
        LostRun,
        Truncated,
        Flipped,
        Landed,
        Edited,
        ForeignSeal,
    ];
    let incident = prop_oneof![
        2 => prop::sample::select(landings).boxed(),
        3 => Just(Validated).boxed(),
        3 => prop::sample::select(damage).boxed(),
    ];
    vec((incident, 0..8_usize), 0..12)
}

fn right() -> Vec<String> {
    rows("right", 3)
}

/// One partition and its history.
struct World<'a> {
    backend: &'a dyn Backend,
    sink: RawSink,
    /// The sink of a host with a wrong clock.
    careless: RawSink,
    state: MemoryState,
    key: PartitionKey,
    runs: Vec<RunId>,
    landings: u16,
}

impl<'a> World<'a> {
    fn new(backend: &'a dyn Backend) -> Self {
        let sink = RawSink::new(backend.store());
        let options = SinkOptions::default().max_run_ahead(Duration::MAX);
        let careless = RawSink::with(Arc::new(backend.store()), options, Runtime::default());
        let state = MemoryState::new();
        Self { backend, sink, careless, state, key: key(), runs: Vec::new(), landings: 0 }
    }

    /// Returns the id of a run that starts now.
    fn start(&mut self) -> RunId {
        self.landings += 1;
        self.known(run(self.landings))
    }

    fn start_in_the_future(&mut self) -> RunId {
        self.landings += 1;
        self.known(format!("2999-01-01T00:00:00.{:03}Z", self.landings).parse().unwrap())
    }

    fn known(&mut self, run: RunId) -> RunId {
        self.runs.push(run.clone());
        run
    }

    async fn content(&self, run: &RunId, object: Object) -> Option<Vec<u8>> {
        let reading = self.backend.store().read(&path(&self.key, run), object, 0).await.ok()?;
        let chunks: Vec<_> = reading.chunks.try_collect().await.unwrap();
        Some(chunks.concat())
    }

    async fn put(&self, run: &RunId, object: Object, content: Option<&[u8]>) {
        self.backend.tamper(&path(&self.key, run), object, content).await;
    }

    async fn land(&self, run: &RunId, rows: &[String]) {
        seal(&self.careless, &self.key, run, rows).await.unwrap();
    }

    /// Validates a run; returns whether it passed.
    async fn validate(&self, run: &RunId) -> bool {
        let validated = validate::run(&self.sink, &self.state, &self.key, run, Rules::default());
        validated.await.unwrap().passed()
    }

    async fn fail(&self, run: &RunId, reason: &str) {
        let verdict = Verdict::new(run.clone(), Outcome::Failed(reason.to_owned()));
        self.state.judge(&self.key, &verdict, Timestamp::UNIX_EPOCH).await.unwrap();
    }

    async fn happen(&mut self, incident: Incident, target: usize) {
        match incident {
            Unsealed | UnsealedFuture => {
                let run =
                    if incident == Unsealed { self.start() } else { self.start_in_the_future() };
                self.put(&run, Object::Payload, Some(b"{\"half\":")).await;
            }
            Sealed => {
                let run = self.start();
                self.land(&run, &right()).await;
            }
            Foreign => {
                let run = self.start();
                self.put(&run, Object::Payload, Some(&payload(&right()))).await;
                self.put(&run, Object::Seal, Some(b"{}")).await;
            }
            Future => {
                let run = self.start_in_the_future();
                self.land(&run, &right()).await;
                self.validate(&run).await;
            }
            _ if self.runs.is_empty() => {}
            _ => {
                let run = self.runs[target % self.runs.len()].clone();
                self.happen_to(&run, incident).await;
            }
        }
    }

    async fn happen_to(&self, run: &RunId, incident: Incident) {
        let (seal, rows) =
            (self.content(run, Object::Seal).await, self.content(run, Object::Payload).await);
        let history = self.state.history(&self.key).await.unwrap();
        // Nobody can know what rows of a run must be that has no seal block and never passed.
        let has_passed = history.passed(run).is_some();
        match (incident, seal, rows) {
            (Validated, Some(_), _) if history.is_due(run) => {
                self.validate(run).await;
            }
            (Failed, Some(_), _) => self.fail(run, "a test").await,
            (LostSeal, ..) => self.put(run, Object::Seal, None).await,
            (LostPayload, ..) => self.put(run, Object::Payload, None).await,
            (LostRun, ..) => {
                self.put(run, Object::Seal, None).await;
                self.put(run, Object::Payload, None).await;
            }
            (Truncated, _, Some(rows)) if rows.len() > payload(&right()).len() / 2 => {
                self.put(run, Object::Payload, Some(&rows[..rows.len() / 2])).await;
            }
            (Flipped, seal, Some(rows)) if is_covered(seal.as_deref()) || has_passed => {
                self.put(run, Object::Payload, Some(&flipped(rows))).await;
            }
            (Landed, ..) if has_passed => {
                self.put(run, Object::Seal, None).await;
                self.put(run, Object::Payload, None).await;
                self.land(run, &wrong()).await;
            }
            (Edited, Some(seal), _) => {
                let edited = String::from_utf8(seal).unwrap().replace("\"v1\"", "\"v2\"");
                self.put(run, Object::Seal, Some(edited.as_bytes())).await;
            }
            (ForeignSeal, _, rows) if has_passed || rows != Some(flipped(payload(&right()))) => {
                self.put(run, Object::Seal, Some(b"{}")).await;
            }
            _ => {}
        }
    }

    async fn coverage(&self) -> Coverage {
        let key = &self.key;
        let names = [key.source(), key.customer_id(), key.query_name()];
        let [source, customer_id, query_name] = names.map(|name| Some(name.to_owned()));
        let day = Some(key.logical_date());
        let selection = Selection { source, customer_id, query_name, since: day, until: day };
        let scope = Scope { selection, ..Scope::default() };
        let mut coverage = coverage(&self.sink, &self.state, &scope).await.unwrap();
        let unread = coverage.check_seals(&self.sink, &self.state, JOBS).await.unwrap();
        assert!(unread.is_empty(), "{unread:?}");
        coverage
    }

    async fn open(&self) -> rawsink::Result<PartitionReader> {
        consume::open_current(&self.sink, &self.state, &self.key).await
    }

    /// Reads the run that has authority, and records a failure if its bytes are damaged.
    async fn scrub(&self) {
        let record = self.state.get(&self.key).await.unwrap();
        let Some(run) = record.as_ref().and_then(Record::authoritative_run) else { return };
        // A run that cannot even be opened is lost.
        let Ok(mut reader) = self.open().await else { return };
        if read_all(&mut reader).await.is_err() {
            self.fail(run, "damaged").await;
        }
    }

    /// Follows the current plan; returns how many validations failed, how many runs were withdrawn and
    /// released, and the actions.
    async fn follow_plan(&mut self) -> ([usize; 3], Vec<String>) {
        self.scrub().await;
        let coverage = self.coverage().await;
        let newest = self.start();
        let (mut failed, mut withdrawn, mut released, mut actions) = (0, 0, 0, Vec::new());
        for step in coverage.steps(&newest) {
            actions.push(format!("{:?}", step.action));
            match step.action {
                Action::Land => self.land(&newest, &right()).await,
                Action::Restart(run) => self.land(run, &right()).await,
                Action::Validate(run) => failed += usize::from(!self.validate(run).await),
                Action::Release(run) | Action::Withdraw(run) => {
                    let change = Change::Withdraw { run_id: run.clone(), reason: "future".into() };
                    self.state.change(&self.key, &change, Timestamp::UNIX_EPOCH).await.unwrap();
                    match step.action {
                        Action::Release(_) => released += 1,
                        _ => withdrawn += 1,
                    }
                }
            }
        }
        ([failed, withdrawn, released], actions)
    }

    /// Returns whether a consumer reads the right rows. It never reads others.
    async fn is_readable(&self) -> bool {
        let Ok(mut reader) = self.open().await else { return false };
        let Ok(rows) = read_all(&mut reader).await else { return false };
        assert_eq!(rows, right(), "wrong rows have authority");
        true
    }

    /// Returns whether a run of the future keeps another one from authority.
    async fn is_blocked(&self) -> bool {
        self.coverage().await.tally().blocked > 0
    }
}

/// Other rows of the same length.
fn wrong() -> Vec<String> {
    rows("wrong", 3)
}

fn flipped(mut payload: Vec<u8>) -> Vec<u8> {
    let middle = payload.len() / 2;
    if let Some(byte) = payload.get_mut(middle) {
        *byte ^= 1;
    }
    payload
}

/// Returns whether a seal covers the payload, or no seal exists.
fn is_covered(seal: Option<&[u8]>) -> bool {
    seal.is_none_or(|seal| String::from_utf8_lossy(seal).contains("_seal"))
}

async fn check(backend: &dyn Backend, incidents: Vec<(Incident, usize)>) {
    let mut world = World::new(backend);
    for (incident, target) in incidents {
        world.happen(incident, target).await;
    }
    let (mut allowed, mut plans, mut withdrawals) = (2, Vec::new(), 0);
    while !world.is_readable().await || world.is_blocked().await {
        assert!(plans.len() < allowed, "not readable, or blocked, after {plans:?}");
        let ([failed, withdrawn, released], plan) = world.follow_plan().await;
        // Authority returns to another run, of the future or damaged.
        allowed += failed + released + usize::from(withdrawals > 0) * withdrawn;
        withdrawals += withdrawn;
        plans.push(plan);
    }
    let covered = world.coverage().await;
    let cells = covered.cells().flat_map(|(_, cells)| cells.map(|cell| cell.standing));
    let place = Place::of_partition(&world.key);
    assert_eq!(cells.collect::<Vec<_>>(), [Standing::Validated], "{place} after {plans:?}");
}

fn check_all(cases: u32, fresh: fn() -> Box<dyn Backend>) {
    check_random(cases, &incidents(), async |incidents| check(&*fresh(), incidents).await);
}

#[test]
fn g20_plans_repair_random_damage_in_memory() {
    check_all(400, || Box::new(Memory::default()));
}

#[test]
fn g20_plans_repair_random_damage_in_a_directory() {
    check_all(60, || Box::new(Directory::default()));
}

#[tokio::test]
async fn g20_a_run_of_the_future_does_not_block_runs_of_today() {
    for incidents in [
        vec![(Future, 0), (Flipped, 0)],
        vec![(Future, 0), (Failed, 0), (LostSeal, 0)],
        vec![(Future, 0), (Failed, 0), (LostRun, 0)],
        vec![(Future, 0), (Flipped, 0), (Sealed, 0)],
        vec![(UnsealedFuture, 0)],
        vec![(Future, 0), (Sealed, 0)],
        vec![(Sealed, 0), (Future, 0), (Future, 0), (Sealed, 0)],
        vec![(Unsealed, 0), (Future, 0), (Failed, 1), (LostRun, 1)],
    ] {
        check(&Memory::default(), incidents).await;
    }
}
