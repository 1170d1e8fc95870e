//! What one attempt knows and where it stands: the fields of the code's `Attempt`, and its program
//! counter.

use super::{
    ids::Ids,
    time::Look,
    words::{Tag, Token},
};

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Where it stands.
    pub step: Step,
    /// How its payload goes, unless something makes it go by multipart.
    pub way: Way,
    /// The token of its requests.
    pub token: Token,
    /// The payload that it is going to replace.
    pub leftover: Option<Leftover>,
    /// Its own upload.
    pub upload: Option<u8>,
    /// Whether it ended somebody's upload.
    pub ended_another: bool,
    /// Uploads that it saw ended; kept only where they can be listed again.
    pub ended: Ids,
    /// What its end may touch.
    pub stage: Stage,
    /// Whether a payload request may still be applied.
    pub payload_in_doubt: bool,
    /// Whether a seal may still appear.
    pub seal_in_doubt: bool,
    /// What its seal rests on, and how old that is.
    pub look: Option<Look>,
}

impl Writer {
    /// An attempt that has not begun.
    pub const fn idle(number: u8) -> Self {
        Self {
            step: Step::Idle,
            way: Way::Single,
            token: Token::first(number),
            leftover: None,
            upload: None,
            ended_another: false,
            ended: Ids::NONE,
            stage: Stage::Rows,
            payload_in_doubt: false,
            seal_in_doubt: false,
            look: None,
        }
    }

    /// Tells whether it is at work.
    pub fn is_alive(&self) -> bool {
        !matches!(self.step, Step::Idle | Step::Sealed | Step::Failed | Step::Gone)
    }

    /// Ends, and forgets everything that nothing depends on any more.
    pub fn stop(&mut self, step: Step) {
        let sealed = step == Step::Sealed;
        let number = self.token.writer();
        let token = if sealed { self.token } else { Token::first(number) };
        *self = Self { step, token, ..Self::idle(number) };
    }
}

/// How a payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// It fits one part: one PUT.
    Single,
    /// It does not.
    Multipart,
}

/// A payload that is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leftover {
    /// The server's tag of it.
    pub tag: Tag,
    /// Whether this attempt made it.
    pub own: bool,
}

/// How far an attempt has come, which decides what its end may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Rows are taken; an upload may be open.
    Rows,
    /// The payload went by a single PUT.
    Single,
    /// Complete was sent: this upload is never ended any more.
    CompleteSent,
}

/// Where an attempt stands: which answer it waits for, or what it does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// It has not begun.
    Idle,
    /// Step 1: lists the run.
    Begin,
    /// Rows come; the first part, or the whole payload, is sent next.
    Rows,
    /// Step 2: creates an upload.
    CreateUpload(Opening),
    /// Step 2: lists the uploads of the key.
    ListUploads(Opening),
    /// Step 2: HEAD of the seal, before these uploads of others are ended.
    LookBeforeEnding(Ids),
    /// Step 2: ends uploads: those still to do in this round, and all of the round.
    EndUploads(Ending, Ids, Ids),
    /// Step 2: lists the uploads, to see them ended.
    ListEnded(Ending, Ids),
    /// Step 2: lists what is there before the second try.
    ListBefore,
    /// Sends its part.
    Part,
    /// Step 3, before this look.
    WaitForGrace(When),
    /// Step 4: HEAD of the payload.
    LookAtPayload(When),
    /// Step 4: HEAD of the seal.
    LookAtSeal(When, Seen),
    /// Step 4: lists the uploads after a doubtful answer, to see whether its own was ended.
    ListOwn,
    /// Step 4: about to send Complete.
    SendComplete,
    /// Step 4: PUT of the payload.
    Put,
    /// Step 4: Complete.
    Complete,
    /// Step 4: Complete runs.
    CompleteRuns,
    /// Step 5: about to list the uploads.
    SendList(Reason),
    /// Step 5: lists the uploads.
    List(Reason),
    /// A variant's step 5: the list was applied, and its answer is on its way.
    Listed(Reason, Company),
    /// Step 5: HEAD of the payload, after a list that showed company or not.
    Head(Reason, Company),
    /// Step 6: PUT of the seal.
    Seal,
    /// Step 6: GET of the seal.
    ReadSeal,
    /// Its end after a failure: ends its own upload, then tells this.
    End(Told),
    /// It told its caller "sealed".
    Sealed,
    /// It told a final error; which one makes no difference to what comes.
    Failed,
    /// It died, or told what says nothing about its seal.
    Gone,
}

/// The tries of step 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opening {
    /// The first.
    First,
    /// The second; these uploads count as earlier, whatever their time says.
    Second(Ids),
}

/// Whose uploads are ended, and so what comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its own, to try once more.
    Own,
    /// Those of others, who are superseded.
    Others,
}

/// When a look is taken in step 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Before Complete is sent.
    BeforeComplete,
    /// After a doubtful answer to the payload request.
    InDoubt,
    /// Once more, a grace after another payload had appeared.
    BeforeCompleteAgain,
    /// After an answer, or a list, that shows that the upload is gone.
    UploadGone,
}

/// What a look at the payload shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Nothing.
    Absent,
    /// This attempt's payload.
    Mine,
    /// What this attempt replaces.
    Leftover,
    /// Another one, by its tag.
    Another(Tag),
}

/// Why an attempt looks once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Step 5: before its seal is sent.
    BeforeSeal,
    /// Step 6: before a seal in doubt is sent again.
    SealInDoubt,
    /// Step 6: evidence came after the grace.
    LateEvidence,
}

/// What a list of uploads showed beside the own one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Company {
    /// Nothing.
    Alone,
    /// Another's upload.
    Others,
    /// It was not asked for yet.
    Unasked,
}

/// What an attempt tells its caller: sealed, or the kind of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// The partition is sealed, by this attempt.
    Sealed,
    /// Another attempt sealed it.
    AlreadySealed,
    /// Another attempt is or was at work.
    Conflict,
    /// A request was refused.
    Denied,
    /// Something failed, or the caller gave up.
    Unavailable,
    /// The seal may be there or still appear.
    Unknown,
    /// The seal is there and covers another payload.
    Corrupt,
}

impl Told {
    /// Returns what is left of an attempt that told this.
    pub fn leaves(self) -> Step {
        match self {
            Self::Sealed => Step::Sealed,
            Self::Unknown | Self::Corrupt => Step::Gone,
            Self::AlreadySealed | Self::Conflict | Self::Denied | Self::Unavailable => Step::Failed,
        }
    }

    /// Every one.
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
