//! Numbers of processes and attempts.

/// Identifies a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProcessId(pub(super) usize);

/// Stands for code outside of every process, which never fails, pauses or dies.
pub(super) const NOBODY: ProcessId = ProcessId(0);

/// Identifies an attempt to write a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttemptId(pub(super) usize);
