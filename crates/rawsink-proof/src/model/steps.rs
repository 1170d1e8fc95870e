//! The steps of an attempt, named as in the code: what it sends, and what it does about the answer.

mod begin;
mod end;
mod look_once_more;
mod open_upload;
mod payload;
mod seal;

use super::{
    network::{Creates, Sent},
    world::World,
    writer::{Step, Writer},
};
use crate::server::{Refusal, Reply};

impl Writer {
    /// Returns the request that an attempt waits for, where it changes something.
    pub(super) fn request(&self) -> Option<Sent> {
        let own = || self.upload.expect("it has an upload");
        match self.step {
            Step::CreateUpload(_) => Some(Sent::CreateUpload(self.token)),
            Step::EndUploads(_, todo, _) => todo.first().map(Sent::Abort),
            Step::Part => Some(Sent::Part(self.token, own())),
            Step::Put => Some(Sent::Put(self.token)),
            Step::Complete | Step::CompleteRuns => {
                let replaces = self.leftover.is_some();
                let creates = if replaces { Creates::OrReplaces } else { Creates::Only };
                Some(Sent::Complete(self.token, own(), creates))
            }
            Step::Seal => Some(Sent::Seal(self.token)),
            Step::End(_) => self.upload.map(Sent::Abort),
            _ => None,
        }
    }
}

impl World<'_> {
    /// An attempt's request is applied and answered, or what it asks for is read.
    pub(super) fn answered(&mut self, w: u8) {
        match self.writer(w).step {
            Step::Begin => self.begin(w),
            Step::CreateUpload(opening) => self.upload_created(w, opening),
            Step::ListUploads(opening) => self.uploads_listed(w, opening),
            Step::LookBeforeEnding(others) => self.looked_before_ending(w, others),
            Step::EndUploads(ending, todo, all) => self.upload_ended(w, ending, todo, all),
            Step::ListEnded(ending, all) => self.ended_listed(w, ending, all),
            Step::ListBefore => self.listed_before(w),
            Step::Part => self.part_taken(w),
            Step::LookAtPayload(when) => {
                let seen = self.looked_at_payload(w, when);
                self.go(w, Step::LookAtSeal(when, seen));
            }
            Step::LookAtSeal(when, seen) => self.looked(w, when, seen),
            Step::ListOwn => self.own_listed(w),
            Step::Put => self.put(w),
            Step::Complete => self.complete(w),
            Step::List(reason) => self.look_listed(w, reason),
            Step::Head(reason, company) => self.look_headed(w, reason, company),
            Step::Seal => self.seal(w),
            Step::ReadSeal => self.look_at_seal(w),
            Step::End(told) => self.ended(w, told),
            Step::Idle
            | Step::Rows
            | Step::WaitForGrace(_)
            | Step::SendComplete
            | Step::CompleteRuns
            | Step::SendList(_)
            | Step::Listed(..)
            | Step::Sealed
            | Step::Failed
            | Step::Gone => unreachable!("it waits for no answer"),
        }
    }

    /// An attempt goes on by itself: it sends what it was about to send.
    pub(super) fn goes(&mut self, w: u8) {
        match self.writer(w).step {
            Step::Rows => self.send_first(w),
            Step::WaitForGrace(when) => {
                self.outwait(w);
                self.grace_waited(w, when);
            }
            Step::SendComplete => self.send_complete(w),
            Step::SendList(reason) => self.send_list(w, reason),
            Step::Listed(reason, company) => {
                self.look_sent(w);
                self.go(w, Step::Head(reason, company));
            }
            step => unreachable!("{step:?} waits for an answer"),
        }
    }
}

fn is_no_such_upload<K, B, W>(reply: &Reply<K, B, W>) -> bool {
    matches!(reply, Reply::Refused(Refusal::NoSuchUpload))
}
