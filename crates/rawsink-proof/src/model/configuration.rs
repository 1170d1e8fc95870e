//! What one exploration covers: which writers on which store, and what may go wrong how often.

use super::{variant::Variant, writer::Way};
use crate::server::{AbortMeetingComplete, Behaviour, Conditions, LatePart, SecondComplete};

/// One exploration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// How many attempts there are, live together or one after the other.
    pub writers: u8,
    /// How the payloads of these attempts may go.
    pub ways: &'static [Way],
    /// What the server is like.
    pub store: Store,
    /// What is done about a payload without a seal.
    pub leftovers: Leftovers,
    /// How late a request may be applied.
    pub requests: Requests,
    /// Which upload counts as the later one.
    pub order: UploadOrder,
    /// What may go wrong how often.
    pub faults: Faults,
    /// Which step of the protocol is left out.
    pub variant: Variant,
}

impl Configuration {
    /// Two attempts on a store, leftovers replaced, nothing that goes wrong.
    pub const PLAIN: Self = Self {
        writers: 2,
        ways: &[Way::Single, Way::Multipart],
        store: Store::Ignoring,
        leftovers: Leftovers::Replaced,
        requests: Requests::EndWithinGrace,
        order: UploadOrder::Created,
        faults: Faults::NONE,
        variant: Variant::None,
    };

    /// Tells whether the attempts know that conditions on Complete are honoured.
    pub fn knows_enforced(&self) -> bool {
        self.store == Store::Enforcing || self.variant == Variant::WrongSetting
    }

    /// Tells whether an upload that was ended can be listed again.
    pub fn lists_again(&self) -> bool {
        self.store.behaviour().late_part == LatePart::ListsUploadAgain
    }

    /// Tells whether a Complete takes time that an abort can meet.
    pub fn completes_slowly(&self) -> bool {
        self.store == Store::Ruining
    }
}

/// How late a request may be applied whose sender does not wait any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requests {
    /// What was sent before an attempt's grace began is applied before it is over, or never. A
    /// seal's PUT counts from the look that it rests on: the settings keep more than its timeout
    /// between its deadline and the grace.
    EndWithinGrace,
    /// Only a seal's PUT has to; everything else is applied at any time.
    SealsEndWithinGrace,
    /// A seal's PUT has the length of a grace from its own sending; everything else any time.
    SealsTakeAGrace,
    /// Everything is applied at any time, however long ago its sender gave up or died.
    MayOutliveGrace,
}

/// What the server is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It enforces conditions on Complete, and the attempts know; a second Complete is answered like
    /// the first. As AWS.
    Enforcing,
    /// It ignores conditions on Complete. It answers the Complete of an upload that is gone by what
    /// is there, whosever it is. As Ceph 16.2.15, less its next fault.
    Ignoring,
    /// It enforces them, and the attempts do not know; it lists an upload again that was ended when a
    /// part comes late. As `MinIO`.
    Echoing,
    /// As `Ignoring`, and an abort that meets a running Complete loses the object hours later. As
    /// Ceph before 18.2.5.
    Ruining,
}

impl Store {
    /// Returns the server's behaviour.
    pub fn behaviour(self) -> Behaviour {
        let ignoring = Behaviour { conditions: Conditions::Ignored, ..Behaviour::default() };
        let second_complete = SecondComplete::TagOfWhatIsThere;
        match self {
            Self::Enforcing => {
                Behaviour { second_complete: SecondComplete::SameTag, ..Behaviour::default() }
            }
            Self::Ignoring => Behaviour { second_complete, ..ignoring },
            Self::Echoing => {
                Behaviour { late_part: LatePart::ListsUploadAgain, ..Behaviour::default() }
            }
            Self::Ruining => Behaviour {
                second_complete,
                abort_meeting_complete: AbortMeetingComplete::Ruins,
                ..ignoring
            },
        }
    }
}

/// What is done about a payload without a seal (`RAW_SINK_LEFTOVER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// The attempt is refused.
    Refused,
    /// It is replaced.
    Replaced,
}

/// Which upload counts as the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOrder {
    /// The one that was created later.
    Created,
    /// Any: gateways have clocks of their own.
    Any,
}

/// What may go wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Requests whose sender stops waiting: they are applied later, or never.
    pub unanswered: u8,
    /// Requests that the server refuses without applying them (403).
    pub refused: u8,
    /// Attempts that end with an error of their own: a bad row, an abort, a deadline.
    pub failed: u8,
    /// Attempts that die.
    pub died: u8,
    /// Runs of `clean` over the uploads of this key.
    pub cleaned: u8,
    /// Uploads that were ended and are listed again.
    pub listed_again: u8,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self =
        Self { unanswered: 0, refused: 0, failed: 0, died: 0, cleaned: 0, listed_again: 0 };
}
