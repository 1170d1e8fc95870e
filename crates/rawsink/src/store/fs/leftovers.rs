//! Leftovers of attempts in a directory: payloads without a seal, and staging files.
//!
//! A leftover is checked again under the run's lock before it is deleted. The lock excludes active
//! writers, and leftovers of dead writers do not change.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::{
    fs::{self, AtFlags},
    io::Errno,
};
use tokio::task::spawn_blocking;

use super::{
    attempt::{is_staging_name, remove_empty_directory},
    directory::Directory,
    error::FsError,
    listing::{Entry, EntryKind, Listed, hiding, refused},
    lock::{LockedRun, TryLock},
    probe::Probe,
};
use crate::{
    error::{Error, Result},
    store::{self, Discarded, Leftover, LeftoverKind, Object},
};

/// Smallest batch of leftovers that is returned at once, except the last.
const BATCH: usize = 1000;

/// Streams the leftovers below `dir`. An unreadable directory is one error; the stream continues with
/// the others.
pub(super) fn leftovers(dir: Directory) -> BoxStream<'static, Result<Leftover>> {
    let ahead = VecDeque::from([dir]);
    let batches =
        stream::unfold(ahead, |mut ahead| async move {
            if ahead.is_empty() {
                return None;
            }
            let batch = spawn_blocking(move || (batch(&mut ahead), ahead));
            Some(batch.await.unwrap_or_else(|cause| {
                (vec![Err(FsError::panicked(&cause).into())], VecDeque::new())
            }))
        });
    batches.flat_map(stream::iter).boxed()
}

fn batch(ahead: &mut VecDeque<Directory>) -> Vec<Result<Leftover>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        let Some(dir) = ahead.pop_front() else { break };
        match Listed::all(&dir) {
            Ok(listed) => {
                let found = files(&dir, &listed);
                batch.extend(found.map(|found| found.map_err(|error| hiding(error, dir.below()))));
                let visible = |entry: &&Entry| !store::is_skipped(&entry.name);
                let mut below: Vec<&Entry> = listed.entries.iter().filter(visible).collect();
                below.sort_unstable_by(|one, other| one.name.cmp(&other.name));
                for entry in below.into_iter().rev() {
                    match entry.kind {
                        EntryKind::Directory => ahead.push_front(dir.join(&entry.name)),
                        EntryKind::Refused => batch.push(Err(refused(&dir, &entry.name))),
                        EntryKind::File => {}
                    }
                }
            }
            Err(error) => batch.push(Err(hiding(error, dir.below()))),
        }
    }
    batch
}

/// Returns the leftovers directly in a directory.
fn files(dir: &Directory, listed: &Listed) -> impl Iterator<Item = Result<Leftover, FsError>> {
    let sealed = listed.entries.iter().any(|entry| entry.object() == Some(Object::Seal));
    let kind = move |entry: &Entry| match (entry.object(), entry.kind) {
        (Some(Object::Payload), _) if !sealed => Some(LeftoverKind::Payload),
        (None, EntryKind::File) if is_staging_name(&entry.name) => Some(LeftoverKind::Staging),
        _ => None,
    };
    listed.entries.iter().filter_map(move |entry| {
        let (kind, name) = (kind(entry)?, entry.name.clone());
        let info = listed.info_of(&name).transpose()?;
        Some(info.map(|info| {
            let (run, bytes, modified) = (dir.below().clone(), info.bytes, info.modified);
            Leftover { run, kind, name, bytes, modified }
        }))
    })
}

/// Deletes a leftover of the run in `dir` under its lock, and the directory if it is then empty.
pub(super) fn discard(
    dir: &Directory,
    leftover: &Leftover,
    probe: &Probe,
) -> Result<Discarded, FsError> {
    let run = match LockedRun::try_existing(dir, probe)? {
        TryLock::Held(run) => run,
        TryLock::InUse => return Ok(Discarded::InUse),
        TryLock::Gone => return Ok(Discarded::Gone),
    };
    let outcome = discard_locked(&run, leftover);
    remove_empty_directory(&run, probe);
    outcome
}

fn discard_locked(run: &LockedRun, leftover: &Leftover) -> Result<Discarded, FsError> {
    let wrap = |action: &'static str, name: &str, cause: Errno| {
        FsError::new(action, run.at.path().join(name), &cause.into())
    };
    let name = match leftover.kind {
        LeftoverKind::Upload => return Ok(Discarded::Gone),
        LeftoverKind::Staging => staging_name(leftover)?,
        LeftoverKind::Payload => {
            let seal = Object::Seal.file_name();
            match fs::statat(&run.dir, seal, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => return Ok(Discarded::Sealed),
                Err(Errno::NOENT) => Object::Payload.file_name(),
                Err(cause) => return Err(wrap("check for a seal", seal, cause)),
            }
        }
    };
    match super::file_info(&run.at, &run.dir, name)? {
        None => return Ok(Discarded::Gone),
        Some(info) if !leftover.is(info) => return Ok(Discarded::Changed),
        Some(_) => {}
    }
    match fs::unlinkat(&run.dir, name, AtFlags::empty()) {
        Ok(()) => Ok(Discarded::Removed),
        Err(Errno::NOENT) => Ok(Discarded::Gone),
        Err(cause) => Err(wrap("delete a leftover", name, cause)),
    }
}

/// Returns the name of a staging file. Checks it, since a caller may construct a [`Leftover`].
fn staging_name(leftover: &Leftover) -> Result<&str, FsError> {
    let name = &leftover.name;
    if is_staging_name(name) && !name.contains('/') {
        return Ok(name);
    }
    Err(FsError::Refused(Error::invalid(format!("{name:?} is not the name of a staging file"))))
}
