//! Raw operations in a scratch directory, to examine a file system.
//!
//! These are single system calls, which no method of a store offers. Every file is in a separate
//! directory, which is deleted at the end.

#![expect(clippy::missing_errors_doc, reason = "each returns the fault of its system call")]

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt, fs::DirBuilderExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{
    config::FsConfig,
    error::FsError,
    root::{DIRECTORY_MODE, Root},
};
use crate::{error::Result, store::WriterToken};

/// A directory that no other process uses.
#[derive(Debug)]
pub struct DirectoryScratch {
    root: PathBuf,
    dir: PathBuf,
    /// Every name is looked up here: another user may put something else at the path.
    open: OwnedFd,
}

/// Properties of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// The number of its type, see `statfs(2)`.
    pub kind: u32,
    /// Free space for this user, in bytes.
    pub free_bytes: u64,
    /// Free inodes for this user; `None` for a file system without a limit.
    pub free_inodes: Option<u64>,
}

/// Who may write to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The user id of this process.
    pub own: u32,
    /// The user id of the root's owner.
    pub owner: u32,
    /// The permission bits of the root.
    pub mode: u32,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing it is the release")] OwnedFd);

/// Whether a call took a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// This call took the name.
    ByThis,
    /// The name was taken before.
    Before,
}

impl DirectoryScratch {
    /// Creates a directory below the root, which has to exist.
    ///
    /// # Errors
    /// `Unavailable` for a root that does not exist or is not mounted as configured, `Invalid` for one
    /// that is not a directory, and otherwise as for a writer.
    pub fn make(config: &FsConfig, token: &WriterToken) -> Result<Self> {
        let root = Root::new(config)?;
        root.open()?;
        let root = root.path().to_owned();
        let dir = root.join(format!("_doctor-{token}"));
        let created = std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&dir);
        created.map_err(|cause| FsError::new("create a directory", &dir, &cause))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::open(&dir, flags, Mode::empty());
        let open = opened.map_err(|cause| FsError::new("open a directory", &dir, &cause.into()))?;
        Ok(Self { root, dir, open })
    }

    /// Returns the root, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the scratch directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Returns the properties of the file system.
    pub fn file_system(&self) -> Result<FileSystem> {
        let wrap = |cause: Errno| FsError::new("check the file system", &self.dir, &cause.into());
        let (kind, space) =
            (fs::fstatfs(&self.open).map_err(wrap)?, fs::fstatvfs(&self.open).map_err(wrap)?);
        let kind = u64::try_from(kind.f_type).unwrap_or_default() & u64::from(u32::MAX);
        Ok(FileSystem {
            kind: u32::try_from(kind).unwrap_or_default(),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            free_inodes: (space.f_files > 0).then_some(space.f_favail),
        })
    }

    /// Returns who may write to the root.
    pub fn access(&self) -> Result<Access> {
        let stat = fs::stat(&self.root)
            .map_err(|cause| FsError::new("check the root", &self.root, &cause.into()))?;
        let own = rustix::process::geteuid().as_raw();
        Ok(Access { own, owner: stat.st_uid, mode: stat.st_mode & 0o7777 })
    }

    /// Creates a file, `O_EXCL`.
    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<Taken> {
        let path = self.dir.join(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let created = fs::openat(&self.open, name, flags, Mode::from_raw_mode(0o640));
        let written = created.map_err(io::Error::from);
        match written.and_then(|file| std::fs::File::from(file).write_all(bytes)) {
            Ok(()) => Ok(Taken::ByThis),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(Taken::Before),
            Err(cause) => Err(FsError::new("create a file", path, &cause).into()),
        }
    }

    /// Gives a file a second name, `link(2)`.
    pub fn link(&self, from: &str, to: &str) -> Result<Taken> {
        match fs::linkat(&self.open, from, &self.open, to, AtFlags::empty()) {
            Ok(()) => Ok(Taken::ByThis),
            Err(Errno::EXIST) => Ok(Taken::Before),
            Err(cause) => Err(FsError::new("link a file", self.dir.join(to), &cause.into()).into()),
        }
    }

    /// Reads a file; `None` if it does not exist.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = self.open_file(name).and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(FsError::new("read", self.dir.join(name), &cause).into()),
        }
    }

    /// Returns every name in the directory.
    pub fn names(&self) -> Result<Vec<OsString>> {
        let wrap = |cause: Errno| FsError::new("list", &self.dir, &cause.into());
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.open).map_err(wrap)? {
            let name = entry.map_err(wrap)?.file_name().to_bytes().to_vec();
            names.push(OsString::from_vec(name));
        }
        names.retain(|name| name != "." && name != "..");
        Ok(names)
    }

    /// Locks the directory as a writer locks its run's; `None` if the lock is held.
    pub fn lock(&self) -> Result<Option<Lock>> {
        let dir = self.opened_again()?;
        match fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(dir))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(cause) => Err(FsError::new("lock a directory", &self.dir, &cause.into()).into()),
        }
    }

    /// Syncs a file.
    pub fn sync_file(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        let synced = self.open_file(name).and_then(|file| file.sync_all());
        Ok(synced.map_err(|cause| FsError::new("sync a file", path, &cause))?)
    }

    /// Syncs the directory.
    pub fn sync_directory(&self) -> Result<()> {
        let synced = fs::fsync(&self.open);
        Ok(synced.map_err(|cause| FsError::new("sync a directory", &self.dir, &cause.into()))?)
    }

    /// Deletes the directory and every file in it; returns the paths that cannot be deleted.
    pub fn clear(&mut self) -> Vec<String> {
        let names = self.names().unwrap_or_default().into_iter();
        let is_left = |name: &OsString| {
            let removed = fs::unlinkat(&self.open, name, AtFlags::empty());
            !matches!(removed, Ok(()) | Err(Errno::NOENT))
        };
        let mut left: Vec<String> =
            names.filter(is_left).map(|name| self.dir.join(name).display().to_string()).collect();
        if std::fs::remove_dir(&self.dir).is_err() && self.dir.exists() {
            left.push(self.dir.display().to_string());
        }
        left
    }

    fn open_file(&self, name: &str) -> io::Result<std::fs::File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.open, name, flags, Mode::empty())?.into())
    }

    /// Opens the directory once more: each lock belongs to one opening.
    fn opened_again(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = fs::openat(&self.open, ".", flags, Mode::empty());
        Ok(opened.map_err(|cause| FsError::new("open a directory", &self.dir, &cause.into()))?)
    }
}

impl Drop for DirectoryScratch {
    fn drop(&mut self) {
        self.clear();
    }
}
