//! The exclusive lock on a run's directory. Only its holder may write the run.

use std::{os::fd::OwnedFd, thread, time::Duration};

use rustix::{
    fs::{self, FlockOperation, OFlags},
    io::Errno,
};

use super::{
    directory::Directory,
    error::FsError,
    held::Held,
    opening::NAMED,
    probe::{Probe, Step},
};
use crate::error::{Error, ErrorKind};

/// The lock is tried for a second, so that a short clean-up does not make a writer fail.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// How often the directory may be deleted between creating and locking it.
const MAX_STARTS: u32 = 100;

/// A run's directory, locked until this is dropped.
///
/// The descriptor closes on exec, so no started program inherits the lock; a forked child closes its
/// copy (see [`held`](super::held)). The kernel releases the lock of a dead process.
#[derive(Debug)]
pub(super) struct LockedRun {
    /// Dropped before the descriptor is closed: another file may get its number then.
    held: Held,
    pub(super) dir: OwnedFd,
    pub(super) at: Directory,
}

impl Drop for LockedRun {
    fn drop(&mut self) {
        // A copy that a child inherits from now on holds no lock. A child must not unlock the parent's.
        if self.held.is_ours() {
            let _ = fs::flock(&self.dir, FlockOperation::Unlock);
        }
    }
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
    pub(super) fn try_existing(at: &Directory, probe: &Probe) -> Result<TryLock, FsError> {
        let dir = match open(at, probe) {
            Err(error) if error.is_absence() => return Ok(TryLock::Gone),
            opened => opened?,
        };
        let held = Held::note(&dir);
        let locked = probe.run(Step::Lock, at.path(), || {
            rustix::io::retry_on_intr(|| fs::flock(&dir, FlockOperation::NonBlockingLockExclusive))
        });
        match locked {
            Err(error) if error.is(Errno::WOULDBLOCK) => return Ok(TryLock::InUse),
            outcome => outcome?,
        }
        match is_current(&dir, at, probe) {
            Ok(true) => Ok(TryLock::Held(Self { held, dir, at: at.clone() })),
            Ok(false) => Ok(TryLock::Gone),
            Err(error) if error.is_absence() => Ok(TryLock::Gone),
            Err(error) => Err(error),
        }
    }

    /// Locks an existing directory, and waits up to a second for it; `None` if it does not exist.
    pub(super) fn of_existing(at: &Directory, probe: &Probe) -> Result<Option<Self>, FsError> {
        for _ in 0..MAX_STARTS {
            match Self::open_and_lock(at, probe) {
                Ok(Some(locked)) => return Ok(Some(locked)),
                // Another process replaced the directory since it was opened.
                Ok(None) => {}
                Err(error) if error.is_absence() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(deleted_repeatedly(at))
    }

    /// Locks the directory. Creates it, the directories above it and the root if they do not exist.
    pub(super) fn acquire(at: &Directory, probe: &Probe) -> Result<Self, FsError> {
        at.root().create()?;
        for _ in 0..MAX_STARTS {
            match Self::try_acquire(at, probe) {
                Ok(Some(locked)) => return Ok(locked),
                // The end of another attempt deleted the directory: start again.
                Ok(None) => {}
                Err(error) if error.is(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Err(deleted_repeatedly(at))
    }

    fn try_acquire(at: &Directory, probe: &Probe) -> Result<Option<Self>, FsError> {
        let root = at.root().open()?;
        probe.run(Step::MakeDirectories, at.path(), || at.create_in(&root))?;
        Self::open_and_lock(at, probe)
    }

    /// Opens and locks a directory; `None` if it was replaced meanwhile.
    fn open_and_lock(at: &Directory, probe: &Probe) -> Result<Option<Self>, FsError> {
        let dir = open(at, probe)?;
        let held = Held::note(&dir);
        probe.run(Step::Lock, at.path(), || lock(&dir)).map_err(|error| match error {
            error if error.is(Errno::WOULDBLOCK) => FsError::Refused(super::super::writer_active()),
            error => error,
        })?;
        let current = is_current(&dir, at, probe)?;
        Ok(current.then(|| Self { held, dir, at: at.clone() }))
    }
}

fn deleted_repeatedly(at: &Directory) -> FsError {
    if let Some(link) = at.dangling_link() {
        let error = Error::invalid("the target of a symbolic link does not exist");
        return FsError::Refused(error.on_path(link.display()));
    }
    let message = "the run's directory was repeatedly deleted before it could be locked";
    FsError::Refused(Error::new(ErrorKind::Unavailable, message).on_path(at.path().display()))
}

fn open(at: &Directory, probe: &Probe) -> Result<OwnedFd, FsError> {
    let root = at.root().open()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    probe.run(Step::OpenDirectory, at.path(), || at.open_in(&root, flags))
}

/// Returns whether a path still names the directory that was opened by it.
fn is_current(dir: &OwnedFd, at: &Directory, probe: &Probe) -> Result<bool, FsError> {
    let root = at.root().open()?;
    probe.run(Step::CompareDirectory, at.path(), || {
        let (ours, there) = (fs::fstat(dir)?, fs::fstat(at.open_in(&root, NAMED)?)?);
        Ok::<_, Errno>((ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino))
    })
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
