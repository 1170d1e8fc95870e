//! The exclusive lock on a run's directory. Only its holder may write the run.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{self, FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{
    error::FsError,
    probe::{Probe, Step},
};
use crate::error::{Error, ErrorKind};

/// The lock is tried for a second, so that a short clean-up does not make a writer fail.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// How often the directory may be deleted between creating and locking it.
const MAX_STARTS: u32 = 100;
pub(super) const DIRECTORY_MODE: u32 = 0o750;

/// A run's directory, locked until this is dropped.
///
/// The descriptor closes on exec, so no child inherits the lock. The kernel releases the lock of a
/// dead process.
#[derive(Debug)]
pub(super) struct LockedRun {
    pub(super) dir: OwnedFd,
    pub(super) path: PathBuf,
}

/// The outcome of locking without waiting.
#[derive(Debug)]
pub(super) enum TryLock {
    Held(LockedRun),
    /// Another holder has the lock.
    InUse,
    /// The directory does not exist, or was replaced since it was opened.
    Gone,
}

impl LockedRun {
    /// Locks an existing directory, without waiting.
    pub(super) fn try_existing(path: &Path, probe: &Probe) -> Result<TryLock, FsError> {
        let dir = match open(path, probe) {
            Err(error) if error.is_absence() => return Ok(TryLock::Gone),
            opened => opened?,
        };
        let locked = probe.run(Step::Lock, path, || {
            rustix::io::retry_on_intr(|| fs::flock(&dir, FlockOperation::NonBlockingLockExclusive))
        });
        match locked {
            Err(error) if error.is(Errno::WOULDBLOCK) => return Ok(TryLock::InUse),
            outcome => outcome?,
        }
        match is_current(&dir, path, probe) {
            Ok(true) => Ok(TryLock::Held(Self { dir, path: path.to_owned() })),
            Ok(false) => Ok(TryLock::Gone),
            Err(error) if error.is_absence() => Ok(TryLock::Gone),
            Err(error) => Err(error),
        }
    }

    /// Locks an existing directory, and waits up to a second for it; `None` if it does not exist.
    pub(super) fn of_existing(path: &Path, probe: &Probe) -> Result<Option<Self>, FsError> {
        for _ in 0..MAX_STARTS {
            match Self::open_and_lock(path, probe) {
                Ok(Some(locked)) => return Ok(Some(locked)),
                // Another process replaced the directory since it was opened.
                Ok(None) => {}
                Err(error) if error.is_absence() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(deleted_repeatedly(path))
    }

    /// Locks the directory. Creates it if it does not exist.
    pub(super) fn acquire(path: &Path, probe: &Probe) -> Result<Self, FsError> {
        for _ in 0..MAX_STARTS {
            match Self::try_acquire(path, probe) {
                Ok(Some(locked)) => return Ok(locked),
                // The end of another attempt deleted the directory: start again.
                Ok(None) => {}
                Err(error) if error.is(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(link) = path.ancestors().find(|dir| is_dangling_link(dir)) {
            let error = Error::invalid("the target of a symbolic link does not exist");
            return Err(FsError::Refused(error.on_path(link.display())));
        }
        Err(deleted_repeatedly(path))
    }

    fn try_acquire(path: &Path, probe: &Probe) -> Result<Option<Self>, FsError> {
        use std::os::unix::fs::DirBuilderExt;
        probe.run(Step::MakeDirectories, path, || {
            match std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path) {
                // Another process created it, and may have deleted it since. Opening it shows that.
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                outcome => outcome,
            }
        })?;
        Self::open_and_lock(path, probe)
    }

    /// Opens and locks a directory; `None` if it was replaced meanwhile.
    fn open_and_lock(path: &Path, probe: &Probe) -> Result<Option<Self>, FsError> {
        let dir = open(path, probe)?;
        probe.run(Step::Lock, path, || lock(&dir)).map_err(|error| match error {
            error if error.is(Errno::WOULDBLOCK) => FsError::Refused(super::super::writer_active()),
            error => error,
        })?;
        let current = is_current(&dir, path, probe)?;
        Ok(current.then(|| Self { dir, path: path.to_owned() }))
    }
}

fn deleted_repeatedly(path: &Path) -> FsError {
    let message = "the run's directory was repeatedly deleted before it could be locked";
    FsError::Refused(Error::new(ErrorKind::Unavailable, message).on_path(path.display()))
}

fn open(path: &Path, probe: &Probe) -> Result<OwnedFd, FsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    probe.run(Step::OpenDirectory, path, || fs::open(path, flags, Mode::empty()))
}

/// Returns whether a path still names the directory that was opened by it.
fn is_current(dir: &OwnedFd, path: &Path, probe: &Probe) -> Result<bool, FsError> {
    probe.run(Step::CompareDirectory, path, || {
        let (ours, there) = (fs::fstat(dir)?, fs::stat(path)?);
        Ok::<_, Errno>((ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino))
    })
}

/// Returns whether a path is a symbolic link without a target.
fn is_dangling_link(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

fn lock(dir: &OwnedFd) -> Result<(), Errno> {
    for _ in 1..LOCK_TRIES {
        match fs::flock(dir, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => thread::sleep(LOCK_PAUSE),
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
    fs::flock(dir, FlockOperation::NonBlockingLockExclusive)
}
