//! Step 2: the newest upload wins. Step 3: the grace.

use crate::model::{
    ids::UploadSet,
    network::{SentRequest, ServerAnswer},
    variant::Variant,
    world::NextState,
    writer::{AbortTarget, CheckMoment, OpenTry, ProtocolStep, WriterResult},
};

impl NextState<'_> {
    /// `open_upload`: the upload exists. Lists all uploads of the key.
    pub(super) fn upload_created(&mut self, w: u8, opening: OpenTry) {
        let sent = SentRequest::CreateUpload(self.writer(w).token);
        let ServerAnswer::UploadCreated(id) = self.apply(sent) else {
            unreachable!("an upload is always created")
        };
        self.writer_mut(w).upload = Some(id);
        self.go(w, ProtocolStep::ListUploads(opening));
    }

    /// `open_upload`: yields to a later upload, after a second try. Aborts earlier uploads.
    pub(super) fn uploads_listed(&mut self, w: u8, opening: OpenTry) {
        let listed = self.state.listed();
        let mine = self.writer(w).upload.expect("it was created");
        if self.needs_grace(w) {
            self.grace_begins(w);
        }
        let Some(at) = listed.iter().position(|id| *id == mine) else {
            self.writer_mut(w).upload = None;
            return self.fail(w, WriterResult::Conflict);
        };
        let seen = if let OpenTry::Second(seen) = opening { seen } else { UploadSet::NONE };
        let variant = self.configuration.variant;
        if variant == Variant::YieldsToEveryUpload && listed.len() > 1 {
            return self.fail(w, WriterResult::Conflict);
        }
        let is_later = listed[at + 1..].iter().any(|id| !seen.contains(*id));
        if !is_later || variant == Variant::NewestDoesNotWin {
            let others = listed.into_iter().filter(|id| *id != mine).collect();
            return self.end_others(w, others);
        }
        match opening {
            OpenTry::First => {
                self.writer_mut(w).upload = None;
                self.end_uploads(w, AbortTarget::Own, UploadSet::one(mine));
            }
            OpenTry::Second(_) => self.fail(w, WriterResult::Conflict),
        }
    }

    /// `end_others`: checks first whether one of the others has sealed.
    fn end_others(&mut self, w: u8, others: UploadSet) {
        let next = if others.is_empty() {
            ProtocolStep::Part
        } else {
            ProtocolStep::CheckBeforeAbort(others)
        };
        self.go(w, next);
    }

    /// `end_others`: aborts the uploads of earlier attempts.
    pub(super) fn checked_before_abort(&mut self, w: u8, others: UploadSet) {
        if self.state.is_sealed() {
            return self.fail(w, WriterResult::AlreadySealed);
        }
        // An upload that this attempt aborted before has no writer.
        let ended = self.writer(w).ended;
        self.writer_mut(w).ended_another |= !others.without(ended).is_empty();
        self.end_uploads(w, AbortTarget::Others, others);
    }

    fn end_uploads(&mut self, w: u8, ending: AbortTarget, ids: UploadSet) {
        self.go(w, ProtocolStep::AbortUploads(ending, ids, ids));
    }

    /// `end_uploads`: handles the answer to one abort: success, or no such upload.
    pub(super) fn upload_aborted(
        &mut self,
        w: u8,
        ending: AbortTarget,
        todo: UploadSet,
        all: UploadSet,
    ) {
        let id = todo.first().expect("one is left to end");
        self.apply(SentRequest::Abort(id));
        if ending == AbortTarget::Others && self.needs_grace(w) {
            self.grace_begins(w);
        }
        let todo = todo.without(UploadSet::one(id));
        if !todo.is_empty() {
            self.go(w, ProtocolStep::AbortUploads(ending, todo, all));
        } else if self.configuration.lists_again() {
            self.go(w, ProtocolStep::ListAborted(ending, all));
        } else {
            // The following listing shows none of them, so the model skips it.
            self.all_ended(w, ending, all);
        }
    }

    /// `end_uploads`: aborts uploads again that are still listed.
    pub(super) fn aborted_listed(&mut self, w: u8, ending: AbortTarget, all: UploadSet) {
        let still = self.state.listed().into_iter().collect::<UploadSet>().within(all);
        if still.is_empty() {
            self.all_ended(w, ending, all);
        } else {
            self.go(w, ProtocolStep::AbortUploads(ending, still, all));
        }
    }

    fn all_ended(&mut self, w: u8, ending: AbortTarget, all: UploadSet) {
        if self.configuration.lists_again() {
            let ended = self.writer(w).ended.with(all);
            self.writer_mut(w).ended = ended;
        }
        self.go(
            w,
            if ending == AbortTarget::Own { ProtocolStep::ListBefore } else { ProtocolStep::Part },
        );
    }

    /// `open_upload`: uploads before the second try count as earlier.
    pub(super) fn listed_before(&mut self, w: u8) {
        let seen = self.state.listed().into_iter().collect();
        self.go(w, ProtocolStep::CreateUpload(OpenTry::Second(seen)));
    }

    /// Handles the answer to the part. Its upload may be gone.
    pub(super) fn part_taken(&mut self, w: u8) {
        let upload = self.writer(w).upload.expect("it was created");
        let answer = self.apply(SentRequest::Part(self.writer(w).token, upload));
        if answer.is_no_such_upload() {
            return self.fail(w, WriterResult::Conflict);
        }
        self.clean_sees_part(upload);
        self.wait_for_grace(w, CheckMoment::BeforeComplete);
    }

    /// Step 3 and the check after it.
    pub(super) fn wait_for_grace(&mut self, w: u8, when: CheckMoment) {
        if self.needs_grace(w) && self.configuration.variant != Variant::WithoutGrace {
            self.go(w, ProtocolStep::WaitForGrace(when));
        } else {
            self.grace_waited(w, when);
        }
    }

    /// Continues after step 3.
    pub(super) fn grace_waited(&mut self, w: u8, when: CheckMoment) {
        if self.configuration.variant == Variant::WithoutCheckBeforeComplete {
            self.go(w, ProtocolStep::SendComplete);
        } else {
            self.go(w, ProtocolStep::CheckPayload(when));
        }
    }

    fn met_leftover(&self, w: u8) -> bool {
        self.writer(w).leftover.is_some_and(|leftover| !leftover.own)
    }

    /// `grace_left`: returns whether a slower writer may own the leftover or the upload.
    fn needs_grace(&self, w: u8) -> bool {
        let met_upload = self.writer(w).ended_another && !self.configuration.knows_enforced();
        self.met_leftover(w) || met_upload
    }

    pub(super) fn grace_begins(&mut self, w: u8) {
        if !matches!(self.configuration.variant, Variant::GraceFromBegin | Variant::WithoutGrace) {
            self.quiet_since(w);
        }
    }
}
