//! The steps of an attempt, named as in the code: its requests and its reactions to the answers.

mod begin;
mod end;
mod last_check;
mod open_upload;
mod payload;
mod seal;

use fake_s3::WriteCondition;

use super::{
    network::SentRequest,
    world::NextState,
    writer::{ModelWriter, ProtocolStep},
};

impl ModelWriter {
    /// Returns the request that an attempt waits for, if it changes the bucket.
    pub(super) fn request(&self) -> Option<SentRequest> {
        let own = || self.upload.expect("it has an upload");
        match self.step {
            ProtocolStep::CreateUpload(_) => Some(SentRequest::CreateUpload(self.token)),
            ProtocolStep::AbortUploads(_, todo, _) => todo.first().map(SentRequest::Abort),
            ProtocolStep::Part => Some(SentRequest::Part(self.token, own())),
            ProtocolStep::Put => Some(SentRequest::Put(self.token)),
            ProtocolStep::Complete | ProtocolStep::CompleteRuns => {
                Some(SentRequest::Complete(self.token, own(), self.complete_condition()))
            }
            ProtocolStep::Seal => Some(SentRequest::Seal(self.token)),
            ProtocolStep::End(_) => self.upload.map(SentRequest::Abort),
            _ => None,
        }
    }

    /// Returns the condition of the attempt's Complete.
    pub(super) fn complete_condition(&self) -> WriteCondition {
        if self.leftover.is_some() { WriteCondition::Overwrite } else { WriteCondition::CreateOnly }
    }
}

impl NextState<'_> {
    /// Applies and answers the request of an attempt, or its read.
    pub(super) fn answered(&mut self, w: u8) {
        match self.writer(w).step {
            ProtocolStep::Begin => self.begin(w),
            ProtocolStep::CreateUpload(opening) => self.upload_created(w, opening),
            ProtocolStep::ListUploads(opening) => self.uploads_listed(w, opening),
            ProtocolStep::CheckBeforeAbort(others) => self.checked_before_abort(w, others),
            ProtocolStep::AbortUploads(ending, todo, all) => {
                self.upload_aborted(w, ending, todo, all);
            }
            ProtocolStep::ListAborted(ending, all) => self.aborted_listed(w, ending, all),
            ProtocolStep::ListBefore => self.listed_before(w),
            ProtocolStep::Part => self.part_taken(w),
            ProtocolStep::CheckPayload(when) => {
                let seen = self.checked_payload(w, when);
                self.go(w, ProtocolStep::CheckSeal(when, seen));
            }
            ProtocolStep::CheckSeal(when, seen) => self.checked(w, when, seen),
            ProtocolStep::ListOwn => self.own_listed(w),
            ProtocolStep::Put => self.put(w),
            ProtocolStep::Complete => self.complete(w),
            ProtocolStep::List(reason) => self.check_listed(w, reason),
            ProtocolStep::Head(reason, others) => self.check_headed(w, reason, others),
            ProtocolStep::Seal => self.seal(w),
            ProtocolStep::ReadSeal => self.check_seal(w),
            ProtocolStep::End(outcome) => self.ended(w, outcome),
            ProtocolStep::Idle
            | ProtocolStep::Rows
            | ProtocolStep::WaitForGrace(_)
            | ProtocolStep::SendComplete
            | ProtocolStep::CompleteRuns
            | ProtocolStep::SendList(_)
            | ProtocolStep::Listed(..)
            | ProtocolStep::Sealed
            | ProtocolStep::Failed
            | ProtocolStep::Gone => unreachable!("it waits for no answer"),
        }
    }

    /// Continues an attempt that waits for no answer.
    pub(super) fn goes(&mut self, w: u8) {
        match self.writer(w).step {
            ProtocolStep::Rows => self.send_first(w),
            ProtocolStep::WaitForGrace(when) => {
                self.outwait(w);
                self.grace_waited(w, when);
            }
            ProtocolStep::SendComplete => self.send_complete(w),
            ProtocolStep::SendList(reason) => self.send_list(w, reason),
            ProtocolStep::Listed(reason, others) => {
                self.check_sent(w);
                self.go(w, ProtocolStep::Head(reason, others));
            }
            step => unreachable!("{step:?} waits for an answer"),
        }
    }
}
