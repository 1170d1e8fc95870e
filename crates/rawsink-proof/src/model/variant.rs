//! The protocol with one step left out or done wrongly: a check that cannot fail is worth nothing.

/// What is left out or done wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Nothing: the protocol as it is.
    None,
    /// The seal is sent right after the payload, whatever the store is like.
    WithoutLookOnceMore,
    /// Step 5 asks HEAD before it lists the uploads.
    HeadBeforeUploadList,
    /// Step 3 waits for nobody.
    WithoutGrace,
    /// The grace counts from the attempt's begin, not from the upload list or the last abort.
    GraceFromBegin,
    /// Step 2 ends every other upload, also later ones.
    NewestDoesNotWin,
    /// An attempt that ended another's upload ends its own too when it fails.
    EndsOwnUploadAlways,
    /// The multipart way of a small payload keeps the token.
    WithoutNewToken,
    /// The seal's deadline counts from the answer of the upload list, not from its sending.
    DeadlineFromAnswer,
    /// The seal is sent however old the look is.
    WithoutDeadline,
    /// Late evidence is taken for a seal without one more look.
    WithoutLookAfterLateEvidence,
    /// 412 of the seal's PUT is taken for another's seal.
    DecidesByStatus,
    /// An error after the seal was sent is told by its own kind.
    DoubtToldAsFailure,
    /// An error after the seal was sent is told as `Corrupt`.
    DoubtToldAsCorrupt,
    /// 412 of the seal's PUT is taken for the own seal.
    AnySealIsMine,
    /// An attempt that failed leaves its upload.
    LeavesUpload,
    /// Step 2 yields to every other upload.
    YieldsToEveryUpload,
    /// An attempt ends its upload although Complete was sent.
    EndsUploadAfterComplete,
    /// A payload that appeared since the attempt began is replaced at once.
    TakesOverAtOnce,
    /// Step 4 completes without a look.
    WithoutLookBeforeComplete,
    /// The setting says that conditions on Complete are enforced, and they are not.
    WrongSetting,
}

impl Variant {
    /// Every broken one.
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

    /// Returns what is left out, as a row of a table says it.
    pub fn description(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::WithoutLookOnceMore => "step 5: no look once more",
            Self::HeadBeforeUploadList => "step 5: HEAD before the upload list",
            Self::WithoutGrace => "step 3: the grace is not waited",
            Self::GraceFromBegin => "step 3: the grace counts from the begin",
            Self::NewestDoesNotWin => "step 2: a later upload is ended too",
            Self::EndsOwnUploadAlways => "end: the own upload is ended although another's was",
            Self::WithoutNewToken => "step 5: the multipart way keeps the token",
            Self::DeadlineFromAnswer => "step 6: the deadline counts from the list's answer",
            Self::WithoutDeadline => "step 6: no deadline",
            Self::WithoutLookAfterLateEvidence => "step 6: no look after late evidence",
            Self::DecidesByStatus => "step 6: 412 means another's seal",
            Self::DoubtToldAsFailure => "step 6: a seal in doubt is told as a failure",
            Self::DoubtToldAsCorrupt => "step 6: a seal in doubt is told as corrupt",
            Self::AnySealIsMine => "step 6: 412 means the own seal",
            Self::LeavesUpload => "end: a failed writer leaves its upload",
            Self::YieldsToEveryUpload => "step 2: yields to every other upload",
            Self::EndsUploadAfterComplete => "end: the own upload is ended after Complete was sent",
            Self::TakesOverAtOnce => "step 4: no grace for a payload that appeared meanwhile",
            Self::WithoutLookBeforeComplete => "step 4: no look before Complete",
            Self::WrongSetting => "setting: conditions said to be enforced, and ignored",
        }
    }
}
