//! What a simulation may be told besides its seed.

/// What is simulated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// How late the server applies what it was sent.
    pub lateness: Lateness,
    /// An assumption that the server breaks; the auditor is expected to notice.
    pub lie: Option<Lie>,
    /// Whether the requests are told one by one.
    pub telling: Telling,
}

/// How late the server applies what it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lateness {
    /// As late as the settings allow for.
    #[default]
    Assumed,
    /// Hours later. A run may then be corrupt, but nobody is told "sealed" wrongly.
    Unbounded,
}

/// Whether the requests are told one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Telling {
    /// Only the end is.
    #[default]
    Silent,
    /// A line for everything that happens.
    Every,
}

/// An assumption that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Creating looks first and writes later.
    CreateIsNotAtomic,
    /// The listing of uploads is seconds old.
    StaleUploads,
    /// HEAD and LIST show an object only seconds after it appeared.
    StaleLooks,
    /// An upload that was ended can still be completed.
    EndedUploadsComplete,
    /// Conditions on Complete are ignored, and the settings say that they are enforced.
    ConditionsIgnored,
    /// The settings' grace is a second.
    GraceTooShort,
    /// Seals are applied hours later.
    LateSeals,
    /// The first success of a Complete is untrue: nothing appears.
    UntrueSuccess,
    /// The state is read, and written later.
    StateIsNotAtomic,
    /// The listing of uploads, and that of their parts, says that all of them are a day older.
    OldUploads,
}

impl Lie {
    /// Every lie.
    pub const ALL: [Self; 10] = [
        Self::CreateIsNotAtomic,
        Self::StaleUploads,
        Self::StaleLooks,
        Self::EndedUploadsComplete,
        Self::ConditionsIgnored,
        Self::GraceTooShort,
        Self::LateSeals,
        Self::UntrueSuccess,
        Self::StateIsNotAtomic,
        Self::OldUploads,
    ];
}
