//! Raw operations in a scratch directory, for whoever examines a file system.
//!
//! What no verb of a store offers is here: single calls of the system by a name. Every name is in a
//! directory of this scratch's own; what was made, the root itself included, is taken away again.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, FlockOperation},
    io::Errno,
};

use super::{attempt, error::FsError, lock::DIRECTORY_MODE};
use crate::{error::Result, store::WriterToken};

/// How often another scratch may take a directory away between finding it and making one in it.
const MAX_STARTS: u32 = 100;

/// A directory that nobody else uses.
#[derive(Debug)]
pub(crate) struct DirectoryScratch {
    root: PathBuf,
    dir: PathBuf,
    /// The directories that were made, from the top.
    made: Vec<PathBuf>,
}

/// What the system says about the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// The number of its type, as `statfs(2)` lists them.
    pub(crate) kind: u32,
    /// Bytes that are free for this user.
    pub(crate) free_bytes: u64,
}

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "closing it is the release")] OwnedFd);

/// Whether a name was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    ByThis,
    Before,
}

impl DirectoryScratch {
    /// Makes a directory below the root, and the root where it is missing, as a writer would.
    ///
    /// # Errors
    /// As a writer's: `Denied`, `Invalid`, `Unavailable`.
    pub(crate) fn make(root: &Path, token: &WriterToken) -> Result<Self> {
        let root = super::absolute(root)?;
        let dir = root.join("_doctor").join(token.as_str());
        let mut scratch = Self { root, dir, made: Vec::new() };
        for _ in 1..MAX_STARTS {
            match scratch.make_missing() {
                // Another scratch took away a directory that it had made: start over.
                Err(error) if error.is(Errno::NOENT) || error.is(Errno::EXIST) => {}
                outcome => return Ok(outcome.map(|()| scratch)?),
            }
        }
        Ok(scratch.make_missing().map(|()| scratch)?)
    }

    /// Makes the directories that are missing, or none.
    fn make_missing(&mut self) -> Result<(), FsError> {
        let mut missing: Vec<PathBuf> =
            self.dir.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
        missing.reverse();
        for dir in missing {
            match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&dir) {
                // Somebody else made it, and keeps it.
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                Err(cause) => {
                    self.clear();
                    return Err(FsError::new("make a directory", dir, &cause));
                }
                Ok(()) => self.made.push(dir),
            }
        }
        Ok(())
    }

    /// Returns the root, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// Tells whether this directory was made by this scratch.
    pub(crate) fn has_made(&self, dir: &Path) -> bool {
        self.made.iter().any(|made| made == dir)
    }

    /// Asks the system about the file system.
    pub(crate) fn file_system(&self) -> Result<FileSystem> {
        let wrap = |cause: Errno| FsError::new("look at the file system", &self.dir, &cause.into());
        let (kind, space) =
            (fs::statfs(&self.dir).map_err(wrap)?, fs::statvfs(&self.dir).map_err(wrap)?);
        let kind = u64::try_from(kind.f_type).unwrap_or_default() & u64::from(u32::MAX);
        Ok(FileSystem {
            kind: u32::try_from(kind).unwrap_or_default(),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }

    /// Creates a file, `O_EXCL`.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<Taken> {
        let path = self.dir.join(name);
        match std::fs::File::create_new(&path).and_then(|mut file| file.write_all(bytes)) {
            Ok(()) => Ok(Taken::ByThis),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(Taken::Before),
            Err(cause) => Err(FsError::new("make a file", path, &cause).into()),
        }
    }

    /// Gives a file a second name, `link(2)`.
    pub(crate) fn link(&self, from: &str, to: &str) -> Result<Taken> {
        let dir = self.open()?;
        match fs::linkat(&dir, from, &dir, to, AtFlags::empty()) {
            Ok(()) => Ok(Taken::ByThis),
            Err(Errno::EXIST) => Ok(Taken::Before),
            Err(cause) => Err(FsError::new("link a file", self.dir.join(to), &cause.into()).into()),
        }
    }

    /// Reads a file; `None` where nothing has the name.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match std::fs::read(self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(FsError::new("read", self.dir.join(name), &cause).into()),
        }
    }

    /// Returns every name that is there.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        let wrap = |cause: io::Error| FsError::new("list", &self.dir, &cause);
        let entries = std::fs::read_dir(&self.dir).map_err(wrap)?;
        let names: io::Result<_> = entries.map(|entry| Ok(entry?.file_name())).collect();
        Ok(names.map_err(wrap)?)
    }

    /// Locks the directory as a writer locks its run's; `None` where the lock is held.
    pub(crate) fn lock(&self) -> Result<Option<Lock>> {
        let dir = self.open()?;
        match fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(dir))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(cause) => Err(FsError::new("lock a directory", &self.dir, &cause.into()).into()),
        }
    }

    /// Syncs a file.
    pub(crate) fn sync_file(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
        Ok(synced.map_err(|cause| FsError::new("sync a file", path, &cause))?)
    }

    /// Syncs the directory.
    pub(crate) fn sync_directory(&self) -> Result<()> {
        let synced = fs::fsync(self.open()?);
        Ok(synced.map_err(|cause| FsError::new("sync a directory", &self.dir, &cause.into()))?)
    }

    /// Takes away everything that was made; returns what could not be. A directory in which somebody
    /// else put something stays, and is not counted. From then on nothing is this scratch's any more:
    /// another may make the same directories again.
    pub(crate) fn clear(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        if self.has_made(&self.dir) && self.dir.exists() {
            for name in self.names().unwrap_or_default() {
                let path = self.dir.join(name);
                if std::fs::remove_file(&path).is_err() && path.exists() {
                    left.push(path.display().to_string());
                }
            }
        }
        for dir in std::mem::take(&mut self.made).into_iter().rev() {
            match std::fs::remove_dir(&dir) {
                Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    left.push(dir.display().to_string());
                    break;
                }
                _ => {}
            }
        }
        left
    }

    fn open(&self) -> Result<OwnedFd> {
        let opened = attempt::open_directory(&self.dir);
        Ok(opened.map_err(|cause| FsError::new("open a directory", &self.dir, &cause.into()))?)
    }
}

impl Drop for DirectoryScratch {
    fn drop(&mut self) {
        self.clear();
    }
}
