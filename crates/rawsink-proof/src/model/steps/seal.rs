//! Step 6: the seal appears, or the attempt reports truthfully that it may not.

use crate::model::{
    network::ServerAnswer,
    time::ClockReading,
    variant::Variant,
    words::{ObjectName, token_of},
    world::NextState,
    writer::{CheckReason, ProtocolStep, WriterResult},
};

impl NextState<'_> {
    /// `until_sealed`: sends the seal while the check is young, otherwise checks again.
    pub(in crate::model) fn send_seal(&mut self, w: u8, reason: CheckReason) {
        let young = match self.configuration.variant {
            Variant::WithoutDeadline => self.writer(w).check.is_some(),
            _ => self.is_in_time(w),
        };
        if young {
            self.go(w, ProtocolStep::Seal);
        } else {
            self.last_check(w, reason);
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

    /// `check_seal`: handles the answer to GET of the seal.
    pub(super) fn check_seal(&mut self, w: u8) {
        let found = self.state.bucket.objects.get(&ObjectName::Seal).map(token_of);
        match found {
            Some(token) if token == self.writer(w).token => self.evidence(w),
            Some(_) => self.over(w, WriterResult::AlreadySealed),
            None => self.send_seal(w, CheckReason::SealInDoubt),
        }
    }

    /// `evidence`: accepts the own seal within the grace; later it checks once more.
    fn evidence(&mut self, w: u8) {
        let skips = self.configuration.variant == Variant::WithoutCheckAfterLateEvidence;
        if skips || self.is_in_time(w) {
            self.over(w, WriterResult::Sealed);
        } else {
            self.last_check(w, CheckReason::LateEvidence);
        }
    }

    /// Checks again, because the deadline passed before the seal was sent.
    pub(in crate::model) fn too_late_to_seal(&mut self, w: u8) {
        self.clock = ClockReading::Late;
        let in_doubt = self.writer(w).seal_in_doubt;
        let reason = if in_doubt { CheckReason::SealInDoubt } else { CheckReason::BeforeSeal };
        self.last_check(w, reason);
    }
}
