//! The steps of one attempt at a run in a directory.
//!
//! 1. Lock the run's directory; check for a seal; delete staging files of dead attempts.
//! 2. Write rows to a staging file. Its name starts with a dot and contains the token.
//! 3. Sync it; check for a seal again; delete a leftover; link the payload (create-only); delete
//!    the staging name; sync the run's directory and all directories above it that this store has
//!    not synced before.
//! 4. Only then stage and sync the seal, link it (create-only), make the payload read-only, sync the
//!    directory, delete the staging name.
//!
//! An attempt renames no file. A failed sync is never repeated: the attempt ends. An attempt that ends
//! before the link of step 4 deletes its payload (G08); after it, the attempt touches nothing.

use std::{fs::File, io::Write, os::fd::OwnedFd, path::Path};

use bytes::Bytes;
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    directory::Directory,
    error::FsError,
    lock::LockedRun,
    opening::Identity,
    probe::{Probe, Step},
    root::Root,
};
use crate::{
    error::Error,
    store::{self, LeftoverPolicy, Object, ObjectInfo, SealDocument, StorePath, WriterToken},
};

const FILE_MODE: Mode = Mode::from_raw_mode(0o640);

/// An attempt that holds its run's lock.
#[derive(Debug)]
pub(super) struct FsAttempt {
    run: LockedRun,
    token: WriterToken,
    probe: Probe,
    staging: File,
    stage: Stage,
}

/// The progress of an attempt. It decides what a rollback deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only staging files belong to this attempt.
    Writing,
    /// The payload belongs to this attempt.
    PayloadLinked,
    /// The seal may exist: the attempt touches nothing of the run any more.
    SealSent,
}

impl FsAttempt {
    /// Step 1, and an empty staging file.
    pub(super) fn start(
        at: &Directory,
        options: store::StartOptions,
        probe: Probe,
    ) -> Result<Self, FsError> {
        let run = LockedRun::acquire(at, &probe)?;
        let entered = enter(&run, &options, &probe);
        match entered {
            Ok(staging) => {
                let (token, stage) = (options.token, Stage::Writing);
                Ok(Self { run, token, probe, staging, stage })
            }
            Err(error) => {
                if !probe.is_dead() {
                    let staging = staging_name(Object::Payload, &options.token);
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
        probe.run(Step::Append, run.at.path(), || staging.write_all(part))
    }

    /// Step 3.
    pub(super) fn complete(&mut self, last: &[u8]) -> Result<(), FsError> {
        self.append(last)?;
        let staging = staging_name(Object::Payload, &self.token);
        self.probe.run(Step::SyncPayload, self.run.at.path(), || fs::fsync(&self.staging))?;
        refuse_sealed(&self.run, &self.probe, Step::CheckSeal)?;
        self.unlink(Step::UnlinkLeftover, Object::Payload.file_name())?;
        // Set first: after a failed link the payload may exist.
        self.stage = Stage::PayloadLinked;
        self.link(Step::LinkPayload, &staging, Object::Payload)?;
        self.unlink(Step::UnlinkPayloadStaging, &staging)?;
        sync_upwards(&self.run.at, &self.probe)
    }

    /// Step 4.
    pub(super) fn seal(&mut self, document: &Bytes) -> Result<(), FsError> {
        let at = self.run.at.clone();
        let path = at.path();
        let staging = staging_name(Object::Seal, &self.token);
        let mut file = open_staging(&self.run, &self.probe, Step::OpenSealStaging, &staging)?;
        self.probe.run(Step::WriteSeal, path, || file.write_all(document))?;
        protect(&file);
        self.probe.run(Step::SyncSeal, path, || fs::fsync(&file))?;
        self.link_seal(&staging)?;
        protect(&self.staging);
        let synced = self.probe.run(Step::SyncSealedDirectory, path, || fs::fsync(&self.run.dir));
        synced.map_err(FsError::seal_unknown)?;
        // The run is sealed and durable, even if this fails.
        let _ = self.unlink(Step::UnlinkSealStaging, &staging);
        Ok(())
    }

    pub(super) fn token(&self) -> &WriterToken {
        &self.token
    }

    /// Returns the seal's bytes with this attempt's token.
    pub(super) fn document(&self, document: &SealDocument<'_>) -> Bytes {
        document(&self.token)
    }

    fn link_seal(&mut self, staging: &str) -> Result<(), FsError> {
        let before = std::mem::replace(&mut self.stage, Stage::SealSent);
        let Err(error) = self.link(Step::LinkSeal, staging, Object::Seal) else { return Ok(()) };
        // The seal is certain to be missing only after a clear refusal, confirmed by the directory.
        if !error.is_clear_refusal() || same_file(&self.run.dir, staging, Object::Seal.file_name())
        {
            return Err(error.seal_unknown());
        }
        self.stage = before;
        Err(error)
    }

    /// Links a staging file to an object's name, unless the name exists.
    fn link(&self, step: Step, staging: &str, object: Object) -> Result<(), FsError> {
        let (dir, name) = (&self.run.dir, object.file_name());
        let linked = self.probe.run(step, self.run.at.path(), || {
            fs::linkat(dir, staging, dir, name, AtFlags::empty())
        });
        match linked {
            // A network file system may lose the reply, send the link again and find its own file.
            Err(error) if error.is(Errno::EXIST) => {
                if same_file(dir, staging, name) {
                    Ok(())
                } else {
                    Err(FsError::Refused(exists_error(object)))
                }
            }
            outcome => outcome,
        }
    }

    fn unlink(&self, step: Step, name: &str) -> Result<(), FsError> {
        unlink(&self.run, &self.probe, step, name)
    }

    /// Deletes the files of this attempt under the lock. A file that cannot be deleted stays as a
    /// leftover for the next attempt.
    fn roll_back(&self) {
        let dir = &self.run.dir;
        let mut own = vec![
            staging_name(Object::Payload, &self.token),
            staging_name(Object::Seal, &self.token),
        ];
        let payload = Object::Payload.file_name();
        let seal = fs::statat(dir, Object::Seal.file_name(), AtFlags::SYMLINK_NOFOLLOW);
        let unsealed = self.stage == Stage::PayloadLinked && matches!(seal, Err(Errno::NOENT));
        if unsealed && identity(fs::fstat(&self.staging)) == named_identity(dir, payload) {
            own.push(payload.to_owned());
        }
        for name in own {
            let _ = fs::unlinkat(dir, name, AtFlags::empty());
        }
        if self.stage != Stage::SealSent {
            remove_empty_directory(&self.run, &self.probe);
        }
    }
}

impl Drop for FsAttempt {
    fn drop(&mut self) {
        if !self.probe.is_dead() {
            self.roll_back();
        }
    }
}

/// Step 1 after the lock: checks the run, deletes old staging files and opens a new one.
fn enter(run: &LockedRun, options: &store::StartOptions, probe: &Probe) -> Result<File, FsError> {
    refuse_sealed(run, probe, Step::CheckSealAtStart)?;
    if let (LeftoverPolicy::Refuse, Some(left)) = (options.leftover, leftover(run)?) {
        return Err(FsError::Refused(store::leftover_refused(left, options.now)));
    }
    remove_old_staging(run, probe)?;
    open_staging(run, probe, Step::OpenStaging, &staging_name(Object::Payload, &options.token))
}

fn leftover(run: &LockedRun) -> Result<Option<ObjectInfo>, FsError> {
    super::file_info(&run.at, &run.dir, Object::Payload.file_name())
}

fn refuse_sealed(run: &LockedRun, probe: &Probe, step: Step) -> Result<(), FsError> {
    let name = Object::Seal.file_name();
    let found =
        probe.run(step, run.at.path(), || fs::statat(&run.dir, name, AtFlags::SYMLINK_NOFOLLOW));
    match found {
        Ok(stat) => Err(FsError::Refused(match FileType::from_raw_mode(stat.st_mode) {
            // A link is for those who allow links.
            FileType::RegularFile | FileType::Symlink => store::already_sealed(),
            // To readers the run is not sealed.
            _ => {
                let path = run.at.path().join(name);
                Error::invalid("metadata.json is not a regular file").on_path(path.display())
            }
        })),
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Deletes the staging files of earlier holders of the lock.
pub(super) fn remove_old_staging(run: &LockedRun, probe: &Probe) -> Result<(), FsError> {
    let read = || fs::Dir::read_from(&run.dir);
    let entries = probe.run(Step::RemoveOldStaging, run.at.path(), read)?;
    for entry in entries {
        let entry = entry.map_err(|cause| FsError::new("list", run.at.path(), &cause.into()))?;
        if let Some(name) = entry.file_name().to_str().ok().filter(|name| is_staging_name(name)) {
            unlink(run, probe, Step::RemoveOldStaging, name)?;
        }
    }
    Ok(())
}

pub(super) fn open_staging(
    run: &LockedRun,
    probe: &Probe,
    step: Step,
    name: &str,
) -> Result<File, FsError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(probe.run(step, run.at.path(), || fs::openat(&run.dir, name, flags, FILE_MODE))?))
}

/// Makes a sealed file read-only, so that no editor changes it by mistake. A file system without modes may
/// refuse that.
pub(super) fn protect(file: &File) {
    if let Ok(stat) = fs::fstat(file) {
        let mode =
            Mode::from_raw_mode(stat.st_mode).difference(Mode::WUSR | Mode::WGRP | Mode::WOTH);
        let _ = fs::fchmod(file, mode);
    }
}

/// Deletes a name, if it exists.
fn unlink(run: &LockedRun, probe: &Probe, step: Step, name: &str) -> Result<(), FsError> {
    match probe.run(step, run.at.path(), || fs::unlinkat(&run.dir, name, AtFlags::empty())) {
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}

/// From this number of runs on, one sync of the whole file system costs less than one of each run.
const MANY_RUNS: usize = 8;

/// Syncs the objects of runs, regardless of their writer, then the directories. Succeeds for a run that
/// does not exist.
pub(super) fn sync_runs(root: &Root, runs: &[Directory], probe: &Probe) -> Result<(), FsError> {
    let top = root.open()?;
    let device = |dir: &OwnedFd| fs::fstat(dir).map(|stat| stat.st_dev).ok();
    let (home, is_many) = (device(&top), runs.len() >= MANY_RUNS);
    if is_many && home.is_some() {
        probe.run(Step::SyncFileSystem, root.path(), || sync_file_system(root.path()))?;
        sync_upwards(&root.at(&StorePath::root()), probe)?;
    }
    // Other file systems may be mounted below the root.
    let is_elsewhere =
        |run: &&Directory| !is_many || run.open("check").ok().as_ref().and_then(device) != home;
    for run in runs.iter().filter(is_elsewhere) {
        sync_run(run, probe)?;
    }
    Ok(())
}

/// Syncs the objects of a run, then the directories. Succeeds for a run that does not exist.
fn sync_run(run: &Directory, probe: &Probe) -> Result<(), FsError> {
    let objects = [(Step::SyncPayload, Object::Payload), (Step::SyncSeal, Object::Seal)];
    for (step, object) in objects {
        let name = object.file_name();
        let synced = run
            .open_file(name)
            .and_then(|file| probe.run(step, &run.path().join(name), || fs::fsync(&file)));
        absent_is_fine(synced)?;
    }
    absent_is_fine(sync_upwards(run, probe))
}

fn absent_is_fine(outcome: Result<(), FsError>) -> Result<(), FsError> {
    outcome.or_else(|error| if error.is_absence() { Ok(()) } else { Err(error) })
}

/// Syncs a run's directory and the directories above it, regardless of their creator, until one that this
/// store has synced before.
pub(super) fn sync_upwards(run: &Directory, probe: &Probe) -> Result<(), FsError> {
    let (mut step, mut next, mut synced) = (Step::SyncRunDirectory, Some(run.clone()), Vec::new());
    while let Some(dir) = next {
        let open = dir.open_to_read(step.action())?;
        let identity = Identity::of(&open);
        probe.run(step, dir.path(), || fs::fsync(&open))?;
        // The run's own directory may be deleted and created again at any time.
        if step == Step::SyncAncestor {
            if dir.is_kept(identity) {
                run.root().keep(synced);
                return Ok(());
            }
            synced.extend(identity.map(|identity| (dir.below().clone(), identity)));
        }
        (next, step) = (dir.parent().map(|(parent, _)| parent), Step::SyncAncestor);
    }
    sync_root(run.root().path(), probe)?;
    // Set last: a concurrent attempt must not skip a sync before it is done.
    run.root().keep(synced);
    Ok(())
}

/// Syncs the root into its parent, and the directories above.
fn sync_root(root: &Path, probe: &Probe) -> Result<(), FsError> {
    sync_above(root, probe)?;
    // The root may be a link, or lie behind one.
    match root.canonicalize() {
        Ok(target) if target != root => sync_above(&target, probe),
        _ => Ok(()),
    }
}

fn sync_above(root: &Path, probe: &Probe) -> Result<(), FsError> {
    let top = root.parent().unwrap_or(root);
    match probe.run(Step::SyncAncestor, top, || sync_directory(top)) {
        // Without permission for the root's parent, sync its whole file system.
        Err(error) if error.is(Errno::ACCESS) => {
            probe.run(Step::SyncAncestor, top, || sync_file_system(root))?;
        }
        outcome => outcome?,
    }
    sync_above_root(root, probe)
}

/// Syncs the directories above the root's parent up to the mount point. Without permission for one
/// of them, syncs the whole file system.
fn sync_above_root(root: &Path, probe: &Probe) -> Result<(), FsError> {
    let top = root.parent().unwrap_or(root);
    let device = |dir: &Path| fs::stat(dir).map(|stat| stat.st_dev).ok();
    let home = device(top);
    for dir in top.ancestors().skip(1).take_while(|dir| device(dir) == home) {
        match probe.run(Step::SyncAboveRoot, dir, || sync_directory(dir)) {
            Err(error) if error.is(Errno::ACCESS) => {
                return probe.run(Step::SyncAboveRoot, root, || sync_file_system(root));
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Syncs the file system of a directory.
fn sync_file_system(dir: &Path) -> Result<(), Errno> {
    fs::syncfs(open_directory(dir)?)
}

fn sync_directory(dir: &Path) -> Result<(), Errno> {
    fs::fsync(open_directory(dir)?)
}

/// Opens a directory by a path that the operator chose: the root, or one above it.
fn open_directory(dir: &Path) -> Result<OwnedFd, Errno> {
    fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Deletes the run's directory if it is empty. Its parents always stay (G18).
pub(super) fn remove_empty_directory(run: &LockedRun, probe: &Probe) {
    if !probe.is_dead() {
        let Some((above, name)) = run.at.parent() else { return };
        let Ok(above) = above.open("open") else { return };
        // Ignores a directory that is not empty or does not exist.
        let _ = fs::unlinkat(&above, name, AtFlags::REMOVEDIR);
    }
}

fn same_file(dir: &OwnedFd, one: &str, other: &str) -> bool {
    let one = named_identity(dir, one);
    one.is_some() && one == named_identity(dir, other)
}

/// Returns device and inode of a name in a directory.
fn named_identity(dir: &OwnedFd, name: &str) -> Option<(u64, u64)> {
    identity(fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
}

fn identity(stat: Result<fs::Stat, Errno>) -> Option<(u64, u64)> {
    stat.ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn exists_error(object: Object) -> Error {
    match object {
        Object::Seal => store::already_sealed(),
        Object::Payload => store::writer_active(),
    }
}

pub(super) fn staging_name(object: Object, token: &WriterToken) -> String {
    format!(".{}.{token}", object.file_name())
}

/// Returns whether an attempt may have created a file of this name. Other software gives its own files
/// similar names: `.payload.jsonl.swp`.
pub(super) fn is_staging_name(name: &str) -> bool {
    [Object::Payload, Object::Seal].iter().any(|object| {
        name.strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(object.file_name()))
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(WriterToken::is_token)
    })
}
