//! The protocol with a planted bug, to show that the model finds it.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// No bug.
    None,
    /// The seal is sent right after the payload on every server.
    WithoutLastCheck,
    /// Step 5 sends HEAD before it lists the uploads.
    HeadBeforeUploadList,
    /// Step 3 does not wait.
    WithoutGrace,
    /// The grace counts from the begin of the attempt, not from the upload list or the last abort.
    GraceFromBegin,
    /// Step 2 aborts every other upload, also later ones.
    NewestDoesNotWin,
    /// An attempt that aborted another's upload also aborts its own when it fails.
    AbortsOwnUploadAlways,
    /// The multipart way of a small payload keeps the token.
    WithoutNewToken,
    /// The seal's deadline counts from the answer of the upload list, not from its sending.
    DeadlineFromAnswer,
    /// The seal is sent at any age of the check.
    WithoutDeadline,
    /// Late evidence counts without one more check.
    WithoutCheckAfterLateEvidence,
    /// 412 to the seal's PUT counts as another's seal.
    DecidesByStatus,
    /// An error after the seal was sent keeps its kind.
    ReportsDoubtAsFailure,
    /// An error after the seal was sent becomes `Corrupt`.
    ReportsDoubtAsCorrupt,
    /// 412 to the seal's PUT counts as the own seal.
    AnySealIsMine,
    /// A failed attempt leaves its upload.
    LeavesUpload,
    /// Step 2 yields to every other upload.
    YieldsToEveryUpload,
    /// An attempt aborts its upload although Complete was sent.
    AbortsUploadAfterComplete,
    /// A payload that appeared since the attempt began is replaced at once.
    TakesOverAtOnce,
    /// Step 4 completes without a check.
    WithoutCheckBeforeComplete,
    /// The settings say that the server enforces conditions on Complete, and it does not.
    WrongSetting,
}

impl Variant {
    /// All planted bugs.
    pub const BROKEN: [Self; 20] = [
        Self::WithoutLastCheck,
        Self::HeadBeforeUploadList,
        Self::WithoutGrace,
        Self::GraceFromBegin,
        Self::NewestDoesNotWin,
        Self::AbortsOwnUploadAlways,
        Self::WithoutNewToken,
        Self::DeadlineFromAnswer,
        Self::WithoutDeadline,
        Self::WithoutCheckAfterLateEvidence,
        Self::DecidesByStatus,
        Self::ReportsDoubtAsFailure,
        Self::ReportsDoubtAsCorrupt,
        Self::AnySealIsMine,
        Self::LeavesUpload,
        Self::YieldsToEveryUpload,
        Self::AbortsUploadAfterComplete,
        Self::TakesOverAtOnce,
        Self::WithoutCheckBeforeComplete,
        Self::WrongSetting,
    ];

    /// Returns the bug as in the table of variants.
    pub fn description(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::WithoutLastCheck => "step 5: no last check",
            Self::HeadBeforeUploadList => "step 5: HEAD before the upload list",
            Self::WithoutGrace => "step 3: no wait for the grace",
            Self::GraceFromBegin => "step 3: the grace counts from the start of the attempt",
            Self::NewestDoesNotWin => "step 2: a later upload is aborted too",
            Self::AbortsOwnUploadAlways => {
                "end: a writer that aborted another's upload aborts its own"
            }
            Self::WithoutNewToken => "step 5: the second attempt by multipart keeps the token",
            Self::DeadlineFromAnswer => "step 6: the deadline counts from the list's answer",
            Self::WithoutDeadline => "step 6: no deadline",
            Self::WithoutCheckAfterLateEvidence => "step 6: no check after late evidence",
            Self::DecidesByStatus => "step 6: 412 is taken as another writer's seal",
            Self::ReportsDoubtAsFailure => "step 6: a seal in doubt is reported as a failure",
            Self::ReportsDoubtAsCorrupt => "step 6: a seal in doubt is reported as corrupt",
            Self::AnySealIsMine => "step 6: 412 is taken as the writer's own seal",
            Self::LeavesUpload => "end: a failed writer leaves its upload",
            Self::YieldsToEveryUpload => "step 2: yields to every other upload",
            Self::AbortsUploadAfterComplete => "end: the upload is aborted after Complete was sent",
            Self::TakesOverAtOnce => "step 4: no grace for a payload that appeared meanwhile",
            Self::WithoutCheckBeforeComplete => "step 4: no check before Complete",
            Self::WrongSetting => "setting: conditions are configured as enforced, but ignored",
        }
    }
}
