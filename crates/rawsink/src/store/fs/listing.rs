//! Lists the contents of a directory: children that hold an object, and all objects in order.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::task::spawn_blocking;

use super::error::{FsError, joined};
use crate::{
    error::{Error, Result},
    store::{self, Object, StorePath, Stored},
};

/// Number of objects in a batch.
const BATCH: usize = 1000;

/// Streams the names of the directories in `dir` that hold an object at any level, sorted. `dir` is
/// `path` below the store's root. An unreadable entry is one error, unless its directory holds
/// another object.
pub(super) fn children(dir: PathBuf, path: StorePath) -> BoxStream<'static, Result<String>> {
    let names = async move {
        let found = spawn_blocking(move || Ok(child_names(&dir, &path))).await;
        stream::iter(joined(found).unwrap_or_else(|error| vec![Err(error.into())]))
    };
    stream::once(names).flatten().boxed()
}

fn child_names(dir: &Path, path: &StorePath) -> Vec<Result<String>> {
    let mut entries = match entries(dir) {
        Ok(entries) => entries,
        Err(error) => return vec![Err(hiding(error, path))],
    };
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut names = Vec::new();
    for Entry { name, .. } in entries.into_iter().filter(|entry| entry.is_dir) {
        let mut errors = Vec::new();
        if holds_object(&dir.join(&name), &path.join(&name), &mut errors) {
            names.push(Ok(name));
        } else {
            names.extend(errors.into_iter().map(Err));
        }
    }
    names
}

/// Returns whether an object is found below `dir`, and adds the error of each unreadable entry.
fn holds_object(dir: &Path, path: &StorePath, errors: &mut Vec<Error>) -> bool {
    let entries = match entries(dir) {
        Ok(entries) => entries,
        Err(error) => {
            errors.push(hiding(error, path));
            return false;
        }
    };
    for entry in entries.iter().filter(|entry| entry.object().is_some()) {
        match super::file_info(&dir.join(&entry.name)) {
            Ok(Some(_)) => return true,
            Ok(None) => {}
            Err(error) => errors.push(hiding(error, path)),
        }
    }
    let mut below = entries.iter().filter(|entry| entry.is_dir).map(|entry| &entry.name);
    below.any(|name| holds_object(&dir.join(name), &path.join(name), errors))
}

/// Names the path that an error hides from a listing.
pub(super) fn hiding(error: FsError, path: &StorePath) -> Error {
    Error::from(error).at(path)
}

/// Streams all objects below `dir`, which is `path` below the store's root. An unreadable entry is
/// one error; the stream continues with the rest.
pub(super) fn walk(dir: PathBuf, path: StorePath) -> BoxStream<'static, Result<Stored>> {
    let walk = Walk { pending: VecDeque::from([Pending::Directory(dir, path)]) };
    let batches = stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk.filter(|walk| !walk.pending.is_empty())?;
        let batch = spawn_blocking(move || Ok((walk.batch(), walk)));
        Some(match joined(batch.await) {
            Ok((batch, walk)) => (batch, Some(walk)),
            Err(error) => (vec![Err(error.into())], None),
        })
    });
    batches.flat_map(stream::iter).boxed()
}

/// A depth-first walk in the order of paths, resumable between batches.
struct Walk {
    pending: VecDeque<Pending>,
}

enum Pending {
    Directory(PathBuf, StorePath),
    Found(Result<Stored>),
}

impl Walk {
    fn batch(&mut self) -> Vec<Result<Stored>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.pending.pop_front() {
                None => break,
                Some(Pending::Found(stored)) => batch.push(stored),
                Some(Pending::Directory(dir, path)) => {
                    let error = self.enter(&dir, &path).err();
                    batch.extend(error.map(|error| Err(hiding(error, &path))));
                }
            }
        }
        batch
    }

    /// Adds the entries of a directory in front of all pending ones.
    fn enter(&mut self, dir: &Path, path: &StorePath) -> Result<(), FsError> {
        let mut entries = entries(dir)?;
        entries.sort_by_cached_key(|entry| {
            if entry.is_dir { format!("{}/", entry.name) } else { entry.name.clone() }
        });
        for entry in entries.into_iter().rev() {
            let below = dir.join(&entry.name);
            if entry.is_dir {
                self.pending.push_front(Pending::Directory(below, path.join(&entry.name)));
            } else if let Some(object) = entry.object()
                && let Some(info) = super::file_info(&below).transpose()
            {
                let stored = info.map(|info| Stored { dir: path.clone(), object, info });
                let stored = stored.map_err(|error| hiding(error, path));
                self.pending.push_front(Pending::Found(stored));
            }
        }
        Ok(())
    }
}

pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_dir: bool,
}

impl Entry {
    pub(super) fn object(&self) -> Option<Object> {
        Object::from_file_name(&self.name).filter(|_| !self.is_dir)
    }
}

/// Returns the entries of a directory, except names that every listing skips.
fn entries(dir: &Path) -> Result<Vec<Entry>, FsError> {
    let mut entries = all_entries(dir)?;
    entries.retain(|entry| !store::is_skipped(&entry.name));
    Ok(entries)
}

/// Returns the entries of a directory, except names that are not UTF-8. A directory that does not
/// exist has none.
pub(super) fn all_entries(dir: &Path) -> Result<Vec<Entry>, FsError> {
    let wrap = |cause: io::Error| FsError::new("list", dir, &cause);
    let found = match std::fs::read_dir(dir).map_err(wrap) {
        Err(error) if error.is_absence() => return Ok(Vec::new()),
        found => found?,
    };
    let mut entries = Vec::new();
    for entry in found {
        let entry = entry.map_err(wrap)?;
        let kind = match entry.file_type().map_err(wrap) {
            Err(error) if error.is_absence() => continue,
            kind => kind?,
        };
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_dir = kind.is_dir() || (kind.is_symlink() && leads_to_directory(dir, &name));
        entries.push(Entry { name, is_dir });
    }
    Ok(entries)
}

/// Returns whether a link leads to a directory. A link to a directory above it would never end.
fn leads_to_directory(dir: &Path, name: &str) -> bool {
    let Ok(target) = dir.join(name).canonicalize() else { return false };
    target.is_dir() && !dir.canonicalize().is_ok_and(|here| here.starts_with(&target))
}
