//! The examination of a directory: everything is observed, then judged.

mod judging;
mod kinds;

use std::{path::PathBuf, sync::Barrier, thread};

use tokio::task::spawn_blocking;

use super::{
    Progress, checks,
    finding::{Diagnosis, Finding},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        WriterToken,
        scratch::{DirectoryScratch, FileSystem, Taken},
    },
};

const RACERS: usize = 20;
const ROUNDS: usize = 10;
/// One letter in two encodings: one code point, or two.
const COMPOSED: &str = "name-\u{e9}";
const DECOMPOSED: &str = "name-e\u{301}";
const LONGEST_NAME: usize = 255;

/// What was seen of a directory.
#[derive(Debug)]
struct Observed {
    root: PathBuf,
    made_root: bool,
    file_system: Result<FileSystem>,
    links: Vec<Race>,
    creations: Vec<Race>,
    lock: Result<Locking>,
    synced_file: Result<()>,
    synced_directory: Result<()>,
    /// Whether a name in other case names the same file.
    other_case: Result<bool>,
    unicode: Result<Spelling>,
    long_name: Result<Taken>,
}

/// Several racers for one name.
#[derive(Debug)]
struct Race {
    told: Vec<Result<Taken>>,
    /// Whose bytes are there at the end.
    there: Result<Option<usize>>,
}

/// What a lock did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Locking {
    first: Held,
    /// While the first was held.
    second: Held,
    /// After the first was let go.
    third: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Yes,
    No,
}

/// How a name comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    AsGiven,
    /// Another encoding of the same letters names the same file.
    Merged,
    /// The listing shows another encoding.
    Changed,
}

/// Observes and judges, and takes away what that made.
pub(super) async fn examine(
    root: PathBuf,
    token: WriterToken,
    progress: &Progress<'_>,
) -> Result<Diagnosis> {
    progress(checks::find("root"));
    let examined = spawn_blocking(move || {
        let mut scratch = DirectoryScratch::make(&root, &token)?;
        let observed = observe(&scratch);
        let place = scratch.path().display().to_string();
        Ok((observed, place, scratch.clear()))
    });
    let (observed, place, left) = examined.await.unwrap_or_else(|cause| {
        let message = format!("a file operation did not end: {cause}");
        Err(Error::new(ErrorKind::Internal, message))
    })?;
    let mut findings: Vec<Finding> = judging::findings(&observed);
    findings.push(super::scratch_finding(place, &left));
    Ok(Diagnosis::new(observed.root.display().to_string(), findings, left))
}

fn observe(scratch: &DirectoryScratch) -> Observed {
    Observed {
        root: scratch.root().to_owned(),
        made_root: scratch.has_made(scratch.root()),
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

fn race_of_links(scratch: &DirectoryScratch, round: usize) -> Race {
    let name = format!("linked-{round}");
    let staging = |racer: usize| format!("staging-{round}-{racer}");
    for racer in 0..RACERS {
        if let Err(error) = scratch.create(&staging(racer), &body(racer)) {
            return Race { told: vec![Err(error)], there: Ok(None) };
        }
    }
    let told = at_once(|racer| scratch.link(&staging(racer), &name));
    Race { told, there: whose(scratch, &name) }
}

fn race_of_creations(scratch: &DirectoryScratch, round: usize) -> Race {
    let name = format!("created-{round}");
    let told = at_once(|racer| scratch.create(&name, &body(racer)));
    Race { told, there: whose(scratch, &name) }
}

/// Lets every racer do its work at the same moment.
fn at_once<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
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

fn whose(scratch: &DirectoryScratch, name: &str) -> Result<Option<usize>> {
    let there = scratch.read(name)?;
    Ok((0..RACERS).find(|racer| there.as_ref() == Some(&body(*racer))))
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
        None if is_kept => Spelling::AsGiven,
        None => Spelling::Changed,
    })
}
