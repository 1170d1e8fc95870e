//! One attempt at a run in a directory, step by step.
//!
//! 1. Lock the run's directory; look for a seal; remove what dead attempts staged.
//! 2. Write rows to a staging file, whose name starts with a dot and carries the token.
//! 3. Sync it; look for a seal again; remove a leftover; link the payload (create-only); remove the
//!    staging name; sync the run's directory and all directories above it, those above the root's
//!    parent once by each store.
//! 4. Only then stage and sync the seal, link it (create-only), sync the directory, remove the name.
//!
//! Nothing is ever renamed over anything. A failed sync is never repeated: the attempt ends. An
//! attempt that ends before step 4's link takes its payload back (G08); after it, nothing is touched.

use std::{
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use rustix::{
    fs::{self, AtFlags, Mode, OFlags},
    io::Errno,
};

use super::{
    error::FsError,
    lock::LockedRun,
    probe::{Probe, Step},
};
use crate::{
    error::Error,
    store::{self, LeftoverPolicy, Object, ObjectInfo, SealDocument, WriterToken},
};

const FILE_MODE: Mode = Mode::from_raw_mode(0o640);

/// Whether a store has synced the directories above its root's parent.
///
/// Whoever meets a root cannot know whether its maker has synced them yet, so every process does it
/// once by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Above(Arc<AtomicBool>);

/// An attempt that holds its run's lock.
#[derive(Debug)]
pub(super) struct Attempt {
    run: LockedRun,
    root: PathBuf,
    above: Above,
    token: WriterToken,
    probe: Probe,
    staging: File,
    stage: Stage,
}

/// How far an attempt has come, which decides what its end removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only staging files are ours.
    Writing,
    /// The payload there is ours.
    PayloadLinked,
    /// The seal may be there: nothing of the run is touched any more.
    SealSent,
}

impl Attempt {
    /// Step 1, and an empty staging file.
    pub(super) fn start(
        root: &Path,
        above: Above,
        dir: &Path,
        attempt: store::Attempt,
        probe: Probe,
    ) -> Result<Self, FsError> {
        if !root.exists() {
            // Somebody took it away, and what is above it will be new again.
            above.0.store(false, Ordering::Release);
        }
        let run = LockedRun::acquire(dir, &probe)?;
        let entered = enter(&run, &attempt, &probe);
        match entered {
            Ok(staging) => {
                let (root, token) = (root.to_owned(), attempt.token);
                Ok(Self { run, root, above, token, probe, staging, stage: Stage::Writing })
            }
            Err(error) => {
                if !probe.is_dead() {
                    let staging = staging_name(Object::Payload, &attempt.token);
                    let _ = fs::unlinkat(&run.dir, staging, AtFlags::empty());
                }
                remove_empty_directory(&run, &probe);
                Err(error)
            }
        }
    }

    /// Step 2.
    pub(super) fn append(&mut self, part: &[u8]) -> Result<(), FsError> {
        let Self { run, staging, probe, .. } = self;
        probe.run(Step::Append, &run.path, || staging.write_all(part))
    }

    /// Step 3.
    pub(super) fn complete(&mut self, last: &[u8]) -> Result<(), FsError> {
        self.append(last)?;
        let path = self.run.path.clone();
        let staging = staging_name(Object::Payload, &self.token);
        self.probe.run(Step::SyncPayload, &path, || fs::fsync(&self.staging))?;
        refuse_sealed(&self.run, &self.probe, Step::CheckSeal)?;
        self.unlink(Step::UnlinkLeftover, Object::Payload.file_name())?;
        // Marked first: an error of the link does not tell whether the payload appeared.
        self.stage = Stage::PayloadLinked;
        self.link(Step::LinkPayload, &staging, Object::Payload)?;
        self.unlink(Step::UnlinkPayloadStaging, &staging)?;
        sync_upwards(&self.root, &self.above, &path, &self.probe)
    }

    /// Step 4.
    pub(super) fn seal(&mut self, document: &Bytes) -> Result<(), FsError> {
        let path = self.run.path.clone();
        let staging = staging_name(Object::Seal, &self.token);
        let mut file = open_staging(&self.run, &self.probe, Step::OpenSealStaging, &staging)?;
        self.probe.run(Step::WriteSeal, &path, || file.write_all(document))?;
        self.probe.run(Step::SyncSeal, &path, || fs::fsync(&file))?;
        self.link_seal(&staging)?;
        let synced = self.probe.run(Step::SyncSealedDirectory, &path, || fs::fsync(&self.run.dir));
        synced.map_err(FsError::seal_unknown)?;
        // The run is sealed and durable whatever becomes of the staging name.
        let _ = self.unlink(Step::UnlinkSealStaging, &staging);
        Ok(())
    }

    pub(super) fn token(&self) -> &WriterToken {
        &self.token
    }

    /// Makes the seal's bytes with this attempt's token.
    pub(super) fn document(&self, document: &SealDocument<'_>) -> Bytes {
        document(&self.token)
    }

    fn link_seal(&mut self, staging: &str) -> Result<(), FsError> {
        let before = std::mem::replace(&mut self.stage, Stage::SealSent);
        let Err(error) = self.link(Step::LinkSeal, staging, Object::Seal) else { return Ok(()) };
        // Only a clear refusal that the directory bears out means that there will be no seal.
        if !error.is_clear_refusal() || same_file(&self.run.dir, staging, Object::Seal.file_name())
        {
            return Err(error.seal_unknown());
        }
        self.stage = before;
        Err(error)
    }

    /// Makes an object appear under its name, unless that name is taken.
    fn link(&self, step: Step, staging: &str, object: Object) -> Result<(), FsError> {
        let (dir, name) = (&self.run.dir, object.file_name());
        let linked = self
            .probe
            .run(step, &self.run.path, || fs::linkat(dir, staging, dir, name, AtFlags::empty()));
        match linked {
            // A link whose reply was lost and that was sent again (network file systems) meets itself.
            Err(error) if error.is(Errno::EXIST) => {
                if same_file(dir, staging, name) {
                    Ok(())
                } else {
                    Err(FsError::Refused(taken(object)))
                }
            }
            outcome => outcome,
        }
    }

    fn unlink(&self, step: Step, name: &str) -> Result<(), FsError> {
        unlink(&self.run, &self.probe, step, name)
    }

    /// Takes back what this attempt made visible, still under the lock. What fails here stays as a
    /// leftover, which the next attempt takes over.
    fn take_back(&self) {
        let dir = &self.run.dir;
        let mut ours = vec![
            staging_name(Object::Payload, &self.token),
            staging_name(Object::Seal, &self.token),
        ];
        let payload = Object::Payload.file_name();
        let seal = fs::statat(dir, Object::Seal.file_name(), AtFlags::SYMLINK_NOFOLLOW);
        let unsealed = self.stage == Stage::PayloadLinked && matches!(seal, Err(Errno::NOENT));
        if unsealed && identity(fs::fstat(&self.staging)) == named_identity(dir, payload) {
            ours.push(payload.to_owned());
        }
        for name in ours {
            let _ = fs::unlinkat(dir, name, AtFlags::empty());
        }
        if self.stage != Stage::SealSent {
            remove_empty_directory(&self.run, &self.probe);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.probe.is_dead() {
            self.take_back();
        }
    }
}

/// What a new attempt does under the lock before its first row.
fn enter(run: &LockedRun, attempt: &store::Attempt, probe: &Probe) -> Result<File, FsError> {
    refuse_sealed(run, probe, Step::CheckSealAtStart)?;
    if let (LeftoverPolicy::Refuse, Some(left)) = (attempt.leftover, leftover(run)?) {
        return Err(FsError::Refused(store::leftover_refused(left, attempt.now)));
    }
    remove_old_staging(run, probe)?;
    open_staging(run, probe, Step::OpenStaging, &staging_name(Object::Payload, &attempt.token))
}

fn leftover(run: &LockedRun) -> Result<Option<ObjectInfo>, FsError> {
    super::file_info(&run.path.join(Object::Payload.file_name()))
}

fn refuse_sealed(run: &LockedRun, probe: &Probe, step: Step) -> Result<(), FsError> {
    let name = Object::Seal.file_name();
    let found =
        probe.run(step, &run.path, || fs::statat(&run.dir, name, AtFlags::SYMLINK_NOFOLLOW));
    match found {
        Ok(_) => Err(FsError::Refused(store::already_sealed())),
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what attempts that died under this lock's earlier holders staged.
fn remove_old_staging(run: &LockedRun, probe: &Probe) -> Result<(), FsError> {
    let entries = probe.run(Step::RemoveOldStaging, &run.path, || std::fs::read_dir(&run.path))?;
    for entry in entries {
        let name = entry.map_err(|cause| FsError::new("list", &run.path, &cause))?.file_name();
        if let Some(name) = name.to_str().filter(|name| is_staging_name(name)) {
            unlink(run, probe, Step::RemoveOldStaging, name)?;
        }
    }
    Ok(())
}

fn open_staging(run: &LockedRun, probe: &Probe, step: Step, name: &str) -> Result<File, FsError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(probe.run(step, &run.path, || fs::openat(&run.dir, name, flags, FILE_MODE))?))
}

/// Removes a name; one that is not there is fine.
fn unlink(run: &LockedRun, probe: &Probe, step: Step, name: &str) -> Result<(), FsError> {
    match probe.run(step, &run.path, || fs::unlinkat(&run.dir, name, AtFlags::empty())) {
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}

/// Syncs the objects of a run, whoever wrote them, and then the directories; a run that is not there
/// has nothing to sync.
pub(super) fn sync_run(
    root: &Path,
    above: &Above,
    run: &Path,
    probe: &Probe,
) -> Result<(), FsError> {
    let objects = [(Step::SyncPayload, Object::Payload), (Step::SyncSeal, Object::Seal)];
    for (step, object) in objects {
        let path = run.join(object.file_name());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        absent_is_fine(
            probe.run(step, &path, || fs::fsync(fs::open(&path, flags, Mode::empty())?)),
        )?;
    }
    absent_is_fine(sync_upwards(root, above, run, probe))
}

fn absent_is_fine(outcome: Result<(), FsError>) -> Result<(), FsError> {
    outcome.or_else(|error| if error.is_absence() { Ok(()) } else { Err(error) })
}

/// Syncs a run's directory and every directory above it, whoever made them: up to the root's parent
/// each time, and the rest once.
fn sync_upwards(root: &Path, above: &Above, run: &Path, probe: &Probe) -> Result<(), FsError> {
    let top = root.parent().unwrap_or(root);
    for (depth, dir) in run.ancestors().take_while(|dir| dir.starts_with(top)).enumerate() {
        let step = if depth == 0 { Step::SyncRunDirectory } else { Step::SyncAncestor };
        match probe.run(step, dir, || sync_directory(dir)) {
            // The root's parent may be closed to us; then its whole file system is synced instead.
            Err(error) if dir == top && error.is(Errno::ACCESS) => {
                probe.run(step, dir, || fs::syncfs(open_directory(root)?))?;
            }
            outcome => outcome?,
        }
    }
    if !above.0.load(Ordering::Acquire) {
        sync_above(root, probe)?;
        // Only now: whoever comes meanwhile must not take it for done.
        above.0.store(true, Ordering::Release);
    }
    Ok(())
}

/// Syncs the directories above the root's parent up to where the file system is mounted. What is
/// closed to us is synced as a whole.
fn sync_above(root: &Path, probe: &Probe) -> Result<(), FsError> {
    let top = root.parent().unwrap_or(root);
    let device = |dir: &Path| fs::stat(dir).map(|stat| stat.st_dev).ok();
    let home = device(top);
    for dir in top.ancestors().skip(1).take_while(|dir| device(dir) == home) {
        match probe.run(Step::SyncAbove, dir, || sync_directory(dir)) {
            Err(error) if error.is(Errno::ACCESS) => {
                return probe.run(Step::SyncAbove, root, || fs::syncfs(open_directory(root)?));
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

fn sync_directory(dir: &Path) -> Result<(), Errno> {
    fs::fsync(open_directory(dir)?)
}

pub(super) fn open_directory(dir: &Path) -> Result<OwnedFd, Errno> {
    fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Removes the run's directory when nothing is in it; its parents always stay (G18).
pub(super) fn remove_empty_directory(run: &LockedRun, probe: &Probe) {
    if !probe.is_dead() {
        // Not empty, or already gone: both fine.
        let _ = fs::rmdir(&run.path);
    }
}

fn same_file(dir: &OwnedFd, one: &str, other: &str) -> bool {
    let one = named_identity(dir, one);
    one.is_some() && one == named_identity(dir, other)
}

/// Returns device and inode of what has a name.
fn named_identity(dir: &OwnedFd, name: &str) -> Option<(u64, u64)> {
    identity(fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
}

fn identity(stat: Result<fs::Stat, Errno>) -> Option<(u64, u64)> {
    stat.ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn taken(object: Object) -> Error {
    match object {
        Object::Seal => store::already_sealed(),
        Object::Payload => store::writer_at_work(),
    }
}

fn staging_name(object: Object, token: &WriterToken) -> String {
    format!(".{}.{token}", object.file_name())
}

pub(super) fn is_staging_name(name: &str) -> bool {
    [Object::Payload, Object::Seal].iter().any(|object| {
        name.strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(object.file_name()))
            .is_some_and(|rest| rest.starts_with('.'))
    })
}
