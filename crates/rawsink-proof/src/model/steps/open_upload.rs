//! Step 2: the newest upload wins. Step 3: the grace.

use super::is_no_such_upload;
use crate::{
    model::{
        ids::Ids,
        network::Sent,
        variant::Variant,
        world::World,
        writer::{Ending, Opening, Step, Told, When},
    },
    server::Reply,
};

impl World<'_> {
    /// `open_upload`: the upload is there; lists what is open beside it.
    pub(super) fn upload_created(&mut self, w: u8, opening: Opening) {
        let sent = Sent::CreateUpload(self.writer(w).token);
        let Reply::UploadCreated(id) = self.apply(sent) else {
            unreachable!("an upload is always created")
        };
        self.writer_mut(w).upload = Some(u8::try_from(id).expect("ids are small"));
        self.go(w, Step::ListUploads(opening));
    }

    /// `open_upload`: a later one than mine wins, once more I try; earlier ones are ended.
    pub(super) fn uploads_listed(&mut self, w: u8, opening: Opening) {
        let listed = self.state.listed();
        let mine = self.writer(w).upload.expect("it was created");
        if self.needs_grace(w) {
            self.grace_begins(w);
        }
        let Some(at) = listed.iter().position(|id| *id == mine) else {
            self.writer_mut(w).upload = None;
            return self.fail(w, Told::Conflict);
        };
        let seen = if let Opening::Second(seen) = opening { seen } else { Ids::NONE };
        let variant = self.configuration.variant;
        if variant == Variant::YieldsToEveryUpload && listed.len() > 1 {
            return self.fail(w, Told::Conflict);
        }
        let is_later = listed[at + 1..].iter().any(|id| !seen.contains(*id));
        if !is_later || variant == Variant::NewestDoesNotWin {
            let others = listed.into_iter().filter(|id| *id != mine).collect();
            return self.end_others(w, others);
        }
        match opening {
            Opening::First => {
                self.writer_mut(w).upload = None;
                self.end_uploads(w, Ending::Own, Ids::one(mine));
            }
            Opening::Second(_) => self.fail(w, Told::Conflict),
        }
    }

    /// `end_others`: looks whether one of them has sealed.
    fn end_others(&mut self, w: u8, others: Ids) {
        let next = if others.is_empty() { Step::Part } else { Step::LookBeforeEnding(others) };
        self.go(w, next);
    }

    /// `end_others`: whoever was here earlier is superseded.
    pub(super) fn looked_before_ending(&mut self, w: u8, others: Ids) {
        if self.state.is_sealed() {
            return self.fail(w, Told::AlreadySealed);
        }
        // An echo of an upload that this attempt ended before is nobody.
        let ended = self.writer(w).ended;
        self.writer_mut(w).ended_another |= !others.without(ended).is_empty();
        self.end_uploads(w, Ending::Others, others);
    }

    fn end_uploads(&mut self, w: u8, ending: Ending, ids: Ids) {
        self.go(w, Step::EndUploads(ending, ids, ids));
    }

    /// `end_uploads`: one abort was answered, with success or that the upload is not there.
    pub(super) fn upload_ended(&mut self, w: u8, ending: Ending, todo: Ids, all: Ids) {
        let id = todo.first().expect("one is left to end");
        self.apply(Sent::Abort(id));
        if ending == Ending::Others && self.needs_grace(w) {
            self.grace_begins(w);
        }
        let todo = todo.without(Ids::one(id));
        if !todo.is_empty() {
            self.go(w, Step::EndUploads(ending, todo, all));
        } else if self.configuration.lists_again() {
            self.go(w, Step::ListEnded(ending, all));
        } else {
            // The listing that follows shows none of them; it is left out here.
            self.all_ended(w, ending, all);
        }
    }

    /// `end_uploads`: what is still listed is ended again.
    pub(super) fn ended_listed(&mut self, w: u8, ending: Ending, all: Ids) {
        let still = self.state.listed().into_iter().collect::<Ids>().within(all);
        if still.is_empty() {
            self.all_ended(w, ending, all);
        } else {
            self.go(w, Step::EndUploads(ending, still, all));
        }
    }

    fn all_ended(&mut self, w: u8, ending: Ending, all: Ids) {
        if self.configuration.lists_again() {
            let ended = self.writer(w).ended.with(all);
            self.writer_mut(w).ended = ended;
        }
        self.go(w, if ending == Ending::Own { Step::ListBefore } else { Step::Part });
    }

    /// `open_upload`: what is there before the second try counts as earlier.
    pub(super) fn listed_before(&mut self, w: u8) {
        let seen = self.state.listed().into_iter().collect();
        self.go(w, Step::CreateUpload(Opening::Second(seen)));
    }

    /// The part is there; its upload may be gone.
    pub(super) fn part_taken(&mut self, w: u8) {
        let upload = self.writer(w).upload.expect("it was created");
        let reply = self.apply(Sent::Part(self.writer(w).token, upload));
        if is_no_such_upload(&reply) {
            return self.fail(w, Told::Conflict);
        }
        self.clean_sees_part(upload);
        self.wait_for_grace(w, When::BeforeComplete);
    }

    /// Step 3, and the look after it.
    pub(super) fn wait_for_grace(&mut self, w: u8, when: When) {
        if self.needs_grace(w) && self.configuration.variant != Variant::WithoutGrace {
            self.go(w, Step::WaitForGrace(when));
        } else {
            self.grace_waited(w, when);
        }
    }

    /// Step 3 is over.
    pub(super) fn grace_waited(&mut self, w: u8, when: When) {
        if self.configuration.variant == Variant::WithoutLookBeforeComplete {
            self.go(w, Step::SendComplete);
        } else {
            self.go(w, Step::LookAtPayload(when));
        }
    }

    fn met_leftover(&self, w: u8) -> bool {
        self.writer(w).leftover.is_some_and(|leftover| !leftover.own)
    }

    /// `grace_left`: whether a slower writer may be behind what this one met.
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
