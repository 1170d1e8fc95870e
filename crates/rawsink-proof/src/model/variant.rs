//! The protocol with a planted bug, to show that the model finds it.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// No bug.
    None,
    /// The seal is sent right after the payload on every server.
    WithoutLookOnceMore,
    /// Step 5 sends HEAD before it lists the uploads.
    HeadBeforeUploadList,
    /// Step 3 does not wait.
    WithoutGrace,
    /// The grace counts from the begin of the attempt, not from the upload list or the last abort.
    GraceFromBegin,
    /// Step 2 aborts every other upload, also later ones.
    NewestDoesNotWin,
    /// An attempt that aborted another's upload also aborts its own when it fails.
    EndsOwnUploadAlways,
    /// The multipart way of a small payload keeps the token.
    WithoutNewToken,
    /// The seal's deadline counts from the answer of the upload list, not from its sending.
    DeadlineFromAnswer,
    /// The seal is sent at any age of the look.
    WithoutDeadline,
    /// Late evidence counts without one more look.
    WithoutLookAfterLateEvidence,
    /// 412 to the seal's PUT counts as another's seal.
    DecidesByStatus,
    /// An error after the seal was sent keeps its kind.
    DoubtToldAsFailure,
    /// An error after the seal was sent becomes `Corrupt`.
    DoubtToldAsCorrupt,
    /// 412 to the seal's PUT counts as the own seal.
    AnySealIsMine,
    /// A failed attempt leaves its upload.
    LeavesUpload,
    /// Step 2 yields to every other upload.
    YieldsToEveryUpload,
    /// An attempt aborts its upload although Complete was sent.
    EndsUploadAfterComplete,
    /// A payload that appeared since the attempt began is replaced at once.
    TakesOverAtOnce,
    /// Step 4 completes without a look.
    WithoutLookBeforeComplete,
    /// The settings say that the server enforces conditions on Complete, and it does not.
    WrongSetting,
}

impl Variant {
    /// All planted bugs.
    pub const BROKEN: [Self; 20] = [
        Self::WithoutLookOnceMore,
        Self::HeadBeforeUploadList,
        Self::WithoutGrace,
        Self::GraceFromBegin,
        Self::NewestDoesNotWin,
        Self::EndsOwnUploadAlways,
        Self::WithoutNewToken,
        Self::DeadlineFromAnswer,
        Self::WithoutDeadline,
        Self::WithoutLookAfterLateEvidence,
        Self::DecidesByStatus,
        Self::DoubtToldAsFailure,
        Self::DoubtToldAsCorrupt,
        Self::AnySealIsMine,
        Self::LeavesUpload,
        Self::YieldsToEveryUpload,
        Self::EndsUploadAfterComplete,
        Self::TakesOverAtOnce,
        Self::WithoutLookBeforeComplete,
        Self::WrongSetting,
    ];

    /// Returns the bug as in the table of variants.
    pub fn description(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::WithoutLookOnceMore => "step 5: no look once more",
            Self::HeadBeforeUploadList => "step 5: HEAD before the upload list",
            Self::WithoutGrace => "step 3: the grace is not waited",
            Self::GraceFromBegin => "step 3: the grace counts from the begin",
            Self::NewestDoesNotWin => "step 2: a later upload is aborted too",
            Self::EndsOwnUploadAlways => "end: the own upload is aborted although another's was",
            Self::WithoutNewToken => "step 5: the multipart way keeps the token",
            Self::DeadlineFromAnswer => "step 6: the deadline counts from the list's answer",
            Self::WithoutDeadline => "step 6: no deadline",
            Self::WithoutLookAfterLateEvidence => "step 6: no look after late evidence",
            Self::DecidesByStatus => "step 6: 412 means another's seal",
            Self::DoubtToldAsFailure => "step 6: a seal in doubt is reported as a failure",
            Self::DoubtToldAsCorrupt => "step 6: a seal in doubt is reported as corrupt",
            Self::AnySealIsMine => "step 6: 412 means the own seal",
            Self::LeavesUpload => "end: a failed writer leaves its upload",
            Self::YieldsToEveryUpload => "step 2: yields to every other upload",
            Self::EndsUploadAfterComplete => {
                "end: the own upload is aborted after Complete was sent"
            }
            Self::TakesOverAtOnce => "step 4: no grace for a payload that appeared meanwhile",
            Self::WithoutLookBeforeComplete => "step 4: no look before Complete",
            Self::WrongSetting => "setting: conditions said to be enforced, and ignored",
        }
    }
}
