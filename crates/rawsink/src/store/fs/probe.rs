//! The steps of an attempt by name, and a way for tests to stand between them.

use std::{fmt, path::Path, sync::Arc};

use rustix::io::Errno;

use super::error::FsError;

/// Every step that changes or decides something, in the order of an attempt.
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
    SyncAbove,
    OpenSealStaging,
    WriteSeal,
    SyncSeal,
    LinkSeal,
    SyncSealedDirectory,
    UnlinkSealStaging,
}

impl Step {
    /// Says what the step does, to stand after "cannot".
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::MakeDirectories => "make the run's directory",
            Self::OpenDirectory => "open the run's directory",
            Self::Lock => "lock the run's directory",
            Self::CompareDirectory => "look at the run's directory",
            Self::CheckSealAtStart | Self::CheckSeal => "look for a seal",
            Self::RemoveOldStaging => "remove an old staging file",
            Self::OpenStaging => "make a staging file",
            Self::Append => "write the payload",
            Self::SyncPayload => "sync the payload",
            Self::UnlinkLeftover => "remove the leftover payload",
            Self::LinkPayload => "link the payload",
            Self::UnlinkPayloadStaging | Self::UnlinkSealStaging => "remove the staging name",
            Self::SyncRunDirectory | Self::SyncSealedDirectory => "sync the run's directory",
            Self::SyncAncestor => "sync a directory above the run",
            Self::SyncAbove => "sync a directory above the root",
            Self::OpenSealStaging => "make the seal's staging file",
            Self::WriteSeal => "write the seal",
            Self::SyncSeal => "sync the seal",
            Self::LinkSeal => "link the seal",
        }
    }
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    Before,
    After,
}

/// Stands between the steps; the default does nothing.
#[derive(Clone, Default)]
pub(super) struct Probe(Option<Arc<dyn Hook>>);

/// What a test does between steps.
pub(super) trait Hook: Send + Sync {
    /// Lets the attempt go on, or makes the step fail.
    fn at(&self, step: Step, moment: Moment) -> Result<(), Errno>;

    /// Tells whether the process is dead, so that it cannot even clean up.
    fn is_dead(&self) -> bool;
}

impl Probe {
    #[cfg(test)]
    pub(super) fn new(hook: Arc<dyn Hook>) -> Self {
        Self(Some(hook))
    }

    /// Runs one step and says, if it fails, what failed and where.
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
