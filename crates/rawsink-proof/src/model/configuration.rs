//! The configuration of an exploration: writers, server, and limits on faults.

use fake_s3::{AbortDuringComplete, AbortedUpload, Behaviour, CompleteCondition, CompletedUpload};

use super::{variant::Variant, writer::PayloadWay};

/// The configuration of an exploration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The number of attempts, at the same time or one after the other.
    pub writers: u8,
    /// The possible ways of their payloads.
    pub ways: &'static [PayloadWay],
    /// The kind of server.
    pub store: ServerKind,
    /// The policy for a payload without a seal.
    pub leftovers: OnLeftover,
    /// How late a request may be applied.
    pub requests: RequestDelay,
    /// Which of two uploads is the later one.
    pub order: UploadOrder,
    /// The limits on faults.
    pub faults: FaultBudget,
    /// The planted bug.
    pub variant: Variant,
}

impl Configuration {
    /// Two attempts that replace leftovers, without faults.
    pub const PLAIN: Self = Self {
        writers: 2,
        ways: &[PayloadWay::Single, PayloadWay::Multipart],
        store: ServerKind::Ignoring,
        leftovers: OnLeftover::Replaced,
        requests: RequestDelay::EndWithinGrace,
        order: UploadOrder::Created,
        faults: FaultBudget::NONE,
        variant: Variant::None,
    };

    /// Returns whether the attempts believe that the server enforces conditions on Complete.
    pub fn knows_enforced(&self) -> bool {
        self.store == ServerKind::Enforcing || self.variant == Variant::WrongSetting
    }

    /// Returns whether an aborted upload can be listed again.
    pub fn lists_again(&self) -> bool {
        self.store.behaviour().aborted_upload == AbortedUpload::ListedAfterLatePart
    }

    /// Returns whether an abort can arrive during a Complete.
    pub fn completes_slowly(&self) -> bool {
        self.store == ServerKind::Ruining
    }
}

/// How late the server may apply a request whose sender no longer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestDelay {
    /// A request that was sent before an attempt's grace began is applied before the grace ends, or
    /// never. A seal's PUT counts from the check on which it relies: the settings keep more than its
    /// timeout between its deadline and the grace.
    EndWithinGrace,
    /// This limit holds only for a seal's PUT. Other requests are applied at any time.
    SealsEndWithinGrace,
    /// A seal's PUT may take a grace from its own sending. Other requests are applied at any time.
    SealsTakeAGrace,
    /// Every request is applied at any time.
    MayOutliveGrace,
}

/// The kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// It enforces conditions on Complete, and the attempts know. A second Complete gets the answer of
    /// the first: AWS.
    Enforcing,
    /// It ignores conditions on Complete, and answers the Complete of a former upload by the current
    /// object: Ceph 16.2.15 without its next fault.
    Ignoring,
    /// It enforces conditions, and the attempts do not know. A late part lists an aborted upload again:
    /// `MinIO`.
    Echoing,
    /// As `Ignoring`, and an abort during a Complete loses the content hours later: Ceph before
    /// 18.2.5.
    Ruining,
}

impl ServerKind {
    /// Returns the behaviour of the fake server.
    pub fn behaviour(self) -> Behaviour {
        let ignoring =
            Behaviour { complete_condition: CompleteCondition::Ignored, ..Behaviour::default() };
        let completed_upload = CompletedUpload::TagOfCurrentObject;
        match self {
            Self::Enforcing => {
                Behaviour { completed_upload: CompletedUpload::SameTag, ..Behaviour::default() }
            }
            Self::Ignoring => Behaviour { completed_upload, ..ignoring },
            Self::Echoing => Behaviour {
                aborted_upload: AbortedUpload::ListedAfterLatePart,
                ..Behaviour::default()
            },
            Self::Ruining => Behaviour {
                completed_upload,
                abort_during_complete: AbortDuringComplete::LosesContent,
                ..ignoring
            },
        }
    }
}

/// The policy for a payload without a seal (`RAW_SINK_LEFTOVER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLeftover {
    /// The attempt fails.
    Refused,
    /// The attempt replaces it.
    Replaced,
}

/// Which of two uploads is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOrder {
    /// The one created later.
    Created,
    /// Either: gateways have different clocks.
    Any,
}

/// Limits on faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultBudget {
    /// Requests whose sender stops waiting. They are applied later, or never.
    pub unanswered: u8,
    /// Requests that the server refuses with 403.
    pub refused: u8,
    /// Attempts that fail by themselves: a bad row, an abort, a deadline.
    pub failed: u8,
    /// Attempts that die.
    pub died: u8,
    /// Runs of `clean`.
    pub cleaned: u8,
    /// Aborted uploads that are listed again.
    pub listed_again: u8,
}

impl FaultBudget {
    /// No faults.
    pub const NONE: Self =
        Self { unanswered: 0, refused: 0, failed: 0, died: 0, cleaned: 0, listed_again: 0 };
}
