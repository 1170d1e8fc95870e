//! The end of an attempt that failed, and what goes wrong with its requests.

use crate::model::{
    network::Sent,
    variant::Variant,
    world::World,
    writer::{Reason, Stage, Step, Told, When},
};

impl World<'_> {
    /// `end`: ends the own upload where that is allowed, then tells the error.
    pub(in crate::model) fn fail(&mut self, w: u8, told: Told) {
        let writer = self.writer(w);
        let kept = match self.configuration.variant {
            Variant::EndsOwnUploadAlways => writer.stage != Stage::Rows,
            Variant::EndsUploadAfterComplete => writer.ended_another,
            Variant::LeavesUpload => true,
            _ => writer.stage != Stage::Rows || writer.ended_another,
        };
        if kept || writer.upload.is_none() {
            self.over(w, told);
        } else {
            self.go(w, Step::End(told));
        }
    }

    /// The own upload is ended.
    pub(super) fn ended(&mut self, w: u8, told: Told) {
        let upload = self.writer(w).upload.expect("it has one to end");
        self.apply(Sent::Abort(upload));
        self.over(w, told);
    }

    /// Nothing is known about the seal.
    pub(super) fn unknown(&mut self, w: u8) {
        let told = match self.configuration.variant {
            Variant::DoubtToldAsFailure => Told::Unavailable,
            Variant::DoubtToldAsCorrupt => Told::Corrupt,
            _ => Told::Unknown,
        };
        self.over(w, told);
    }

    /// An attempt stops waiting for an answer; the request stays under way.
    pub(in crate::model) fn unanswered(&mut self, w: u8) {
        self.leave_request(w);
        match self.writer(w).step {
            Step::Put | Step::Complete | Step::CompleteRuns => {
                self.writer_mut(w).payload_in_doubt = true;
                self.go(w, Step::LookAtPayload(When::InDoubt));
            }
            Step::Seal => self.doubt_seal(w),
            // Sent again.
            _ => {}
        }
    }

    /// The server refuses the request, cleanly: it is not applied.
    pub(in crate::model) fn refused(&mut self, w: u8) {
        match self.writer(w).step {
            Step::Put | Step::Complete if self.writer(w).payload_in_doubt => {
                self.go(w, Step::LookAtPayload(When::InDoubt));
            }
            Step::Seal if self.writer(w).seal_in_doubt => self.doubt_seal(w),
            Step::End(told) => self.over(w, told),
            _ => self.give_up(w, Told::Denied),
        }
    }

    /// The attempt fails by itself: a bad row, the caller's abort, a request that is tried in vain.
    pub(in crate::model) fn fails(&mut self, w: u8) {
        self.leave_request(w);
        match self.writer(w).step {
            Step::End(told) => self.over(w, told),
            _ => self.give_up(w, Told::Unavailable),
        }
    }

    /// The attempt dies; the request that it waits for stays under way.
    pub(in crate::model) fn dies(&mut self, w: u8) {
        self.leave_request(w);
        self.writer_mut(w).stop(Step::Gone);
        self.forget_wait(w);
    }

    fn leave_request(&mut self, w: u8) {
        // A Complete that runs is under way already.
        if self.writer(w).step != Step::CompleteRuns
            && let Some(sent) = self.writer(w).request()
        {
            self.leave(w, sent);
        }
    }

    fn give_up(&mut self, w: u8, told: Told) {
        let late = matches!(
            self.writer(w).step,
            Step::SendList(Reason::LateEvidence)
                | Step::List(Reason::LateEvidence)
                | Step::Head(Reason::LateEvidence, _)
        );
        if late || self.writer(w).seal_in_doubt { self.unknown(w) } else { self.fail(w, told) }
    }
}
