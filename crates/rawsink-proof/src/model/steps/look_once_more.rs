//! Step 5: no other upload is open, and the payload is the own one. HEAD follows the list.

use crate::model::{
    variant::Variant,
    world::NextState,
    writer::{
        LookReason, OpenTry, OtherUploads, PayloadProgress, PayloadSeen, ProtocolStep,
        ReplacedPayload, WriterResult,
    },
};

impl NextState<'_> {
    /// Begins a look.
    pub(super) fn look_once_more(&mut self, w: u8, reason: LookReason) {
        if self.configuration.variant == Variant::HeadBeforeUploadList
            && reason == LookReason::BeforeSeal
        {
            self.go(w, ProtocolStep::Head(reason, OtherUploads::Unasked));
        } else {
            self.go(w, ProtocolStep::SendList(reason));
        }
    }

    /// Sends the list of uploads. The deadline of the seal counts from here.
    pub(super) fn send_list(&mut self, w: u8, reason: LookReason) {
        if reason != LookReason::LateEvidence {
            self.look_sent(w);
        }
        self.go(w, ProtocolStep::List(reason));
    }

    /// Handles the answer to the list of uploads.
    pub(super) fn look_listed(&mut self, w: u8, reason: LookReason) {
        let writer = self.writer(w);
        let alone = self
            .state
            .listed()
            .into_iter()
            .all(|id| Some(id) == writer.upload || writer.ended.contains(id));
        let company = if alone { OtherUploads::Alone } else { OtherUploads::Others };
        if self.configuration.variant == Variant::HeadBeforeUploadList
            && reason == LookReason::BeforeSeal
        {
            // HEAD came first and showed the own payload.
            return self.decide(w, reason, PayloadSeen::Mine, company);
        }
        if self.configuration.variant == Variant::DeadlineFromAnswer
            && reason != LookReason::LateEvidence
        {
            return self.go(w, ProtocolStep::Listed(reason, company));
        }
        self.go(w, ProtocolStep::Head(reason, company));
    }

    /// Handles the answer to HEAD of the payload.
    pub(super) fn look_headed(&mut self, w: u8, reason: LookReason, company: OtherUploads) {
        let seen = self.look_at_payload(w);
        if company == OtherUploads::Unasked && seen == PayloadSeen::Mine {
            return self.go(w, ProtocolStep::SendList(reason));
        }
        self.decide(w, reason, seen, company);
    }

    fn decide(&mut self, w: u8, reason: LookReason, seen: PayloadSeen, company: OtherUploads) {
        let alone = company == OtherUploads::Alone;
        match (reason, seen) {
            (LookReason::BeforeSeal | LookReason::SealInDoubt, PayloadSeen::Mine) if alone => {
                self.send_seal(w, reason);
            }
            (LookReason::LateEvidence, PayloadSeen::Mine) if alone => {
                self.over(w, WriterResult::Sealed);
            }
            (
                LookReason::LateEvidence,
                PayloadSeen::Absent | PayloadSeen::Leftover | PayloadSeen::Another(_),
            ) => {
                self.over(w, WriterResult::Corrupt);
            }
            (LookReason::SealInDoubt | LookReason::LateEvidence, _) => self.unknown(w),
            (LookReason::BeforeSeal, PayloadSeen::Mine)
                if self.writer(w).stage == PayloadProgress::Single =>
            {
                self.go_multipart_way(w);
            }
            (LookReason::BeforeSeal, _) => self.fail(w, WriterResult::Conflict),
        }
    }

    /// Sends a payload again by multipart with a new token, because its single PUT has company.
    fn go_multipart_way(&mut self, w: u8) {
        let keeps_token = self.configuration.variant == Variant::WithoutNewToken;
        let writer = self.writer_mut(w);
        writer.leftover = Some(ReplacedPayload { tag: writer.token.tag_of_put(), own: true });
        if !keeps_token {
            writer.token = writer.token.new_one();
        }
        (writer.stage, writer.look) = (PayloadProgress::Rows, None);
        self.go(w, ProtocolStep::CreateUpload(OpenTry::First));
    }
}
