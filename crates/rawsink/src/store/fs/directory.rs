//! A directory below the root, and what is in it.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    config::Links,
    error::FsError,
    opening::{FILE, Identity, NAMED, open_below},
    root::{DIRECTORY_MODE, Root, dangling_link},
};
use crate::store::StorePath;

impl Root {
    /// Returns a directory below the root, which may not exist.
    pub(super) fn at(&self, path: &StorePath) -> Directory {
        let shown = self.path().join(path.as_str());
        Directory { root: self.clone(), below: path.clone(), shown }
    }
}

/// A directory below the root, or the root. It may not exist.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: Root,
    below: StorePath,
    shown: PathBuf,
}

impl Directory {
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the absolute path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.shown
    }

    /// Returns the path below the root.
    pub(super) fn below(&self) -> &StorePath {
        &self.below
    }

    pub(super) fn join(&self, name: &str) -> Self {
        let (below, shown) = (self.below.join(name), self.shown.join(name));
        Self { root: self.root.clone(), below, shown }
    }

    /// Returns the directory above this one, and this one's name; `None` for the root.
    pub(super) fn parent(&self) -> Option<(Self, &str)> {
        let (above, name) = self.below.parent()?;
        Some((self.root.at(&above), name))
    }

    /// Returns whether this store has synced this directory into all directories above it. Each of these
    /// must be the same as then.
    pub(super) fn is_kept(&self, identity: Option<Identity>) -> bool {
        if identity.is_none() || self.root.kept().get(&self.below).copied() != identity {
            return false;
        }
        let Some((above, _)) = self.parent() else { return true };
        let identity = above.open("check").ok().as_ref().and_then(Identity::of);
        above.is_kept(identity)
    }

    /// Opens the directory, to name what is in it.
    pub(super) fn open(&self, action: &'static str) -> Result<OwnedFd, FsError> {
        self.open_as(action, NAMED)
    }

    /// Opens the directory, to list, lock or sync it.
    pub(super) fn open_to_read(&self, action: &'static str) -> Result<OwnedFd, FsError> {
        self.open_as(action, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    fn open_as(&self, action: &'static str, flags: OFlags) -> Result<OwnedFd, FsError> {
        let root = self.root.open()?;
        let opened = self.open_in(&root, flags);
        opened.map_err(|cause| FsError::new(action, self.path(), &cause.into()))
    }

    /// Opens the directory below an open root.
    pub(super) fn open_in(&self, root: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
        let below = self.below.as_str();
        open_below(root, self.root.links(), if below.is_empty() { "." } else { below }, flags)
    }

    /// Opens a file of the directory to read it.
    pub(super) fn open_file(&self, name: &str) -> Result<OwnedFd, FsError> {
        let root = self.root.open()?;
        let opened = open_below(&root, self.root.links(), self.below.join(name).as_str(), FILE);
        opened.map_err(|cause| FsError::new("open", self.path().join(name), &cause.into()))
    }

    /// Opens a file of the open directory to read it.
    pub(super) fn open_file_in(&self, dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        open_below(dir, self.root.links(), name, FILE)
    }

    /// Creates the directory and those above it, below an open root.
    pub(super) fn create_in(&self, root: &OwnedFd) -> Result<(), Errno> {
        if self.open_in(root, NAMED).is_ok() {
            return Ok(());
        }
        let mut names = self.below.segments().peekable();
        let mut above: Option<OwnedFd> = None;
        while let Some(name) = names.next() {
            let (dir, links) = (above.as_ref().unwrap_or(root), self.root.links());
            let is_last = names.peek().is_none();
            match open_below(dir, links, name, NAMED) {
                Ok(open) if !is_last => {
                    above = Some(open);
                    continue;
                }
                Err(Errno::NOENT) => {}
                outcome => return outcome.map(drop),
            }
            match fs::mkdirat(dir, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
                // Another process created it, and may have deleted it since. Opening it shows that.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(cause) => return Err(cause),
            }
            if !is_last {
                above = Some(open_below(dir, links, name, NAMED)?);
            }
        }
        Ok(())
    }

    /// Returns the status of a name in the open directory: of the target, if links are followed. A link
    /// that is not followed is an error.
    pub(super) fn status(&self, dir: &OwnedFd, name: &str) -> Result<fs::Stat, Errno> {
        if self.root.links() == Links::Followed {
            return fs::statat(dir, name, AtFlags::empty());
        }
        let found = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        Ok(found)
    }

    /// Returns the first symbolic link without a target, from this directory upwards.
    pub(super) fn dangling_link(&self) -> Option<&Path> {
        dangling_link(self.path())
    }

    /// Returns what a link in the open directory is for a listing.
    pub(super) fn follow(&self, dir: &OwnedFd, name: &str) -> Link {
        let target = fs::statat(dir, name, AtFlags::empty());
        let is_directory =
            target.is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_dir());
        match self.root.links() {
            Links::Followed if is_directory && !self.leads_upwards(name) => Link::Directory,
            Links::Refused if is_directory || target.is_err() => Link::Refused,
            Links::Followed | Links::Refused => Link::File,
        }
    }

    /// Returns whether a link leads to a directory above it, so that following it would never end.
    fn leads_upwards(&self, name: &str) -> bool {
        let Ok(target) = self.path().join(name).canonicalize() else { return true };
        self.path().canonicalize().is_ok_and(|here| here.starts_with(&target))
    }
}

/// What a symbolic link is for a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// A directory to enter.
    Directory,
    /// A file, or nothing that a listing enters.
    File,
    /// It may hide a directory, and is not followed.
    Refused,
}
