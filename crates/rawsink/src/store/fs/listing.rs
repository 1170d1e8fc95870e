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
    error::Result,
    store::{Object, StorePath, Stored},
};

/// Number of objects in a batch.
const BATCH: usize = 1000;

/// Returns the names of the directories in `dir` that hold an object at any level, sorted.
pub(super) fn children(dir: &Path) -> Result<Vec<String>, FsError> {
    let mut names = Vec::new();
    for entry in entries(dir)? {
        if entry.is_dir && holds_object(&dir.join(&entry.name))? {
            names.push(entry.name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn holds_object(dir: &Path) -> Result<bool, FsError> {
    let entries = entries(dir)?;
    for entry in entries.iter().filter(|entry| entry.object().is_some()) {
        if super::file_info(&dir.join(&entry.name))?.is_some() {
            return Ok(true);
        }
    }
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        if holds_object(&dir.join(&entry.name))? {
            return Ok(true);
        }
    }
    Ok(false)
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
            Err(error) => (vec![Err(error)], None),
        })
    });
    let batches = batches.map(|batch| batch.into_iter().map(|found| found.map_err(Into::into)));
    batches.flat_map(stream::iter).boxed()
}

/// A depth-first walk in the order of paths, resumable between batches.
struct Walk {
    pending: VecDeque<Pending>,
}

enum Pending {
    Directory(PathBuf, StorePath),
    Found(Result<Stored, FsError>),
}

impl Walk {
    fn batch(&mut self) -> Vec<Result<Stored, FsError>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.pending.pop_front() {
                None => break,
                Some(Pending::Found(stored)) => batch.push(stored),
                Some(Pending::Directory(dir, path)) => {
                    batch.extend(self.enter(&dir, &path).err().map(Err));
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

/// Returns the entries of a directory, except names that start with a dot.
fn entries(dir: &Path) -> Result<Vec<Entry>, FsError> {
    let mut entries = all_entries(dir)?;
    entries.retain(|entry| !entry.name.starts_with('.'));
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
