//! The options of a simulation besides its seed.

use fake_s3::{AbortedUpload, Behaviour, CompleteCondition, CompleteEffect, CreateCondition};

/// The options of a simulation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// How late the server applies requests.
    pub lateness: Lateness,
    /// An assumption that the world breaks. The auditor is expected to notice.
    pub lie: Option<Lie>,
    /// Whether each event is traced.
    pub trace: TraceLevel,
}

/// How late the server applies requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lateness {
    /// As late as the settings allow.
    #[default]
    Assumed,
    /// Hours later. A run may then be corrupt, but no writer is wrongly told that it sealed.
    Unbounded,
}

/// Whether each event is traced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TraceLevel {
    /// No event.
    #[default]
    Silent,
    /// One line per event.
    Every,
}

/// An assumption that the world breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The server checks the condition of a PUT first and writes later.
    CreateIsNotAtomic,
    /// The listing of uploads is seconds old.
    StaleUploads,
    /// HEAD and LIST show an object only seconds after its creation.
    StaleChecks,
    /// An aborted upload can still complete.
    EndedUploadsComplete,
    /// The server ignores conditions on Complete, and the settings say that it enforces them.
    ConditionsIgnored,
    /// The grace in the settings is a second.
    GraceTooShort,
    /// The server applies seals hours later.
    LateSeals,
    /// The server answers a Complete with success, and no object appears.
    UntrueSuccess,
    /// The state is read first and written later.
    StateIsNotAtomic,
    /// The listings of uploads and parts show times that are a day too early.
    OldUploads,
}

impl Lie {
    /// All lies.
    pub const ALL: [Self; 10] = [
        Self::CreateIsNotAtomic,
        Self::StaleUploads,
        Self::StaleChecks,
        Self::EndedUploadsComplete,
        Self::ConditionsIgnored,
        Self::GraceTooShort,
        Self::LateSeals,
        Self::UntrueSuccess,
        Self::StateIsNotAtomic,
        Self::OldUploads,
    ];
}

impl Options {
    /// Returns the behaviour of a server that breaks the assumption, where it is one about a single
    /// request.
    pub(super) fn lying(self, honest: Behaviour) -> Behaviour {
        let mut behaviour = honest;
        match self.lie {
            Some(Lie::CreateIsNotAtomic) => {
                behaviour.create_condition = CreateCondition::CheckedEarly;
            }
            Some(Lie::EndedUploadsComplete) => {
                behaviour.aborted_upload = AbortedUpload::Completable;
            }
            Some(Lie::ConditionsIgnored) => {
                behaviour.complete_condition = CompleteCondition::Ignored;
            }
            Some(Lie::UntrueSuccess) => {
                behaviour.complete_effect = CompleteEffect::AnsweredOnly;
            }
            _ => {}
        }
        behaviour
    }
}
