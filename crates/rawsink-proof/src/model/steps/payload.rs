//! Step 4: the payload appears as a whole, by one PUT or by Complete.

use fake_s3::{CompleteStart, ErrorCode};

use crate::model::{
    configuration::OnLeftover,
    network::{PARTS, Phase, ServerAnswer},
    time::WaitMarks,
    variant::Variant,
    words::{ObjectName, SmallTag, tag_of},
    world::NextState,
    writer::{
        CheckMoment, CheckReason, PayloadProgress, PayloadSeen, ProtocolStep, ReplacedPayload,
        WriterResult,
    },
};

impl NextState<'_> {
    /// `put`: handles the answer to the payload's PUT.
    pub(super) fn put(&mut self, w: u8) {
        let answer = self.apply(self.writer(w).request().expect("it was sent"));
        self.judge(w, answer);
    }

    /// `complete`: handles the answer to Complete, or its begin where it takes time.
    pub(super) fn complete(&mut self, w: u8) {
        let sent = self.writer(w).request().expect("it was sent");
        if !self.configuration.completes_slowly() {
            let answer = self.apply(sent);
            return self.judge(w, answer);
        }
        let id = self.writer(w).upload.expect("it has one").into();
        let condition = self.writer(w).complete_condition();
        let start = self.state.bucket.begin_complete(id, PARTS.to_vec(), condition);
        if let CompleteStart::Answered(answer) = start {
            return self.judge(w, ServerAnswer::to_complete(answer));
        }
        self.state.network.add(sent, Phase::Runs, WaitMarks::default());
        self.go(w, ProtocolStep::CompleteRuns);
    }

    /// `judge`: decides by a clear answer, otherwise by a check.
    pub(in crate::model) fn judge(&mut self, w: u8, answer: ServerAnswer) {
        match answer {
            ServerAnswer::Created | ServerAnswer::Completed(Some(_)) => {
                return self.payload_there(w);
            }
            ServerAnswer::Completed(None) | ServerAnswer::Refused(ErrorCode::InProgress) => {
                self.writer_mut(w).payload_in_doubt = true;
            }
            _ => {}
        }
        let gone = answer.is_no_such_upload();
        let when = if gone { CheckMoment::UploadGone } else { CheckMoment::InDoubt };
        self.go(w, ProtocolStep::CheckPayload(when));
    }

    /// HEAD of the payload. A multipart way without a new token recognises its first payload by the
    /// tag.
    pub(super) fn checked_payload(&self, w: u8, when: CheckMoment) -> PayloadSeen {
        let there = tag_of(&self.state.bucket, ObjectName::Payload);
        let own = self.writer(w).leftover.filter(|leftover| leftover.own);
        let is_first = own.is_some_and(|own| there == Some(own.tag));
        if is_first
            && matches!(when, CheckMoment::BeforeComplete | CheckMoment::BeforeCompleteAgain)
        {
            return PayloadSeen::Leftover;
        }
        self.check_payload(w)
    }

    /// `check`: decides by HEAD of the payload and of the seal.
    pub(super) fn checked(&mut self, w: u8, when: CheckMoment, seen: PayloadSeen) {
        if self.state.is_sealed() {
            return self.fail(w, WriterResult::AlreadySealed);
        }
        match (when, seen) {
            (
                CheckMoment::BeforeComplete | CheckMoment::BeforeCompleteAgain,
                PayloadSeen::Absent | PayloadSeen::Leftover,
            ) => {
                self.go(w, ProtocolStep::SendComplete);
            }
            (CheckMoment::BeforeComplete, PayloadSeen::Another(tag))
                if self.configuration.leftovers == OnLeftover::Replaced =>
            {
                self.take_over(w, tag);
            }
            (CheckMoment::InDoubt | CheckMoment::UploadGone, PayloadSeen::Mine) => {
                self.payload_there(w);
            }
            (CheckMoment::InDoubt, PayloadSeen::Absent | PayloadSeen::Leftover) => {
                let single = self.writer(w).stage == PayloadProgress::Single;
                self.go(w, if single { ProtocolStep::Put } else { ProtocolStep::ListOwn });
            }
            _ => self.fail(w, WriterResult::Conflict),
        }
    }

    /// `complete`: treats a payload that appeared since the attempt began as a leftover, with its own
    /// grace.
    fn take_over(&mut self, w: u8, tag: SmallTag) {
        self.writer_mut(w).leftover = Some(ReplacedPayload { tag, own: false });
        if self.configuration.variant == Variant::TakesOverAtOnce {
            return self.go(w, ProtocolStep::CheckPayload(CheckMoment::BeforeCompleteAgain));
        }
        self.grace_begins(w);
        self.wait_for_grace(w, CheckMoment::BeforeCompleteAgain);
    }

    /// `send_again_or_yield`: sends Complete again only if the own upload is still listed.
    pub(super) fn own_listed(&mut self, w: u8) {
        let own = self.writer(w).upload.expect("it completes it");
        let listed = self.state.listed().contains(&own);
        let gone = ProtocolStep::CheckPayload(CheckMoment::UploadGone);
        self.go(w, if listed { ProtocolStep::Complete } else { gone });
    }

    /// Sends Complete. From now on the attempt never aborts this upload.
    pub(super) fn send_complete(&mut self, w: u8) {
        self.writer_mut(w).stage = PayloadProgress::CompleteSent;
        self.payload_sent(w);
        self.go(w, ProtocolStep::Complete);
    }

    /// Sends the payload request for the first time. Without step 5, the deadline of the seal counts from
    /// here.
    pub(super) fn payload_sent(&mut self, w: u8) {
        if self.may_skip_check(w) {
            self.check_sent(w);
        }
    }

    /// The own payload exists: continues with the seal, by step 5 where that is needed.
    fn payload_there(&mut self, w: u8) {
        self.writer_mut(w).payload_in_doubt = false;
        if self.configuration.variant == Variant::WithoutLastCheck {
            self.check_sent(w);
        }
        self.send_seal(w, CheckReason::BeforeSeal);
    }

    /// `may_skip_check`: returns whether the server refuses a second payload and this attempt replaces none.
    fn may_skip_check(&self, w: u8) -> bool {
        self.configuration.knows_enforced() && self.writer(w).leftover.is_none()
    }
}
