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

impl LockedRun {
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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = probe.run(Step::OpenDirectory, path, || fs::open(path, flags, Mode::empty()))?;
        probe.run(Step::Lock, path, || lock(&dir)).map_err(|error| match error {
            error if error.is(Errno::WOULDBLOCK) => {
                FsError::Refused(super::super::writer_at_work())
            }
            error => error,
        })?;
        let current = probe.run(Step::CompareDirectory, path, || {
            let (ours, there) = (fs::fstat(&dir)?, fs::stat(path)?);
            Ok::<_, Errno>((ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino))
        })?;
        Ok(current.then(|| Self { dir, path: path.to_owned() }))
    }
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
