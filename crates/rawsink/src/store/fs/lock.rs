//! Who may write a run: the holder of an exclusive lock on its directory.

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

/// A lock is tried for a second, so that a passing clean-up refuses nobody.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// How often a directory may vanish between making and locking it.
const MAX_STARTS: u32 = 100;
pub(super) const DIRECTORY_MODE: u32 = 0o750;

/// A run's directory, locked as long as this lives.
///
/// The descriptor closes on exec, so no child inherits the lock; the kernel releases a dead
/// process's lock.
#[derive(Debug)]
pub(super) struct LockedRun {
    pub(super) dir: OwnedFd,
    pub(super) path: PathBuf,
}

/// What became of trying for a lock without waiting.
#[derive(Debug)]
pub(super) enum Grip {
    Held(LockedRun),
    /// Somebody else holds it.
    InUse,
    /// There is no such directory, or no longer the one that was opened.
    Gone,
}

impl LockedRun {
    /// Locks a directory that is there, without waiting; makes none.
    pub(super) fn try_existing(path: &Path, probe: &Probe) -> Result<Grip, FsError> {
        let dir = match open(path, probe) {
            Err(error) if error.is_absence() => return Ok(Grip::Gone),
            opened => opened?,
        };
        let locked = probe.run(Step::Lock, path, || {
            rustix::io::retry_on_intr(|| fs::flock(&dir, FlockOperation::NonBlockingLockExclusive))
        });
        match locked {
            Err(error) if error.is(Errno::WOULDBLOCK) => return Ok(Grip::InUse),
            outcome => outcome?,
        }
        match is_current(&dir, path, probe) {
            Ok(true) => Ok(Grip::Held(Self { dir, path: path.to_owned() })),
            Ok(false) => Ok(Grip::Gone),
            Err(error) if error.is_absence() => Ok(Grip::Gone),
            Err(error) => Err(error),
        }
    }

    /// Makes the directory where it is missing and locks it.
    pub(super) fn acquire(path: &Path, probe: &Probe) -> Result<Self, FsError> {
        for _ in 0..MAX_STARTS {
            match Self::try_acquire(path, probe) {
                Ok(Some(locked)) => return Ok(locked),
                // Another attempt's end removed the directory under our hands: start over.
                Ok(None) => {}
                Err(error) if error.is(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(link) = path.ancestors().find(|dir| leads_nowhere(dir)) {
            let error = Error::invalid("a symbolic link leads nowhere");
            return Err(FsError::Refused(error.on_path(link.display())));
        }
        let message = "the run's directory vanishes again and again";
        Err(FsError::Refused(Error::new(ErrorKind::Unavailable, message).on_path(path.display())))
    }

    fn try_acquire(path: &Path, probe: &Probe) -> Result<Option<Self>, FsError> {
        use std::os::unix::fs::DirBuilderExt;
        probe.run(Step::MakeDirectories, path, || {
            match std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path) {
                // Another made it first, and may have removed it since: opening will tell.
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                outcome => outcome,
            }
        })?;
        let dir = open(path, probe)?;
        probe.run(Step::Lock, path, || lock(&dir)).map_err(|error| match error {
            error if error.is(Errno::WOULDBLOCK) => {
                FsError::Refused(super::super::writer_at_work())
            }
            error => error,
        })?;
        let current = is_current(&dir, path, probe)?;
        Ok(current.then(|| Self { dir, path: path.to_owned() }))
    }
}

fn open(path: &Path, probe: &Probe) -> Result<OwnedFd, FsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    probe.run(Step::OpenDirectory, path, || fs::open(path, flags, Mode::empty()))
}

/// Tells whether a path still leads to the directory that was opened by it.
fn is_current(dir: &OwnedFd, path: &Path, probe: &Probe) -> Result<bool, FsError> {
    probe.run(Step::CompareDirectory, path, || {
        let (ours, there) = (fs::fstat(dir)?, fs::stat(path)?);
        Ok::<_, Errno>((ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino))
    })
}

/// Tells whether a path is a link without a target.
fn leads_nowhere(path: &Path) -> bool {
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
