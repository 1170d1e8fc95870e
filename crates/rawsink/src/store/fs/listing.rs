//! Lists the contents of a directory: children that hold an object, and all objects in order.

use std::{collections::VecDeque, os::fd::OwnedFd};

use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::{
    fs::{self, AtFlags, FileType},
    io::Errno,
};
use tokio::task::spawn_blocking;

use super::{
    error::{FsError, joined},
    root::{Directory, Link},
};
use crate::{
    error::{Error, Result},
    store::{self, Object, ObjectInfo, StorePath, Stored},
};

/// Number of objects in a batch.
const BATCH: usize = 1000;

/// Streams the names of the directories in `dir` that hold an object at any level, sorted. An
/// unreadable entry is one error, unless its directory holds another object.
pub(super) fn children(dir: Directory) -> BoxStream<'static, Result<String>> {
    let names = async move {
        let found = spawn_blocking(move || Ok(child_names(&dir))).await;
        stream::iter(joined(found).unwrap_or_else(|error| vec![Err(error.into())]))
    };
    stream::once(names).flatten().boxed()
}

fn child_names(dir: &Directory) -> Vec<Result<String>> {
    let mut listed = match Listed::visible(dir) {
        Ok(listed) => listed,
        Err(error) => return vec![Err(hiding(error, dir.below()))],
    };
    listed.entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut names = Vec::new();
    for entry in listed.entries {
        let mut errors = Vec::new();
        match entry.kind {
            EntryKind::Directory if holds_object(&dir.join(&entry.name), &mut errors) => {
                names.push(Ok(entry.name));
                continue;
            }
            EntryKind::Refused => errors.push(refused(dir, &entry.name)),
            EntryKind::Directory | EntryKind::File => {}
        }
        names.extend(errors.into_iter().map(Err));
    }
    names
}

/// Returns whether an object is found below `dir`, and adds the error of each unreadable entry.
fn holds_object(dir: &Directory, errors: &mut Vec<Error>) -> bool {
    let listed = match Listed::visible(dir) {
        Ok(listed) => listed,
        Err(error) => {
            errors.push(hiding(error, dir.below()));
            return false;
        }
    };
    for entry in &listed.entries {
        match listed.info(entry) {
            Ok(Some(_)) => return true,
            Ok(None) => {}
            Err(error) => errors.push(hiding(error, dir.below())),
        }
    }
    // One descriptor for each level would be too many.
    let Listed { entries, .. } = listed;
    let mut found = false;
    for entry in entries.iter().filter(|entry| entry.kind != EntryKind::File) {
        if entry.kind == EntryKind::Refused {
            errors.push(refused(dir, &entry.name));
        } else if holds_object(&dir.join(&entry.name), errors) {
            found = true;
            break;
        }
    }
    found
}

/// The error for a link that is not followed and may lead to a directory.
pub(super) fn refused(dir: &Directory, name: &str) -> Error {
    hiding(FsError::new("enter", dir.path().join(name), &Errno::LOOP.into()), dir.below())
}

/// Names the path that an error hides from a listing.
pub(super) fn hiding(error: FsError, path: &StorePath) -> Error {
    Error::from(error).at(path)
}

/// Streams all objects below `dir`. An unreadable entry is one error; the stream continues with the
/// rest.
pub(super) fn walk(dir: Directory) -> BoxStream<'static, Result<Stored>> {
    let walk = Walk { pending: VecDeque::from([Pending::Directory(dir)]) };
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
    Directory(Directory),
    Found(Result<Stored>),
}

impl Walk {
    fn batch(&mut self) -> Vec<Result<Stored>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.pending.pop_front() {
                None => break,
                Some(Pending::Found(stored)) => batch.push(stored),
                Some(Pending::Directory(dir)) => {
                    let error = self.enter(&dir).err();
                    batch.extend(error.map(|error| Err(hiding(error, dir.below()))));
                }
            }
        }
        batch
    }

    /// Adds the entries of a directory in front of all pending ones.
    fn enter(&mut self, dir: &Directory) -> Result<(), FsError> {
        let mut listed = Listed::visible(dir)?;
        listed.entries.sort_by_cached_key(|entry| match entry.kind {
            EntryKind::Directory => format!("{}/", entry.name),
            EntryKind::File | EntryKind::Refused => entry.name.clone(),
        });
        for entry in listed.entries.iter().rev() {
            match entry.kind {
                EntryKind::Directory => {
                    self.pending.push_front(Pending::Directory(dir.join(&entry.name)));
                }
                EntryKind::Refused => {
                    self.pending.push_front(Pending::Found(Err(refused(dir, &entry.name))));
                }
                EntryKind::File => {
                    let Some(info) = listed.info(entry).transpose() else { continue };
                    let Some(object) = entry.object() else { continue };
                    let stored = info.map(|info| Stored { dir: dir.below().clone(), object, info });
                    let stored = stored.map_err(|error| hiding(error, dir.below()));
                    self.pending.push_front(Pending::Found(stored));
                }
            }
        }
        Ok(())
    }
}

/// An entry of a directory.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: EntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A directory, or a link to one that is followed.
    Directory,
    /// A link that is not followed and may lead to a directory.
    Refused,
    /// Anything else.
    File,
}

impl Entry {
    pub(super) fn object(&self) -> Option<Object> {
        Object::from_file_name(&self.name).filter(|_| self.kind == EntryKind::File)
    }
}

/// The entries of an open directory. A directory that does not exist has none.
pub(super) struct Listed {
    dir: Directory,
    open: Option<OwnedFd>,
    pub(super) entries: Vec<Entry>,
}

impl Listed {
    /// Reads a directory, except names that every listing skips.
    fn visible(dir: &Directory) -> Result<Self, FsError> {
        let mut listed = Self::all(dir)?;
        listed.entries.retain(|entry| !store::is_skipped(&entry.name));
        Ok(listed)
    }

    /// Reads a directory, except names that are not UTF-8.
    pub(super) fn all(dir: &Directory) -> Result<Self, FsError> {
        let wrap = |cause: Errno| FsError::new("list", dir.path(), &cause.into());
        let open = match dir.open_to_read("list") {
            Err(error) if error.is_absence() => {
                return Ok(Self { dir: dir.clone(), open: None, entries: Vec::new() });
            }
            opened => opened?,
        };
        let mut entries = Vec::new();
        for entry in fs::Dir::read_from(&open).map_err(wrap)? {
            let entry = entry.map_err(wrap)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match file_type(&open, name, entry.file_type()) {
                // Deleted meanwhile.
                Err(Errno::NOENT) => continue,
                found => found.map_err(wrap)?,
            };
            let kind = match kind {
                FileType::Directory => EntryKind::Directory,
                FileType::Symlink => match dir.follow(&open, name) {
                    Link::Directory => EntryKind::Directory,
                    Link::Refused => EntryKind::Refused,
                    Link::File => EntryKind::File,
                },
                _ => EntryKind::File,
            };
            entries.push(Entry { name: name.to_owned(), kind });
        }
        Ok(Self { dir: dir.clone(), open: Some(open), entries })
    }

    /// Returns length, age and tag of an object; `None` for an entry that is none.
    fn info(&self, entry: &Entry) -> Result<Option<ObjectInfo>, FsError> {
        entry.object().map_or(Ok(None), |_| self.info_of(&entry.name))
    }

    /// Returns length, age and tag of a regular file; `None` for anything else.
    pub(super) fn info_of(&self, name: &str) -> Result<Option<ObjectInfo>, FsError> {
        self.open.as_ref().map_or(Ok(None), |open| super::file_info(&self.dir, open, name))
    }
}

/// Returns the type of an entry. Not every file system's listing has it.
fn file_type(dir: &OwnedFd, name: &str, listed: FileType) -> Result<FileType, Errno> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    let found = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode))
}
