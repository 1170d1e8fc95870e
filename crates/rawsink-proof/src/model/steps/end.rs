//! The end of a failed attempt, and the faults of its requests.

use crate::model::{
    network::SentRequest,
    variant::Variant,
    world::NextState,
    writer::{CheckMoment, CheckReason, PayloadProgress, ProtocolStep, WriterResult},
};

impl NextState<'_> {
    /// `end`: aborts the own upload where that is allowed, then tells the error.
    pub(in crate::model) fn fail(&mut self, w: u8, outcome: WriterResult) {
        let writer = self.writer(w);
        let kept = match self.configuration.variant {
            Variant::AbortsOwnUploadAlways => writer.stage != PayloadProgress::Rows,
            Variant::AbortsUploadAfterComplete => writer.ended_another,
            Variant::LeavesUpload => true,
            _ => writer.stage != PayloadProgress::Rows || writer.ended_another,
        };
        if kept || writer.upload.is_none() {
            self.over(w, outcome);
        } else {
            self.go(w, ProtocolStep::End(outcome));
        }
    }

    /// Aborts the own upload.
    pub(super) fn ended(&mut self, w: u8, outcome: WriterResult) {
        let upload = self.writer(w).upload.expect("it has one to end");
        self.apply(SentRequest::Abort(upload));
        self.over(w, outcome);
    }

    /// Ends an attempt that does not know whether its seal exists.
    pub(super) fn unknown(&mut self, w: u8) {
        let outcome = match self.configuration.variant {
            Variant::ReportsDoubtAsFailure => WriterResult::Unavailable,
            Variant::ReportsDoubtAsCorrupt => WriterResult::Corrupt,
            _ => WriterResult::Unknown,
        };
        self.over(w, outcome);
    }

    /// Stops waiting for an answer. The request stays in flight.
    pub(in crate::model) fn unanswered(&mut self, w: u8) {
        self.leave_request(w);
        match self.writer(w).step {
            ProtocolStep::Put | ProtocolStep::Complete | ProtocolStep::CompleteRuns => {
                self.writer_mut(w).payload_in_doubt = true;
                self.go(w, ProtocolStep::CheckPayload(CheckMoment::InDoubt));
            }
            ProtocolStep::Seal => self.doubt_seal(w),
            // The attempt sends the request again.
            _ => {}
        }
    }

    /// The server refuses the request and does not apply it.
    pub(in crate::model) fn refused(&mut self, w: u8) {
        match self.writer(w).step {
            ProtocolStep::Put | ProtocolStep::Complete if self.writer(w).payload_in_doubt => {
                self.go(w, ProtocolStep::CheckPayload(CheckMoment::InDoubt));
            }
            ProtocolStep::Seal if self.writer(w).seal_in_doubt => self.doubt_seal(w),
            ProtocolStep::End(outcome) => self.over(w, outcome),
            _ => self.give_up(w, WriterResult::Denied),
        }
    }

    /// The attempt fails by itself: a bad row, an abort by the caller, a request that never succeeds.
    pub(in crate::model) fn fails(&mut self, w: u8) {
        self.leave_request(w);
        match self.writer(w).step {
            ProtocolStep::End(outcome) => self.over(w, outcome),
            _ => self.give_up(w, WriterResult::Unavailable),
        }
    }

    /// The attempt dies. The request that it waits for stays in flight.
    pub(in crate::model) fn dies(&mut self, w: u8) {
        self.leave_request(w);
        self.writer_mut(w).stop(ProtocolStep::Gone);
        self.forget_wait(w);
    }

    fn leave_request(&mut self, w: u8) {
        // A running Complete is in flight already.
        if self.writer(w).step != ProtocolStep::CompleteRuns
            && let Some(sent) = self.writer(w).request()
        {
            self.leave(w, sent);
        }
    }

    fn give_up(&mut self, w: u8, outcome: WriterResult) {
        let late = matches!(
            self.writer(w).step,
            ProtocolStep::SendList(CheckReason::LateEvidence)
                | ProtocolStep::List(CheckReason::LateEvidence)
                | ProtocolStep::Head(CheckReason::LateEvidence, _)
        );
        if late || self.writer(w).seal_in_doubt { self.unknown(w) } else { self.fail(w, outcome) }
    }
}
