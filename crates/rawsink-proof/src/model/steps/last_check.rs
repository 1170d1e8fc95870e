//! Step 5: no other upload is open, and the payload is the own one. HEAD follows the list.

use crate::model::{
    variant::Variant,
    world::NextState,
    writer::{
        CheckReason, OpenTry, OtherUploads, PayloadProgress, PayloadSeen, ProtocolStep,
        ReplacedPayload, WriterResult,
    },
};

impl NextState<'_> {
    /// Begins a check.
    pub(super) fn last_check(&mut self, w: u8, reason: CheckReason) {
        if self.configuration.variant == Variant::HeadBeforeUploadList
            && reason == CheckReason::BeforeSeal
        {
            self.go(w, ProtocolStep::Head(reason, OtherUploads::Unasked));
        } else {
            self.go(w, ProtocolStep::SendList(reason));
        }
    }

    /// Sends the list of uploads. The deadline of the seal counts from here.
    pub(super) fn send_list(&mut self, w: u8, reason: CheckReason) {
        if reason != CheckReason::LateEvidence {
            self.check_sent(w);
        }
        self.go(w, ProtocolStep::List(reason));
    }

    /// Handles the answer to the list of uploads.
    pub(super) fn check_listed(&mut self, w: u8, reason: CheckReason) {
        let writer = self.writer(w);
        let alone = self
            .state
            .listed()
            .into_iter()
            .all(|id| Some(id) == writer.upload || writer.ended.contains(id));
        let others = if alone { OtherUploads::Alone } else { OtherUploads::Others };
        if self.configuration.variant == Variant::HeadBeforeUploadList
            && reason == CheckReason::BeforeSeal
        {
            // HEAD came first and showed the own payload.
            return self.decide(w, reason, PayloadSeen::Mine, others);
        }
        if self.configuration.variant == Variant::DeadlineFromAnswer
            && reason != CheckReason::LateEvidence
        {
            return self.go(w, ProtocolStep::Listed(reason, others));
        }
        self.go(w, ProtocolStep::Head(reason, others));
    }

    /// Handles the answer to HEAD of the payload.
    pub(super) fn check_headed(&mut self, w: u8, reason: CheckReason, others: OtherUploads) {
        let seen = self.check_payload(w);
        if others == OtherUploads::Unasked && seen == PayloadSeen::Mine {
            return self.go(w, ProtocolStep::SendList(reason));
        }
        self.decide(w, reason, seen, others);
    }

    fn decide(&mut self, w: u8, reason: CheckReason, seen: PayloadSeen, others: OtherUploads) {
        let alone = others == OtherUploads::Alone;
        match (reason, seen) {
            (CheckReason::BeforeSeal | CheckReason::SealInDoubt, PayloadSeen::Mine) if alone => {
                self.send_seal(w, reason);
            }
            (CheckReason::LateEvidence, PayloadSeen::Mine) if alone => {
                self.over(w, WriterResult::Sealed);
            }
            (
                CheckReason::LateEvidence,
                PayloadSeen::Absent | PayloadSeen::Leftover | PayloadSeen::Another(_),
            ) => {
                self.over(w, WriterResult::Corrupt);
            }
            (CheckReason::SealInDoubt | CheckReason::LateEvidence, _) => self.unknown(w),
            (CheckReason::BeforeSeal, PayloadSeen::Mine)
                if self.writer(w).stage == PayloadProgress::Single =>
            {
                self.go_multipart_way(w);
            }
            (CheckReason::BeforeSeal, _) => self.fail(w, WriterResult::Conflict),
        }
    }

    /// Sends a payload again by multipart with a new token, because its single PUT has others.
    fn go_multipart_way(&mut self, w: u8) {
        let keeps_token = self.configuration.variant == Variant::WithoutNewToken;
        let writer = self.writer_mut(w);
        writer.leftover = Some(ReplacedPayload { tag: writer.token.tag_of_put(), own: true });
        if !keeps_token {
            writer.token = writer.token.new_one();
        }
        (writer.stage, writer.check) = (PayloadProgress::Rows, None);
        self.go(w, ProtocolStep::CreateUpload(OpenTry::First));
    }
}
