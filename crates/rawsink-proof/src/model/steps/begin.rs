//! Step 1, and the way to the first request of the payload.

use crate::model::{
    configuration::Leftovers,
    variant::Variant,
    words::{Name, tag_of},
    world::World,
    writer::{Leftover, Opening, Stage, Step, Told, Way},
};

impl World<'_> {
    /// Step 1: lists the run; refuses a sealed one, and a leftover where the policy says so.
    pub(super) fn begin(&mut self, w: u8) {
        if self.configuration.variant == Variant::GraceFromBegin {
            self.quiet_since(w);
        }
        if self.state.is_sealed() {
            return self.over(w, Told::AlreadySealed);
        }
        let Some(tag) = tag_of(&self.state.bucket, Name::Payload) else {
            return self.go(w, Step::Rows);
        };
        if self.configuration.leftovers == Leftovers::Refused {
            return self.over(w, Told::Conflict);
        }
        self.writer_mut(w).leftover = Some(Leftover { tag, own: false });
        self.go(w, Step::CreateUpload(Opening::First));
    }

    /// Sends the whole payload, or opens the upload for its first part.
    pub(super) fn send_first(&mut self, w: u8) {
        match self.writer(w).way {
            Way::Multipart => self.go(w, Step::CreateUpload(Opening::First)),
            Way::Single => {
                self.writer_mut(w).stage = Stage::Single;
                self.payload_sent(w);
                self.go(w, Step::Put);
            }
        }
    }
}
