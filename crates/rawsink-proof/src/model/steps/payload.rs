//! Step 4: the payload appears whole, by one PUT or by Complete.

use super::is_no_such_upload;
use crate::{
    model::{
        configuration::Leftovers,
        network::Phase,
        time::Marks,
        variant::Variant,
        words::{Content, Name, Tag, Token, tag_of},
        world::World,
        writer::{Leftover, Reason, Seen, Stage, Step, Told, When},
    },
    server::{Condition, Refusal, Reply},
};

impl World<'_> {
    /// `put`: the answer to the payload's PUT.
    pub(super) fn put(&mut self, w: u8) {
        let reply = self.apply(self.writer(w).request().expect("it was sent"));
        self.judge(w, &reply);
    }

    /// `complete`: the answer to Complete, or its begin where it takes time.
    pub(super) fn complete(&mut self, w: u8) {
        let sent = self.writer(w).request().expect("it was sent");
        if !self.configuration.completes_slowly() {
            let reply = self.apply(sent);
            return self.judge(w, &reply);
        }
        let id = self.writer(w).upload.expect("it has one").into();
        let replaces = self.writer(w).leftover.is_some();
        let condition = if replaces { Condition::Replace } else { Condition::CreateOnly };
        let parts = super::super::network::PARTS.to_vec();
        if let Err(reply) = self.state.bucket.begin_complete(id, parts, condition) {
            return self.judge(w, &reply);
        }
        self.state.network.add(sent, Phase::Runs, Marks::default());
        self.go(w, Step::CompleteRuns);
    }

    /// `judge`: decides by the answer where it is clean, else by what a look shows.
    pub(in crate::model) fn judge(&mut self, w: u8, reply: &Reply<Name, Content, Token>) {
        match reply {
            Reply::Created(_) | Reply::Completed(Some(_)) => return self.payload_there(w),
            Reply::Completed(None) | Reply::Refused(Refusal::InProgress) => {
                self.writer_mut(w).payload_in_doubt = true;
            }
            _ => {}
        }
        let gone = is_no_such_upload(reply);
        let when = if gone { When::UploadGone } else { When::InDoubt };
        self.go(w, Step::LookAtPayload(when));
    }

    /// HEAD of the payload. Without a token of its own, the multipart way has to know its first
    /// payload by the tag.
    pub(super) fn looked_at_payload(&self, w: u8, when: When) -> Seen {
        let there = tag_of(&self.state.bucket, Name::Payload);
        let own = self.writer(w).leftover.filter(|leftover| leftover.own);
        let is_first = own.is_some_and(|own| there == Some(own.tag));
        if is_first && matches!(when, When::BeforeComplete | When::BeforeCompleteAgain) {
            return Seen::Leftover;
        }
        self.look_at_payload(w)
    }

    /// `look`: the seal's HEAD; what to do by both.
    pub(super) fn looked(&mut self, w: u8, when: When, seen: Seen) {
        if self.state.is_sealed() {
            return self.fail(w, Told::AlreadySealed);
        }
        match (when, seen) {
            (When::BeforeComplete | When::BeforeCompleteAgain, Seen::Absent | Seen::Leftover) => {
                self.go(w, Step::SendComplete);
            }
            (When::BeforeComplete, Seen::Another(tag))
                if self.configuration.leftovers == Leftovers::Replaced =>
            {
                self.take_over(w, tag);
            }
            (When::InDoubt | When::UploadGone, Seen::Mine) => self.payload_there(w),
            (When::InDoubt, Seen::Absent | Seen::Leftover) => {
                let single = self.writer(w).stage == Stage::Single;
                self.go(w, if single { Step::Put } else { Step::ListOwn });
            }
            _ => self.fail(w, Told::Conflict),
        }
    }

    /// `complete`: a payload that appeared since the attempt began is a leftover from now on, with a
    /// grace of its own.
    fn take_over(&mut self, w: u8, tag: Tag) {
        self.writer_mut(w).leftover = Some(Leftover { tag, own: false });
        if self.configuration.variant == Variant::TakesOverAtOnce {
            return self.go(w, Step::LookAtPayload(When::BeforeCompleteAgain));
        }
        self.grace_begins(w);
        self.wait_for_grace(w, When::BeforeCompleteAgain);
    }

    /// `send_again_or_yield`: whether the own upload is still listed decides whether a Complete can
    /// still succeed.
    pub(super) fn own_listed(&mut self, w: u8) {
        let own = self.writer(w).upload.expect("it completes it");
        let listed = self.state.listed().contains(&own);
        let gone = Step::LookAtPayload(When::UploadGone);
        self.go(w, if listed { Step::Complete } else { gone });
    }

    /// Sends Complete; from now on this upload is never ended.
    pub(super) fn send_complete(&mut self, w: u8) {
        self.writer_mut(w).stage = Stage::CompleteSent;
        self.payload_sent(w);
        self.go(w, Step::Complete);
    }

    /// The payload request is sent for the first time: where step 5 is left out, the seal's deadline
    /// counts from here.
    pub(super) fn payload_sent(&mut self, w: u8) {
        if self.may_skip_look(w) {
            self.look_sent(w);
        }
    }

    /// The payload is there and mine: on to the seal, by step 5 unless it can be left out.
    fn payload_there(&mut self, w: u8) {
        self.writer_mut(w).payload_in_doubt = false;
        if self.configuration.variant == Variant::WithoutLookOnceMore {
            self.look_sent(w);
        }
        self.send_seal(w, Reason::BeforeSeal);
    }

    /// `may_skip_look`: the server itself refuses a second payload, and this attempt replaced none.
    fn may_skip_look(&self, w: u8) -> bool {
        self.configuration.knows_enforced() && self.writer(w).leftover.is_none()
    }
}
