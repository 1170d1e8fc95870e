//! The root, and everything below it by descriptor.
//!
//! The path of the root may lead through symbolic links. Below the root no link is followed, unless the
//! configuration allows it: whoever may write one partition could otherwise make other users read,
//! replace or delete files elsewhere. A refused link is an error, never a missing file.
//!
//! The root is opened again for each operation, so that a file system which is unmounted is noticed.

use std::{
    collections::HashMap,
    fs::DirBuilder,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags},
    io::Errno,
};

use super::{
    config::{self, FsConfig, Links, MissingRoot, Mounted, Parents},
    error::FsError,
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::StorePath,
};

pub(super) const DIRECTORY_MODE: u32 = 0o750;

/// A descriptor that only names a directory.
pub(super) const NAMED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A descriptor to read a file. Opening never blocks, as a named pipe would.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The root directory of a store, which may not exist.
#[derive(Debug, Clone)]
pub(super) struct Root(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: FsConfig,
    /// Absolute.
    path: PathBuf,
    /// Directories that this store has synced into all directories above them.
    ///
    /// A process cannot know whether the creator of an existing directory has synced it, so each store
    /// syncs them once.
    kept: Mutex<HashMap<StorePath, Identity>>,
    /// Whether the root existed once. A root that disappears is not created again.
    was_there: AtomicBool,
}

/// What tells a directory from another of the same path, also if that has the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: (u32, u32),
    inode: u64,
    created: (i64, u32),
}

impl Identity {
    /// Returns the identity of an open directory; `None` on a file system without creation times.
    pub(super) fn of(dir: &OwnedFd) -> Option<Self> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let found = fs::statx(dir, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        let created = (found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
        let device = (found.stx_dev_major, found.stx_dev_minor);
        let has_both = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
        has_both.then_some(Self { device, inode: found.stx_ino, created })
    }
}

/// More directories are not remembered. A store of so many starts over.
const MOST_KEPT: usize = 10_000;

impl FsConfig {
    /// Checks that the root exists and is mounted as configured, or may be created.
    ///
    /// # Errors
    /// As every read of the store.
    pub fn check(&self) -> Result<()> {
        match Root::new(self)?.open() {
            Err(error) if error.is_absence() => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }
}

impl Root {
    pub(super) fn new(config: &FsConfig) -> Result<Self> {
        let (config, path) = (config.clone(), config::absolute(&config.root)?);
        Ok(Self(Arc::new(Shared {
            config,
            path,
            kept: Mutex::default(),
            was_there: AtomicBool::new(false),
        })))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns a directory below the root, which may not exist.
    pub(super) fn at(&self, path: &StorePath) -> Directory {
        let shown = self.path().join(path.as_str());
        Directory { root: self.clone(), below: path.clone(), shown }
    }

    /// Remembers directories that are synced into all directories above them.
    pub(super) fn keep(&self, dirs: impl IntoIterator<Item = (StorePath, Identity)>) {
        let mut kept = self.kept();
        if kept.len() > MOST_KEPT {
            kept.clear();
        }
        kept.extend(dirs);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<StorePath, Identity>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the root, to name what is below it.
    pub(super) fn open(&self) -> Result<OwnedFd, FsError> {
        match fs::open(self.path(), NAMED, Mode::empty()) {
            Ok(dir) => {
                self.check_mount(&dir)?;
                self.0.was_there.store(true, Ordering::Relaxed);
                Ok(dir)
            }
            Err(Errno::NOENT) if self.is_empty_when_missing() => {
                Err(FsError::new("open the root", self.path(), &Errno::NOENT.into()))
            }
            Err(Errno::NOENT) => Err(FsError::Refused(self.missing())),
            Err(Errno::NOTDIR) => {
                let error = Error::invalid("the root is not a directory").by_setting("root");
                Err(FsError::Refused(error.on_path(self.path().display())))
            }
            Err(Errno::LOOP) => {
                let error = Error::invalid("the root leads through a circle of symbolic links");
                Err(FsError::Refused(error.by_setting("root").on_path(self.path().display())))
            }
            Err(cause) => Err(FsError::new("open the root", self.path(), &cause.into())),
        }
    }

    /// Creates the root if it does not exist, as the configuration allows.
    pub(super) fn create(&self) -> Result<(), FsError> {
        if self.path().exists() {
            return self.open().map(drop);
        }
        if self.0.config.mounted == Mounted::Required || self.was_there() {
            return Err(FsError::Refused(self.missing()));
        }
        let with_parents = self.0.config.parents == Parents::Created;
        match DirBuilder::new().recursive(with_parents).mode(DIRECTORY_MODE).create(self.path()) {
            Ok(()) => self.open().map(drop),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => self.open().map(drop),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Err(FsError::Refused(self.missing()))
            }
            Err(cause) => Err(FsError::new("create the root", self.path(), &cause)),
        }
    }

    /// Returns whether readers may find nothing in place of a missing root.
    fn is_empty_when_missing(&self) -> bool {
        let FsConfig { missing, parents, mounted, .. } = &self.0.config;
        let has_parent = || self.path().parent().is_some_and(Path::is_dir);
        (*missing, *mounted) == (MissingRoot::IsEmpty, Mounted::Any)
            && !self.was_there()
            && (*parents == Parents::Created || has_parent())
            && dangling_link(self.path()).is_none()
    }

    fn was_there(&self) -> bool {
        self.0.was_there.load(Ordering::Relaxed)
    }

    /// The error for a root that does not exist.
    fn missing(&self) -> Error {
        if let Some(link) = dangling_link(self.path()) {
            let error = Error::invalid("the target of a symbolic link does not exist");
            return error.on_path(link.display()).by_setting("root");
        }
        let message = match self.path().parent() {
            Some(parent) if !parent.is_dir() => {
                "neither the root nor the directory above it exists"
            }
            _ => "the root does not exist",
        };
        let error = Error::new(ErrorKind::Unavailable, message);
        error.on_path(self.path().display()).by_setting("root")
    }

    /// Checks that the root is on a mounted file system, if the configuration requires it.
    fn check_mount(&self, root: &OwnedFd) -> Result<(), FsError> {
        if self.0.config.mounted == Mounted::Any {
            return Ok(());
        }
        let wrap = |cause: Errno| FsError::new("check the mount", self.path(), &cause.into());
        let ours = fs::fstat(root).map_err(wrap)?.st_dev;
        // A service has its directories mounted on themselves, from the same device. A part of btrfs has
        // a device of its own, and may not be mounted.
        let is_mounted = mount_of(root.as_fd(), "").is_none_or(|id| Some(id) != mount_of(CWD, "/"));
        if ours != fs::stat("/").map_err(wrap)?.st_dev && is_mounted {
            return Ok(());
        }
        let message = "no file system is mounted at the root or above it";
        let error = Error::new(ErrorKind::Unavailable, message).by_setting("mounted");
        Err(FsError::Refused(error.on_path(self.path().display())))
    }

    fn links(&self) -> Links {
        self.0.config.links
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

/// Returns the id of the mount that a path is on; `None` if the kernel does not tell.
fn mount_of(dir: BorrowedFd<'_>, path: &str) -> Option<u64> {
    let found = fs::statx(dir, path, AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

/// Returns the first symbolic link without a target, from a path upwards.
fn dangling_link(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_symlink() && !path.exists())
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

/// Opens a path below an open directory.
fn open_below(dir: &OwnedFd, links: Links, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    if links == Links::Followed {
        return fs::openat(dir, path, flags, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match fs::openat2(dir, path, flags, Mode::empty(), resolve) {
        // Kernels before 5.6 do not have the call, and filters of containers refuse it.
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(dir, path, flags),
        // A directory was moved out of the root meanwhile.
        Err(Errno::XDEV) => Err(Errno::AGAIN),
        outcome => outcome,
    }
}

/// Opens a path component by component.
fn open_by_component(dir: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let (mut above, mut names) = (None::<OwnedFd>, path.split('/').peekable());
    while let Some(name) = names.next() {
        let at = above.as_ref().unwrap_or(dir);
        let flags = if names.peek().is_some() { NAMED } else { flags };
        let opened = fs::openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty());
        let opened = opened.map_err(|cause| match cause {
            Errno::NOTDIR if is_link(at, name) => Errno::LOOP,
            cause => cause,
        })?;
        above = Some(opened);
    }
    above.ok_or(Errno::INVAL)
}

fn is_link(dir: &OwnedFd, name: &str) -> bool {
    let found = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn both_ways_to_open_refuse_the_same() {
        let parent = TempDir::new().unwrap();
        let at = |path: &str| parent.path().join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::write(at("a/b/file"), "x").unwrap();
        symlink("b", at("a/link")).unwrap();
        symlink("file", at("a/b/linked")).unwrap();
        symlink("nowhere", at("a/b/dangling")).unwrap();
        let dir = fs::open(parent.path(), NAMED, Mode::empty()).unwrap();
        let read = OFlags::RDONLY | OFlags::CLOEXEC;
        for (path, flags, expected) in [
            (".", NAMED, None),
            ("a/b/c", NAMED, None),
            ("a/b/file", read, None),
            ("a/b/file", NAMED, Some(Errno::NOTDIR)),
            ("a/b/file/x", read, Some(Errno::NOTDIR)),
            ("a/x/c", NAMED, Some(Errno::NOENT)),
            ("a/link", NAMED, Some(Errno::LOOP)),
            ("a/link/c", NAMED, Some(Errno::LOOP)),
            ("a/link/file", read, Some(Errno::LOOP)),
            ("a/b/linked", read, Some(Errno::LOOP)),
            ("a/b/dangling", read, Some(Errno::LOOP)),
        ] {
            let one = open_below(&dir, Links::Refused, path, flags).err();
            let other = open_by_component(&dir, path, flags).err();
            assert_eq!((one, other), (expected, expected), "{path}");
        }
        let followed = open_below(&dir, Links::Followed, "a/link/linked", read);
        followed.unwrap();
    }
}
