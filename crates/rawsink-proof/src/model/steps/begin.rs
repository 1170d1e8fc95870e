//! Step 1, up to the first request of the payload.

use crate::model::{
    configuration::OnLeftover,
    variant::Variant,
    words::{ObjectName, tag_of},
    world::NextState,
    writer::{OpenTry, PayloadProgress, PayloadWay, ProtocolStep, ReplacedPayload, WriterResult},
};

impl NextState<'_> {
    /// Step 1: lists the run. Fails for a sealed run, and for a leftover where the policy says so.
    pub(super) fn begin(&mut self, w: u8) {
        if self.configuration.variant == Variant::GraceFromBegin {
            self.quiet_since(w);
        }
        if self.state.is_sealed() {
            return self.over(w, WriterResult::AlreadySealed);
        }
        let Some(tag) = tag_of(&self.state.bucket, ObjectName::Payload) else {
            return self.go(w, ProtocolStep::Rows);
        };
        if self.configuration.leftovers == OnLeftover::Refused {
            return self.over(w, WriterResult::Conflict);
        }
        self.writer_mut(w).leftover = Some(ReplacedPayload { tag, own: false });
        self.go(w, ProtocolStep::CreateUpload(OpenTry::First));
    }

    /// Sends the whole payload, or opens the upload for its first part.
    pub(super) fn send_first(&mut self, w: u8) {
        match self.writer(w).way {
            PayloadWay::Multipart => self.go(w, ProtocolStep::CreateUpload(OpenTry::First)),
            PayloadWay::Single => {
                self.writer_mut(w).stage = PayloadProgress::Single;
                self.payload_sent(w);
                self.go(w, ProtocolStep::Put);
            }
        }
    }
}
