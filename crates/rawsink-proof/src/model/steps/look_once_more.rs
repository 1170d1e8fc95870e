//! Step 5: nobody else has an upload open, and the payload is mine. HEAD comes after the list.

use crate::model::{
    variant::Variant,
    world::World,
    writer::{Company, Leftover, Opening, Reason, Seen, Stage, Step, Told},
};

impl World<'_> {
    /// Begins a look.
    pub(super) fn look_once_more(&mut self, w: u8, reason: Reason) {
        if self.configuration.variant == Variant::HeadBeforeUploadList
            && reason == Reason::BeforeSeal
        {
            self.go(w, Step::Head(reason, Company::Unasked));
        } else {
            self.go(w, Step::SendList(reason));
        }
    }

    /// The list of uploads is sent: from here a seal's deadline counts.
    pub(super) fn send_list(&mut self, w: u8, reason: Reason) {
        if reason != Reason::LateEvidence {
            self.look_sent(w);
        }
        self.go(w, Step::List(reason));
    }

    /// The list of uploads is answered.
    pub(super) fn look_listed(&mut self, w: u8, reason: Reason) {
        let writer = self.writer(w);
        let alone = self
            .state
            .listed()
            .into_iter()
            .all(|id| Some(id) == writer.upload || writer.ended.contains(id));
        let company = if alone { Company::Alone } else { Company::Others };
        if self.configuration.variant == Variant::HeadBeforeUploadList
            && reason == Reason::BeforeSeal
        {
            // HEAD was answered before, and showed the own payload.
            return self.decide(w, reason, Seen::Mine, company);
        }
        if self.configuration.variant == Variant::DeadlineFromAnswer
            && reason != Reason::LateEvidence
        {
            return self.go(w, Step::Listed(reason, company));
        }
        self.go(w, Step::Head(reason, company));
    }

    /// HEAD of the payload is answered.
    pub(super) fn look_headed(&mut self, w: u8, reason: Reason, company: Company) {
        let seen = self.look_at_payload(w);
        if company == Company::Unasked && seen == Seen::Mine {
            return self.go(w, Step::SendList(reason));
        }
        self.decide(w, reason, seen, company);
    }

    fn decide(&mut self, w: u8, reason: Reason, seen: Seen, company: Company) {
        let alone = company == Company::Alone;
        match (reason, seen) {
            (Reason::BeforeSeal | Reason::SealInDoubt, Seen::Mine) if alone => {
                self.send_seal(w, reason);
            }
            (Reason::LateEvidence, Seen::Mine) if alone => self.over(w, Told::Sealed),
            (Reason::LateEvidence, Seen::Absent | Seen::Leftover | Seen::Another(_)) => {
                self.over(w, Told::Corrupt);
            }
            (Reason::SealInDoubt | Reason::LateEvidence, _) => self.unknown(w),
            (Reason::BeforeSeal, Seen::Mine) if self.writer(w).stage == Stage::Single => {
                self.go_multipart_way(w);
            }
            (Reason::BeforeSeal, _) => self.fail(w, Told::Conflict),
        }
    }

    /// A payload that went by a single PUT and has company goes by multipart, with a new token.
    fn go_multipart_way(&mut self, w: u8) {
        let keeps_token = self.configuration.variant == Variant::WithoutNewToken;
        let writer = self.writer_mut(w);
        writer.leftover = Some(Leftover { tag: writer.token.tag_of_put(), own: true });
        if !keeps_token {
            writer.token = writer.token.new_one();
        }
        (writer.stage, writer.look) = (Stage::Rows, None);
        self.go(w, Step::CreateUpload(Opening::First));
    }
}
