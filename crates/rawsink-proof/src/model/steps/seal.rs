//! Step 6: the seal appears, or what became of it is said honestly.

use crate::{
    model::{
        time::Clock,
        variant::Variant,
        words::Name,
        world::World,
        writer::{Reason, Step, Told},
    },
    server::Reply,
};

impl World<'_> {
    /// `until_sealed`: sends the seal while the look is young, else looks again.
    pub(in crate::model) fn send_seal(&mut self, w: u8, reason: Reason) {
        let young = match self.configuration.variant {
            Variant::WithoutDeadline => self.writer(w).look.is_some(),
            _ => self.is_in_time(w),
        };
        if young {
            self.go(w, Step::Seal);
        } else {
            self.look_once_more(w, reason);
        }
    }

    /// The seal's PUT is answered.
    pub(super) fn seal(&mut self, w: u8) {
        let reply = self.apply(self.writer(w).request().expect("it was sent"));
        if matches!(reply, Reply::Created(_)) {
            return self.evidence(w);
        }
        match self.configuration.variant {
            Variant::DecidesByStatus => self.over(w, Told::AlreadySealed),
            Variant::AnySealIsMine => self.over(w, Told::Sealed),
            _ => self.doubt_seal(w),
        }
    }

    /// The seal may appear or not: looks at it.
    pub(in crate::model) fn doubt_seal(&mut self, w: u8) {
        self.writer_mut(w).seal_in_doubt = true;
        self.go(w, Step::ReadSeal);
    }

    /// `look_at_seal`: GET of the seal is answered.
    pub(super) fn look_at_seal(&mut self, w: u8) {
        let found = self.state.bucket.objects.get(&Name::Seal).map(|stored| stored.token);
        match found {
            Some(token) if token == self.writer(w).token => self.evidence(w),
            Some(_) => self.over(w, Told::AlreadySealed),
            None => self.send_seal(w, Reason::SealInDoubt),
        }
    }

    /// `evidence`: within the grace that settles it; later it takes one more look.
    fn evidence(&mut self, w: u8) {
        let skips = self.configuration.variant == Variant::WithoutLookAfterLateEvidence;
        if skips || self.is_in_time(w) {
            self.over(w, Told::Sealed);
        } else {
            self.look_once_more(w, Reason::LateEvidence);
        }
    }

    /// The deadline passed before the seal was sent: looks again.
    pub(in crate::model) fn too_late_to_seal(&mut self, w: u8) {
        self.clock = Clock::Late;
        let in_doubt = self.writer(w).seal_in_doubt;
        let reason = if in_doubt { Reason::SealInDoubt } else { Reason::BeforeSeal };
        self.look_once_more(w, reason);
    }
}
