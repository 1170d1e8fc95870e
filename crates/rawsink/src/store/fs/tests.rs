//! The steps of attempts in a directory: their order, crashes, errors and races.

mod crashes; // the process dies at a step
mod errors; // the system refuses a step
mod order; // the steps of complete attempts
mod races; // other processes act between the steps
mod restoring; // damaged files of sealed runs
#[cfg(feature = "unstable-raw")]
mod scratch; // the scratch directory for raw operations

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use rustix::io::Errno;
use tempfile::TempDir;

#[cfg(feature = "unstable-raw")]
use super::DirectoryScratch;
use super::{
    FsConfig, FsStore, Links,
    probe::{Hook, Moment, Probe, Step},
};
use crate::{
    ErrorKind, Result,
    store::{LeftoverPolicy, Object, StartOptions, Store, StorePath, WriterToken},
};

const EARLIER: &str = "left by an attempt that died";

/// The contents of the run before the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// The payload and the staging file of an attempt that died.
    DeadAttempt,
}

/// Records the steps and makes one of them fail.
struct Script {
    events: Mutex<Vec<(Step, Moment)>>,
    fault: Option<StepFault>,
    dead: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct StepFault {
    /// The event that fails, counted from 0.
    event: usize,
    errno: Errno,
    /// Whether the process is dead from then on.
    dies: bool,
}

impl Script {
    fn new(fault: Option<StepFault>) -> Arc<Self> {
        Arc::new(Self { events: Mutex::default(), fault, dead: AtomicBool::new(false) })
    }

    fn events(&self) -> Vec<(Step, Moment)> {
        self.events.lock().unwrap().clone()
    }

    /// Returns how often a step was started.
    fn count(&self, wanted: Step) -> usize {
        self.steps().into_iter().filter(|step| *step == wanted).count()
    }

    /// Returns the steps that were started.
    fn steps(&self) -> Vec<Step> {
        let begun = self.events().into_iter().filter(|(_, moment)| *moment == Moment::Before);
        begun.map(|(step, _)| step).collect()
    }
}

impl Hook for Script {
    fn at(&self, step: Step, moment: Moment) -> Result<(), Errno> {
        if self.is_dead() {
            return Err(Errno::IO);
        }
        let mut events = self.events.lock().unwrap();
        events.push((step, moment));
        match self.fault {
            Some(fault) if fault.event + 1 == events.len() => {
                self.dead.store(fault.dies, Ordering::Relaxed);
                Err(fault.errno)
            }
            _ => Ok(()),
        }
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

/// Acts at the first occurrence of an event.
struct Once<F> {
    at: (Step, Moment),
    act: F,
    done: AtomicBool,
}

impl<F: Fn() -> Result<(), Errno> + Send + Sync + 'static> Once<F> {
    fn new(step: Step, moment: Moment, act: F) -> Arc<Self> {
        Arc::new(Self { at: (step, moment), act, done: AtomicBool::new(false) })
    }
}

impl<F: Fn() -> Result<(), Errno> + Send + Sync> Hook for Once<F> {
    fn at(&self, step: Step, moment: Moment) -> Result<(), Errno> {
        if (step, moment) == self.at && !self.done.swap(true, Ordering::Relaxed) {
            (self.act)()
        } else {
            Ok(())
        }
    }

    fn is_dead(&self) -> bool {
        false
    }
}

/// A root that does not exist yet, in a temporary directory.
struct World {
    parent: TempDir,
}

impl World {
    fn new(before: Before) -> Self {
        let world = Self { parent: TempDir::new().unwrap() };
        if before == Before::DeadAttempt {
            std::fs::create_dir_all(world.dir()).unwrap();
            std::fs::write(world.dir().join("payload.jsonl"), EARLIER).unwrap();
            std::fs::write(
                world.dir().join(".payload.jsonl.0000000000000000000000000000dead"),
                EARLIER,
            )
            .unwrap();
        }
        world
    }

    fn root(&self) -> PathBuf {
        self.parent.path().join("raw")
    }

    /// Returns the number of directories above the root's parent, up to the mount point.
    fn above(&self) -> usize {
        let device = |dir: &Path| std::fs::metadata(dir).unwrap().dev();
        let parent = self.parent.path();
        let same = |dir: &&Path| device(dir) == device(parent);
        parent.ancestors().skip(1).take_while(same).count()
    }

    fn dir(&self) -> PathBuf {
        self.root().join(run().as_str())
    }

    /// Opens the store as another process does.
    fn fresh(&self) -> FsStore {
        FsStore::new(&FsConfig::new(self.root())).unwrap()
    }

    fn probed(&self, hook: Arc<dyn Hook>) -> FsStore {
        FsStore { probe: Probe::new(hook), ..self.fresh() }
    }

    /// Returns the names in the run's directory; `None` if it does not exist.
    fn names(&self) -> Option<Vec<String>> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let entries = std::fs::read_dir(self.dir()).ok()?;
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort_unstable();
        Some(names)
    }

    async fn content(&self, object: Object) -> Option<String> {
        match self.fresh().read(&run(), object, 0).await {
            Ok(reading) => {
                let chunks: Vec<Bytes> = reading.chunks.try_collect().await.unwrap();
                Some(String::from_utf8(chunks.concat()).unwrap())
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                None
            }
        }
    }

    /// Asserts that the run is sealed with the payload and the seal of the attempt `token`.
    async fn assert_sealed_by(&self, token: u128, context: &str) {
        assert_eq!(self.content(Object::Payload).await, Some(payload_of(token)), "{context}");
        assert_eq!(self.content(Object::Seal).await, Some(seal_of(token)), "{context}");
    }
}

fn run() -> StorePath {
    ["s", "c", "q", "d", "r"].iter().fold(StorePath::root(), |path, name| path.join(name))
}

fn options(token: u128) -> StartOptions {
    let now = "2024-06-02T05:00:00Z".parse().unwrap();
    StartOptions { token: WriterToken::new(token), leftover: LeftoverPolicy::Replace, now }
}

fn payload_of(token: u128) -> String {
    format!("{{\"part\":1,\"token\":{token}}}\n{{\"part\":2}}\n")
}

fn seal_of(token: u128) -> String {
    format!("sealed by {}", WriterToken::new(token))
}

/// Runs one complete attempt, as a sink does.
async fn write(store: &FsStore, token: u128) -> Result<WriterToken> {
    write_run(store, &run(), token).await
}

async fn write_run(store: &FsStore, run: &StorePath, token: u128) -> Result<WriterToken> {
    let mut upload = store.start(run, options(token)).await?;
    let text = payload_of(token);
    let (first, last) = text.split_at(20);
    let appended = upload.append(Bytes::from(first.to_owned())).await;
    let completed = match appended {
        Ok(()) => upload.complete(Bytes::from(last.to_owned())).await,
        Err(error) => Err(error),
    };
    if let Err(error) = completed {
        upload.abort().await;
        return Err(error);
    }
    upload.seal(&|token| Bytes::from(format!("sealed by {token}"))).await
}

/// Returns the events of an attempt without faults.
async fn undisturbed(before: Before) -> Vec<(Step, Moment)> {
    let (world, script) = (World::new(before), Script::new(None));
    write(&world.probed(script.clone()), 1).await.unwrap();
    world.assert_sealed_by(1, "undisturbed").await;
    script.events()
}
