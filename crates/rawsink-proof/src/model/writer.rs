//! The state of one attempt: the fields of the code's `S3Attempt`, and its program counter.

use super::{
    ids::UploadSet,
    time::CheckAge,
    words::{SmallTag, Token},
};

/// The state of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelWriter {
    /// Its program counter.
    pub step: ProtocolStep,
    /// The way of its payload, unless others forces the multipart way.
    pub way: PayloadWay,
    /// The token of its requests.
    pub token: Token,
    /// The payload that it will replace.
    pub leftover: Option<ReplacedPayload>,
    /// Its own upload.
    pub upload: Option<u8>,
    /// Whether it aborted another's upload.
    pub ended_another: bool,
    /// Uploads that it aborted; kept only where they can be listed again.
    pub ended: UploadSet,
    /// How far its payload is, which decides what its end may abort.
    pub stage: PayloadProgress,
    /// Whether a payload request may still be applied.
    pub payload_in_doubt: bool,
    /// Whether a seal may still appear.
    pub seal_in_doubt: bool,
    /// The age of the check on which its seal relies.
    pub check: Option<CheckAge>,
}

impl ModelWriter {
    /// Returns an attempt that has not begun.
    pub const fn idle(number: u8) -> Self {
        Self {
            step: ProtocolStep::Idle,
            way: PayloadWay::Single,
            token: Token::first(number),
            leftover: None,
            upload: None,
            ended_another: false,
            ended: UploadSet::NONE,
            stage: PayloadProgress::Rows,
            payload_in_doubt: false,
            seal_in_doubt: false,
            check: None,
        }
    }

    /// Returns whether it is active.
    pub fn is_alive(&self) -> bool {
        !matches!(
            self.step,
            ProtocolStep::Idle | ProtocolStep::Sealed | ProtocolStep::Failed | ProtocolStep::Gone
        )
    }

    /// Ends it, and resets all fields without an effect.
    pub fn stop(&mut self, step: ProtocolStep) {
        let sealed = step == ProtocolStep::Sealed;
        let number = self.token.writer();
        let token = if sealed { self.token } else { Token::first(number) };
        *self = Self { step, token, ..Self::idle(number) };
    }
}

/// How a payload is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadWay {
    /// By one PUT, because it fits one part.
    Single,
    /// By a multipart upload.
    Multipart,
}

/// A payload that an attempt will replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplacedPayload {
    /// Its tag.
    pub tag: SmallTag,
    /// Whether this attempt created it.
    pub own: bool,
}

/// How far a payload is, which decides what the end of the attempt may abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadProgress {
    /// The attempt takes rows. Its upload may be open.
    Rows,
    /// The payload was sent by one PUT.
    Single,
    /// Complete was sent. The attempt never aborts this upload.
    CompleteSent,
}

/// The program counter of an attempt: the answer that it waits for, or its next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolStep {
    /// It has not begun.
    Idle,
    /// Step 1: lists the run.
    Begin,
    /// Takes rows. Next it sends the first part, or the whole payload.
    Rows,
    /// Step 2: creates an upload.
    CreateUpload(OpenTry),
    /// Step 2: lists the uploads of the key.
    ListUploads(OpenTry),
    /// Step 2: HEAD of the seal, before it aborts these uploads of others.
    CheckBeforeAbort(UploadSet),
    /// Step 2: aborts uploads: the rest of this round, and all of the round.
    AbortUploads(AbortTarget, UploadSet, UploadSet),
    /// Step 2: lists the uploads, to check that they are gone.
    ListAborted(AbortTarget, UploadSet),
    /// Step 2: lists the uploads before the second try.
    ListBefore,
    /// Sends its part.
    Part,
    /// Step 3, before this check.
    WaitForGrace(CheckMoment),
    /// Step 4: HEAD of the payload.
    CheckPayload(CheckMoment),
    /// Step 4: HEAD of the seal.
    CheckSeal(CheckMoment, PayloadSeen),
    /// Step 4: lists the uploads after a doubtful answer, to check whether its own was aborted.
    ListOwn,
    /// Step 4: about to send Complete.
    SendComplete,
    /// Step 4: PUT of the payload.
    Put,
    /// Step 4: Complete.
    Complete,
    /// Step 4: Complete is running.
    CompleteRuns,
    /// Step 5: about to list the uploads.
    SendList(CheckReason),
    /// Step 5: lists the uploads.
    List(CheckReason),
    /// Step 5 of a variant: the list was applied, and its answer is in flight.
    Listed(CheckReason, OtherUploads),
    /// Step 5: HEAD of the payload after the list.
    Head(CheckReason, OtherUploads),
    /// Step 6: PUT of the seal.
    Seal,
    /// Step 6: GET of the seal.
    ReadSeal,
    /// The end after a failure: aborts its own upload, then tells this result.
    End(WriterResult),
    /// It returned "sealed".
    Sealed,
    /// It returned a final error. The kind has no effect.
    Failed,
    /// It died, or returned a result that leaves its seal open.
    Gone,
}

/// The tries of step 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenTry {
    /// The first.
    First,
    /// The second. These uploads count as earlier, regardless of their times.
    Second(UploadSet),
}

/// Whose uploads an attempt aborts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbortTarget {
    /// Its own, before the second try.
    Own,
    /// Those of others, which it supersedes.
    Others,
}

/// The reason for a check in step 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckMoment {
    /// Before Complete is sent.
    BeforeComplete,
    /// After a doubtful answer to the payload request.
    InDoubt,
    /// Once more, a grace after another payload appeared.
    BeforeCompleteAgain,
    /// After an answer or a list without the upload.
    UploadGone,
}

/// What HEAD of the payload shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadSeen {
    /// Nothing.
    Absent,
    /// This attempt's payload.
    Mine,
    /// The payload that this attempt replaces.
    Leftover,
    /// Another one, by its tag.
    Another(SmallTag),
}

/// The reason for one more check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckReason {
    /// Step 5: before its seal is sent.
    BeforeSeal,
    /// Step 6: before a seal in doubt is sent again.
    SealInDoubt,
    /// Step 6: evidence came after the grace.
    LateEvidence,
}

/// The other uploads in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OtherUploads {
    /// None.
    Alone,
    /// At least one.
    Others,
    /// Unknown: the list was not requested yet.
    Unasked,
}

/// The result that an attempt tells its caller: sealed, or the kind of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriterResult {
    /// The partition is sealed, by this attempt.
    Sealed,
    /// Another attempt sealed it.
    AlreadySealed,
    /// Another attempt is or was active.
    Conflict,
    /// A request was refused.
    Denied,
    /// A request failed, or the caller gave up.
    Unavailable,
    /// The seal may exist or still appear.
    Unknown,
    /// The seal exists and covers another payload.
    Corrupt,
}

impl WriterResult {
    /// Returns the final step of an attempt with this result.
    pub fn leaves(self) -> ProtocolStep {
        match self {
            Self::Sealed => ProtocolStep::Sealed,
            Self::Unknown | Self::Corrupt => ProtocolStep::Gone,
            Self::AlreadySealed | Self::Conflict | Self::Denied | Self::Unavailable => {
                ProtocolStep::Failed
            }
        }
    }

    /// All results.
    pub const ALL: [Self; 7] = [
        Self::Sealed,
        Self::AlreadySealed,
        Self::Conflict,
        Self::Denied,
        Self::Unavailable,
        Self::Unknown,
        Self::Corrupt,
    ];
}
