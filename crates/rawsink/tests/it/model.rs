//! Random histories of a few runs; each step is compared with a small model.
//!
//! A failure names the seed and the shortest history found; `PROPTEST_RNG_SEED=<seed>` replays the
//! same histories, `PROPTEST_CASES=<n>` sets their number.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use rawsink::{ErrorKind, Metadata, PartitionKey, PartitionWriter, RawSink, RunId, store::Object};

use rawsink_testkit::{
    backend::{Backend, Directory, Memory},
    sample::{customer, path, read, rows, run},
};

/// One step. The number names a run: two partitions with two runs each.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Starts a writer if none is alive.
    Start(usize),
    /// Starts a second writer if one is alive.
    Rival(usize),
    /// Appends this many rows.
    Rows(usize, usize),
    /// Appends an invalid row.
    BadRow(usize),
    Finalize(usize),
    /// Finalizes with metadata that contradict the rows.
    Contradict(usize),
    Abort(usize),
    Drop(usize),
    /// A process dies between payload and seal.
    Die(usize),
    Read(usize),
    List,
}

/// The observable status of a run.
#[derive(Debug, Default)]
struct Model {
    sealed: Option<Vec<String>>,
    leftover: bool,
    writer: Option<Vec<String>>,
}

impl Model {
    fn opens(&self) -> Result<&[String], ErrorKind> {
        match &self.sealed {
            Some(rows) => Ok(rows),
            None if self.leftover => Err(ErrorKind::NotSealed),
            None => Err(ErrorKind::NotFound),
        }
    }
}

/// A store, its live writers and its expected content.
struct World<'a> {
    backend: &'a dyn Backend,
    sink: RawSink,
    model: [Model; 4],
    writers: HashMap<usize, PartitionWriter>,
    step: usize,
}

fn name(n: usize) -> (PartitionKey, RunId) {
    (customer(["1", "1-2"][n / 2]), run([1, 2][n % 2]))
}

impl World<'_> {
    async fn play(&mut self, step: Step) {
        self.step += 1;
        match step {
            Step::Start(n) if self.model[n].writer.is_none() => self.start(n).await,
            Step::Rival(n) if self.model[n].writer.is_some() => {
                let (key, run) = name(n);
                let refused = self.sink.write_partition(&key, &run).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Conflict);
            }
            Step::Rows(n, count) if self.model[n].writer.is_some() => {
                let writer = self.writers.get_mut(&n).unwrap();
                let more = rows(&format!("{n}-{}", self.step), count);
                for row in &more {
                    writer.write_payload_line(row.as_bytes()).await.unwrap();
                }
                self.model[n].writer.as_mut().unwrap().extend(more);
            }
            Step::BadRow(n) if self.model[n].writer.take().is_some() => {
                let mut writer = self.writers.remove(&n).unwrap();
                let refused = writer.write_payload_line(b"[]").await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Invalid);
                let closed = writer.finalize(Metadata::default()).await.unwrap_err();
                assert_eq!(closed.kind(), ErrorKind::Closed);
            }
            Step::Finalize(n) | Step::Contradict(n) => self.finalize(n, step).await,
            Step::Abort(n) if self.model[n].writer.take().is_some() => {
                self.writers.remove(&n).unwrap().abort().await;
            }
            Step::Drop(n) if self.model[n].writer.take().is_some() => {
                drop(self.writers.remove(&n));
            }
            Step::Die(n) => self.die(n).await,
            Step::Read(n) => self.read(n).await,
            Step::List => self.list().await,
            _ => {}
        }
    }

    async fn start(&mut self, n: usize) {
        let (key, run) = name(n);
        let started = self.sink.write_partition(&key, &run).await;
        if self.model[n].sealed.is_some() {
            assert_eq!(started.unwrap_err().kind(), ErrorKind::AlreadySealed);
        } else {
            self.writers.insert(n, started.unwrap());
            self.model[n].writer = Some(Vec::new());
        }
    }

    async fn finalize(&mut self, n: usize, step: Step) {
        let Some(rows) = self.model[n].writer.take() else { return };
        let writer = self.writers.remove(&n).unwrap();
        let (key, run) = name(n);
        let lie = u64::from(matches!(step, Step::Contradict(_)));
        let metadata = Metadata::for_run(&key, &run).record_count(rows.len() as u64 + lie);
        let outcome = writer.finalize(metadata.build().unwrap()).await;
        if lie == 1 {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
        } else {
            assert_eq!(outcome.unwrap().payload.record_count, rows.len() as u64);
            self.model[n].sealed = Some(rows);
        }
    }

    async fn die(&mut self, n: usize) {
        let model = &mut self.model[n];
        if model.writer.is_none() && model.sealed.is_none() {
            let (key, run) = name(n);
            self.backend.tamper(&path(&key, &run), Object::Payload, Some(b"{}\n")).await;
            model.leftover = true;
        }
    }

    async fn read(&self, n: usize) {
        let (key, run) = name(n);
        let found = read(&self.sink, &key, &run).await.map_err(|error| error.kind());
        assert_eq!(found.as_deref().map_err(|kind| *kind), self.model[n].opens());
    }

    async fn list(&self) {
        for partition in 0..2 {
            let both = [2 * partition, 2 * partition + 1];
            let expected: Vec<(RunId, bool)> = both
                .into_iter()
                .filter(|n| self.model[*n].opens() != Err(ErrorKind::NotFound))
                .map(|n| (name(n).1, self.model[n].sealed.is_some()))
                .collect();
            let found = self.sink.list_runs(&name(2 * partition).0).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|run| (run.run_id, run.sealed)).collect();
            assert_eq!(found, expected);
        }
    }
}

fn step(rivals: u32) -> impl Strategy<Value = Step> {
    let n = || 0..4_usize;
    prop_oneof![
        24 => n().prop_map(Step::Start),
        rivals => n().prop_map(Step::Rival),
        24 => (n(), 0..9_usize).prop_map(|(n, count)| Step::Rows(n, count)),
        4 => n().prop_map(Step::BadRow),
        16 => n().prop_map(Step::Finalize),
        4 => n().prop_map(Step::Contradict),
        4 => n().prop_map(Step::Abort),
        4 => n().prop_map(Step::Drop),
        8 => n().prop_map(Step::Die),
        12 => n().prop_map(Step::Read),
        8 => Just(Step::List),
    ]
}

async fn play(backend: &dyn Backend, steps: Vec<Step>) {
    let sink = RawSink::new(backend.store());
    let mut world =
        World { backend, sink, model: Default::default(), writers: HashMap::new(), step: 0 };
    for step in steps {
        world.play(step).await;
    }
    world.writers.clear();
    for n in 0..4 {
        world.read(n).await;
    }
    world.list().await;
}

/// Plays random histories; `share` of the usual number of cases.
fn histories(share: u32, rivals: u32, fresh: fn() -> Box<dyn Backend>) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    config.cases = config.cases.div_ceil(share);
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().build_hasher().finish());
    }
    let seed = config.rng_seed;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = TestRunner::new(config).run(&vec(step(rivals), 1..60), |steps| {
        runtime.block_on(play(&*fresh(), steps));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

#[test]
fn g01_g04_g08_g09_memory_matches_the_model() {
    histories(1, 8, || Box::new(Memory::default()));
}

#[test]
fn g01_g04_g08_g09_a_directory_matches_the_model() {
    // A rival waits a second for the lock, so few are started.
    histories(4, 1, || Box::new(Directory::default()));
}
