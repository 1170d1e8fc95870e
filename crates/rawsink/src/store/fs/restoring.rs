//! The steps of restoring a damaged file of a sealed run.
//!
//! 1. Lock the run's directory; check its seal; delete staging files of dead processes.
//! 2. Write the new file to a staging file and sync it.
//! 3. Check the seal again; rename the staging file over the damaged file, which may be missing; sync
//!    the run's directory and all directories above it.
//!
//! The rename is the only one in this store. It replaces a file by the bytes that the seal covers, or
//! by the seal that was validated. A reader that has opened the old file keeps it. A restore that ends
//! before the rename changes nothing; a crash leaves at most a staging file, which `clean` and the next
//! restore delete.

use std::{
    fs::File,
    io::{Read, Write},
};

use bytes::Bytes;
use rustix::{
    fs::{self, AtFlags},
    io::Errno,
};

use super::{
    attempt::{open_staging, protect, remove_old_staging, staging_name, sync_upwards},
    error::FsError,
    lock::LockedRun,
    probe::{Probe, Step},
    root::Directory,
};
use crate::store::{self, Object, WriterToken};

/// A restore that holds its run's lock.
#[derive(Debug)]
pub(super) struct FsRestore {
    run: LockedRun,
    object: Object,
    /// The bytes that the run's seal must have; `None` for any.
    seal: Option<Bytes>,
    /// The name of the staging file.
    name: String,
    staging: File,
    probe: Probe,
}

impl FsRestore {
    /// Step 1, and an empty staging file. `what` is the object, and the bytes that the seal must have.
    pub(super) fn start(
        at: &Directory,
        what: (Object, Option<Bytes>),
        token: &WriterToken,
        probe: Probe,
    ) -> Result<Self, FsError> {
        let (object, seal) = what;
        let run = LockedRun::of_existing(at, &probe)?
            .ok_or_else(|| FsError::Refused(store::not_sealed()))?;
        check_seal(&run, seal.as_ref(), &probe)?;
        remove_old_staging(&run, &probe)?;
        let name = staging_name(object, token);
        let step = of(object, Step::OpenStaging, Step::OpenSealStaging);
        match open_staging(&run, &probe, step, &name) {
            Ok(staging) => Ok(Self { run, object, seal, name, staging, probe }),
            Err(error) => {
                remove_staging(&run, &name, &probe);
                Err(error)
            }
        }
    }

    /// Step 2: appends to the staging file.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        let Self { run, staging, probe, object, .. } = self;
        let step = of(*object, Step::Append, Step::WriteSeal);
        probe.run(step, run.at.path(), || staging.write_all(bytes))
    }

    /// The end of step 2, and step 3.
    pub(super) fn finish(self) -> Result<(), FsError> {
        let Self { run, probe, name, object, .. } = &self;
        let step = of(*object, Step::SyncPayload, Step::SyncSeal);
        protect(&self.staging);
        probe.run(step, run.at.path(), || fs::fsync(&self.staging))?;
        check_seal(run, self.seal.as_ref(), probe)?;
        let replaced = object.file_name();
        probe.run(Step::Replace, run.at.path(), || {
            fs::renameat(&run.dir, name, &run.dir, replaced)
        })?;
        sync_upwards(&run.at, probe)
    }
}

impl Drop for FsRestore {
    fn drop(&mut self) {
        // After the rename the name does not exist.
        remove_staging(&self.run, &self.name, &self.probe);
    }
}

/// Returns the step for an object.
fn of(object: Object, payload: Step, seal: Step) -> Step {
    match object {
        Object::Payload => payload,
        Object::Seal => seal,
    }
}

/// Deletes the staging file, if it exists. One that cannot be deleted stays as a leftover.
fn remove_staging(run: &LockedRun, name: &str, probe: &Probe) {
    if !probe.is_dead() {
        let _ = fs::unlinkat(&run.dir, name, AtFlags::empty());
    }
}

/// Checks that the run is sealed, with exactly these bytes if some are given.
fn check_seal(run: &LockedRun, seal: Option<&Bytes>, probe: &Probe) -> Result<(), FsError> {
    let expected = seal.map_or(0, |seal| seal.len() as u64);
    let read = probe.run(Step::CheckRestoredSeal, run.at.path(), || {
        let name = Object::Seal.file_name();
        if seal.is_none() {
            // The seal to replace may be unreadable.
            fs::statat(&run.dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            return Ok(Vec::new());
        }
        let file = File::from(run.at.open_file_in(&run.dir, name)?);
        let mut found = Vec::new();
        file.take(expected + 1).read_to_end(&mut found)?;
        Ok::<_, std::io::Error>(found)
    });
    match read {
        Err(error) if error.is(Errno::NOENT) => Err(FsError::Refused(store::not_sealed())),
        Err(error) => Err(error),
        Ok(found) if seal.is_some_and(|seal| *seal != found) => {
            Err(FsError::Refused(store::seal_differs()))
        }
        Ok(_) => Ok(()),
    }
}
