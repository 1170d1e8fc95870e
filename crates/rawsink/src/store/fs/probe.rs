//! The named steps of an attempt, with hooks for tests before and after each.

use std::{fmt, path::Path, sync::Arc};

use rustix::io::Errno;

use super::error::FsError;

/// A step that changes or decides something. The order is that of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    MakeDirectories,
    OpenDirectory,
    Lock,
    CompareDirectory,
    CheckSealAtStart,
    RemoveOldStaging,
    OpenStaging,
    Append,
    SyncPayload,
    CheckSeal,
    UnlinkLeftover,
    LinkPayload,
    UnlinkPayloadStaging,
    SyncRunDirectory,
    SyncAncestor,
    SyncAboveRoot,
    SyncFileSystem,
    OpenSealStaging,
    WriteSeal,
    SyncSeal,
    LinkSeal,
    SyncSealedDirectory,
    UnlinkSealStaging,
    CheckRestoredSeal,
    Replace,
}

impl Step {
    /// Returns the action of the step, which follows "cannot" in a message.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::MakeDirectories => "create the run's directory",
            Self::OpenDirectory => "open the run's directory",
            Self::Lock => "lock the run's directory",
            Self::CompareDirectory => "check the run's directory",
            Self::CheckSealAtStart | Self::CheckSeal => "check for a seal",
            Self::CheckRestoredSeal => "read the seal",
            Self::Replace => "replace the damaged file",
            Self::RemoveOldStaging => "delete an old staging file",
            Self::OpenStaging => "create a staging file",
            Self::Append => "write the payload",
            Self::SyncPayload => "sync the payload",
            Self::UnlinkLeftover => "delete the leftover payload",
            Self::LinkPayload => "link the payload",
            Self::UnlinkPayloadStaging | Self::UnlinkSealStaging => "delete the staging name",
            Self::SyncRunDirectory | Self::SyncSealedDirectory => "sync the run's directory",
            Self::SyncAncestor => "sync a directory above the run",
            Self::SyncAboveRoot => "sync a directory above the root",
            Self::SyncFileSystem => "sync the file system",
            Self::OpenSealStaging => "create the seal's staging file",
            Self::WriteSeal => "write the seal",
            Self::SyncSeal => "sync the seal",
            Self::LinkSeal => "link the seal",
        }
    }
}

/// Whether a hook is called before or after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    Before,
    After,
}

/// Calls a hook before and after each step. The default has no hook.
#[derive(Clone, Default)]
pub(super) struct Probe(Option<Arc<dyn Hook>>);

/// The actions of a test between steps.
pub(super) trait Hook: Send + Sync {
    /// Is called before and after each step. An error makes the step fail.
    fn at(&self, step: Step, moment: Moment) -> Result<(), Errno>;

    /// Returns whether the process is dead, so that it does not clean up.
    fn is_dead(&self) -> bool;
}

impl Probe {
    #[cfg(test)]
    pub(super) fn new(hook: Arc<dyn Hook>) -> Self {
        Self(Some(hook))
    }

    /// Runs one step. Its error has the step's action and the path.
    pub(super) fn run<T, E: Into<std::io::Error>>(
        &self,
        step: Step,
        path: &Path,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, FsError> {
        let outcome = self.call(step, Moment::Before).and_then(|()| {
            let value = operation().map_err(Into::into)?;
            self.call(step, Moment::After).map(|()| value)
        });
        outcome.map_err(|cause| FsError::new(step.action(), path, &cause))
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.as_ref().is_some_and(|hook| hook.is_dead())
    }

    fn call(&self, step: Step, moment: Moment) -> Result<(), std::io::Error> {
        self.0.as_ref().map_or(Ok(()), |hook| hook.at(step, moment).map_err(Into::into))
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
