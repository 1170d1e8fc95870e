//! Leftovers of attempts: payloads without a seal, open uploads, staging files.

use jiff::Timestamp;

use super::{ObjectInfo, StorePath};

/// The kind of a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftoverKind {
    /// A payload without a seal.
    Payload,
    /// An open multipart upload.
    Upload,
    /// A file in which an attempt collected its rows or its seal. Its run may be sealed.
    Staging,
}

impl LeftoverKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Payload, Self::Upload, Self::Staging];

    /// Returns the kind's name as used in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Upload => "upload",
            Self::Staging => "staging",
        }
    }
}

/// A leftover of an attempt, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The run's directory below the store's root.
    pub run: StorePath,
    /// The kind.
    pub kind: LeftoverKind,
    /// The file's name, or the upload's id.
    pub name: String,
    /// Length in bytes. For an upload, the length of all its parts.
    pub bytes: u64,
    /// Time of the last activity, by the store's clock: the last change of an object or file. For
    /// an upload, the later of its creation and its last part. The epoch if the store does not
    /// report it.
    pub modified: Timestamp,
}

impl Leftover {
    /// Returns whether a later check shows the same object.
    pub(super) fn is(&self, info: ObjectInfo) -> bool {
        (info.bytes, info.modified) == (self.bytes, self.modified)
    }
}

/// How a store detects an active writer of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The writer holds a lock while it is alive.
    Lock,
    /// There is no lock. Only a long time without activity indicates that the writer is dead.
    Age,
}

/// The outcome of removing a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// This call deleted it.
    Removed,
    /// It no longer exists: another process deleted it, or completed the upload.
    Gone,
    /// It differs from the listing. It is kept.
    Changed,
    /// A writer of its run is active. It is kept.
    InUse,
    /// Its run is sealed now. It is kept.
    Sealed,
    /// A payload of the same length exists, which may be this upload, completed. It is kept.
    ///
    /// Some servers still list an upload after an interrupted Complete. Aborting it would delete
    /// the payload's bytes.
    Completed,
}

impl Discarded {
    /// Returns the outcome's name as used in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::InUse => "in use",
            Self::Sealed => "sealed",
            Self::Completed => "completed",
        }
    }
}
