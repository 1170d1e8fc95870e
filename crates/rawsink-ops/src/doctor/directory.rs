//! The examination of a directory: observes everything, then evaluates the observations.

mod judging;
mod kinds;

use std::{path::PathBuf, sync::Barrier, thread};

use tokio::task::spawn_blocking;

use super::{
    Progress, checks,
    finding::{Diagnosis, Finding},
};
use rawsink::{
    error::{Error, ErrorKind, Result},
    store::{
        WriterToken,
        fs::FsConfig,
        raw::{Access, DirectoryScratch, FileSystem, Taken},
    },
};

const RACERS: usize = 20;
const ROUNDS: usize = 10;
/// One letter in two encodings: one code point, or two.
const COMPOSED: &str = "name-\u{e9}";
const DECOMPOSED: &str = "name-e\u{301}";
const LONGEST_NAME: usize = 255;

/// The observations of a directory.
#[derive(Debug)]
struct Observed {
    root: PathBuf,
    access: Result<Access>,
    file_system: Result<FileSystem>,
    links: Vec<FileRace>,
    creations: Vec<FileRace>,
    lock: Result<Locking>,
    synced_file: Result<()>,
    synced_directory: Result<()>,
    /// Whether a name in another case names the same file.
    other_case: Result<bool>,
    unicode: Result<Spelling>,
    long_name: Result<Taken>,
}

/// Several concurrent creators of one name.
#[derive(Debug)]
struct FileRace {
    results: Vec<Result<Taken>>,
    /// The racer whose bytes the file has at the end.
    survivor: Result<Option<usize>>,
}

/// The results of three attempts to lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Locking {
    first: Held,
    /// While the first is held.
    second: Held,
    /// After the first is released.
    third: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Yes,
    No,
}

/// How a file system stores a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Unchanged,
    /// Another encoding of the same letters names the same file.
    Merged,
    /// The listing shows another encoding.
    Changed,
}

/// Examines a directory, and deletes the scratch files.
pub(super) async fn examine(
    config: FsConfig,
    token: WriterToken,
    progress: &Progress<'_>,
) -> Result<Diagnosis> {
    progress(checks::find("root"));
    let examined = spawn_blocking(move || {
        let mut scratch = DirectoryScratch::make(&config, &token)?;
        let observed = observe(&scratch);
        let place = scratch.path().display().to_string();
        Ok((observed, place, scratch.clear()))
    });
    let (observed, place, left) = examined.await.unwrap_or_else(|cause| {
        let message = format!("a file operation panicked: {cause}");
        Err(Error::new(ErrorKind::Internal, message))
    })?;
    let mut findings: Vec<Finding> = judging::findings(&observed);
    findings.push(super::scratch_finding(place, &left));
    Ok(Diagnosis::new(observed.root.display().to_string(), findings, left))
}

fn observe(scratch: &DirectoryScratch) -> Observed {
    Observed {
        root: scratch.root().to_owned(),
        access: scratch.access(),
        file_system: scratch.file_system(),
        links: (0..ROUNDS).map(|round| race_of_links(scratch, round)).collect(),
        creations: (0..ROUNDS).map(|round| race_of_creations(scratch, round)).collect(),
        lock: lock(scratch),
        synced_file: scratch.create("synced", b"bytes").and_then(|_| scratch.sync_file("synced")),
        synced_directory: scratch.sync_directory(),
        other_case: other_case(scratch),
        unicode: unicode(scratch),
        long_name: scratch.create(&"n".repeat(LONGEST_NAME), b""),
    }
}

fn body(racer: usize) -> Vec<u8> {
    format!("racer {racer}").into_bytes()
}

fn race_of_links(scratch: &DirectoryScratch, round: usize) -> FileRace {
    let name = format!("linked-{round}");
    let staging = |racer: usize| format!("staging-{round}-{racer}");
    for racer in 0..RACERS {
        if let Err(error) = scratch.create(&staging(racer), &body(racer)) {
            return FileRace { results: vec![Err(error)], survivor: Ok(None) };
        }
    }
    let results = concurrently(|racer| scratch.link(&staging(racer), &name));
    FileRace { results, survivor: find_survivor(scratch, &name) }
}

fn race_of_creations(scratch: &DirectoryScratch, round: usize) -> FileRace {
    let name = format!("created-{round}");
    let results = concurrently(|racer| scratch.create(&name, &body(racer)));
    FileRace { results, survivor: find_survivor(scratch, &name) }
}

/// Runs the work of all racers at the same moment.
fn concurrently<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(RACERS);
    thread::scope(|scope| {
        let race = |racer| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(racer)
            })
        };
        let racers: Vec<_> = (0..RACERS).map(race).collect();
        racers.into_iter().map(|racer| racer.join().expect("the work does not panic")).collect()
    })
}

fn find_survivor(scratch: &DirectoryScratch, name: &str) -> Result<Option<usize>> {
    let content = scratch.read(name)?;
    Ok((0..RACERS).find(|racer| content.as_ref() == Some(&body(*racer))))
}

fn lock(scratch: &DirectoryScratch) -> Result<Locking> {
    let held = |lock: &Option<_>| if lock.is_some() { Held::Yes } else { Held::No };
    let first = scratch.lock()?;
    let second = held(&scratch.lock()?);
    let held_first = held(&first);
    drop(first);
    Ok(Locking { first: held_first, second, third: held(&scratch.lock()?) })
}

fn other_case(scratch: &DirectoryScratch) -> Result<bool> {
    scratch.create("case-a", b"")?;
    Ok(scratch.read("CASE-A")?.is_some())
}

fn unicode(scratch: &DirectoryScratch) -> Result<Spelling> {
    scratch.create(COMPOSED, b"")?;
    let is_kept = scratch.names()?.iter().any(|name| name == COMPOSED);
    Ok(match scratch.read(DECOMPOSED)? {
        Some(_) => Spelling::Merged,
        None if is_kept => Spelling::Unchanged,
        None => Spelling::Changed,
    })
}
