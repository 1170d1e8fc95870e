//! Step 6: the seal appears, or the attempt reports truthfully that it may not.

use crate::model::{
    network::ServerAnswer,
    time::ClockReading,
    variant::Variant,
    words::{ObjectName, token_of},
    world::NextState,
    writer::{LookReason, ProtocolStep, WriterResult},
};

impl NextState<'_> {
    /// `until_sealed`: sends the seal while the look is young, otherwise looks again.
    pub(in crate::model) fn send_seal(&mut self, w: u8, reason: LookReason) {
        let young = match self.configuration.variant {
            Variant::WithoutDeadline => self.writer(w).look.is_some(),
            _ => self.is_in_time(w),
        };
        if young {
            self.go(w, ProtocolStep::Seal);
        } else {
            self.look_once_more(w, reason);
        }
    }

    /// Handles the answer to the seal's PUT.
    pub(super) fn seal(&mut self, w: u8) {
        let answer = self.apply(self.writer(w).request().expect("it was sent"));
        if answer == ServerAnswer::Created {
            return self.evidence(w);
        }
        match self.configuration.variant {
            Variant::DecidesByStatus => self.over(w, WriterResult::AlreadySealed),
            Variant::AnySealIsMine => self.over(w, WriterResult::Sealed),
            _ => self.doubt_seal(w),
        }
    }

    /// Reads the seal, which may or may not appear.
    pub(in crate::model) fn doubt_seal(&mut self, w: u8) {
        self.writer_mut(w).seal_in_doubt = true;
        self.go(w, ProtocolStep::ReadSeal);
    }

    /// `look_at_seal`: handles the answer to GET of the seal.
    pub(super) fn look_at_seal(&mut self, w: u8) {
        let found = self.state.bucket.objects.get(&ObjectName::Seal).map(token_of);
        match found {
            Some(token) if token == self.writer(w).token => self.evidence(w),
            Some(_) => self.over(w, WriterResult::AlreadySealed),
            None => self.send_seal(w, LookReason::SealInDoubt),
        }
    }

    /// `evidence`: accepts the own seal within the grace; later it looks once more.
    fn evidence(&mut self, w: u8) {
        let skips = self.configuration.variant == Variant::WithoutLookAfterLateEvidence;
        if skips || self.is_in_time(w) {
            self.over(w, WriterResult::Sealed);
        } else {
            self.look_once_more(w, LookReason::LateEvidence);
        }
    }

    /// Looks again, because the deadline passed before the seal was sent.
    pub(in crate::model) fn too_late_to_seal(&mut self, w: u8) {
        self.clock = ClockReading::Late;
        let in_doubt = self.writer(w).seal_in_doubt;
        let reason = if in_doubt { LookReason::SealInDoubt } else { LookReason::BeforeSeal };
        self.look_once_more(w, reason);
    }
}
