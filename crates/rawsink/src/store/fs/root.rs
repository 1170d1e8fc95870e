//! The root: whether it exists, is mounted, and may be created.
//!
//! Its path may lead through symbolic links. It is opened again for each operation, so that a file system
//! which is unmounted is noticed.

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
    fs::{self, AtFlags, CWD, Mode, StatxFlags},
    io::Errno,
};

use super::{
    config::{self, FsConfig, Links, MissingRoot, Mounted, Parents},
    error::FsError,
    opening::{Identity, NAMED},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::StorePath,
};

pub(super) const DIRECTORY_MODE: u32 = 0o750;

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

/// With more directories than this, a store forgets all and syncs each once more.
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

    /// Remembers directories that are synced into all directories above them.
    pub(super) fn keep(&self, dirs: impl IntoIterator<Item = (StorePath, Identity)>) {
        let mut kept = self.kept();
        if kept.len() > MOST_KEPT {
            kept.clear();
        }
        kept.extend(dirs);
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, HashMap<StorePath, Identity>> {
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
        // Checked first: another writer may create the root meanwhile.
        let was_there = self.was_there();
        if self.path().exists() {
            return self.open().map(drop);
        }
        if self.0.config.mounted == Mounted::Required || was_there {
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
        // Both must differ. systemd mounts a service's directories on themselves, from the same device. A
        // btrfs subvolume has its own device and may belong to the mount of `/`.
        let is_mounted = mount_of(root.as_fd(), "").is_none_or(|id| Some(id) != mount_of(CWD, "/"));
        if ours != fs::stat("/").map_err(wrap)?.st_dev && is_mounted {
            return Ok(());
        }
        let message = "no file system is mounted at the root or above it";
        let error = Error::new(ErrorKind::Unavailable, message).by_setting("mounted");
        Err(FsError::Refused(error.on_path(self.path().display())))
    }

    pub(super) fn links(&self) -> Links {
        self.0.config.links
    }
}

/// Returns the id of the mount that a path is on; `None` if the kernel does not tell.
fn mount_of(dir: BorrowedFd<'_>, path: &str) -> Option<u64> {
    let found = fs::statx(dir, path, AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

/// Returns the first symbolic link without a target, from a path upwards.
pub(super) fn dangling_link(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_symlink() && !path.exists())
}
