//! The trouble of a message, drawn when it is sent.
//!
//! The delays keep the assumptions of the protocol:
//!
//! - Where leftovers are replaced, a seal is applied before the grace of a writer that began after the
//!   check on which the seal relies.
//! - Where an abort during a Complete loses the content, a Complete ends within the grace.
//!
//! Every other request may be applied hours later.

use fake_s3::AbortDuringComplete;
use rawsink::store::Object;

use super::{
    message::{Message, MessageTimes, TagDelivery},
    mishaps::{HeardInstead, MISHAPS, MishapEffect},
    options::{Lateness, Lie},
    plan::{RequestTrouble, SenderFate},
    request_kind::RequestKind,
    requests::ServerReply,
    time::{HOUR, Micros, SECOND, micros},
    world::SimWorld,
};

impl SimWorld {
    /// Draws the trouble of a request and its sender.
    pub(super) fn trouble(&mut self, kind: RequestKind) -> RequestTrouble {
        let none = RequestTrouble { effect: None, then: SenderFate::Continues };
        if self.fair {
            return none;
        }
        let mishaps = &self.plan.mishaps;
        if let Some(window) = mishaps.windows.iter().find(|window| window.is_open(kind, self.now)) {
            self.encounters.mishap(window.name);
            return RequestTrouble { effect: Some(MishapEffect::NotApplied(window.heard)), ..none };
        }
        let focus = mishaps.focus.iter().find(|(focus, _)| *focus == kind);
        if let Some((_, troubles)) = focus.filter(|_| self.random.happens(400)) {
            self.encounters.mishap("trouble with one kind of request");
            return self.random.pick(troubles);
        }
        let (killed, still) = (mishaps.crashes_per_mille, mishaps.pauses_per_mille);
        let then = if self.random.happens(killed) {
            self.random.pick(&[SenderFate::KilledBefore, SenderFate::KilledAfter])
        } else if self.random.happens(still) {
            SenderFate::Pauses
        } else {
            SenderFate::Continues
        };
        RequestTrouble { effect: self.mishap(kind), then }
    }

    fn mishap(&mut self, kind: RequestKind) -> Option<MishapEffect> {
        let mishaps = &self.plan.mishaps;
        if !self.random.happens(mishaps.per_mille) {
            return None;
        }
        let favourite = mishaps.favourite.filter(|mishap| mishap.affects(kind));
        let favourite = favourite.filter(|_| self.random.happens(700));
        let mishap = favourite.copied().unwrap_or_else(|| self.random.pick(&MISHAPS));
        if !mishap.affects(kind) {
            return None;
        }
        self.encounters.mishap(mishap.name);
        Some(mishap.effect)
    }

    /// Draws the times of a message without a mishap.
    pub(super) fn times(&mut self, kind: RequestKind) -> MessageTimes {
        let (bound, there, back) = (self.bound(kind), self.latency(), self.latency());
        let running = match kind {
            RequestKind::Complete if !self.fair && self.random.happens(300) => {
                self.random.up_to(500 * SECOND)
            }
            RequestKind::Complete => self.random.up_to(self.plan.tempo),
            _ => 0,
        };
        let running = running.min(bound / 2);
        let latest = self.now + bound - running;
        let arrive = (self.now + there).min(latest);
        MessageTimes { arrive, running, answer: arrive + running + back, latest }
    }

    /// Applies a mishap to a message.
    pub(super) fn apply_mishap(
        &mut self,
        effect: Option<MishapEffect>,
        limit: Micros,
        message: &mut Message,
    ) {
        let times = message.times;
        match effect {
            None => {}
            Some(MishapEffect::NotApplied(said)) => {
                (message.heard, message.arrivals) = (Some(said), 0);
            }
            Some(MishapEffect::Applied(said)) => message.heard = Some(said),
            Some(MishapEffect::Late(said)) => {
                message.heard = Some(said);
                message.times.arrive = (times.arrive + self.long()).min(times.latest);
            }
            Some(MishapEffect::Early) => {
                message.reply = Some(ServerReply::Aborted);
                message.times.arrive = (times.arrive + self.long()).min(times.latest);
            }
            Some(MishapEffect::Twice) => message.arrivals = 2,
            Some(MishapEffect::Slow) => {
                let there = self.random.up_to(2 * limit);
                message.times.arrive = (times.arrive + there).min(times.latest);
                message.times.answer += there + self.random.up_to(limit);
            }
            Some(MishapEffect::EmptyTag) => message.tag = TagDelivery::Empty,
            Some(MishapEffect::Body(body)) => message.body = body,
        }
        if message.times.answer >= self.now + limit && message.heard != Some(HeardInstead::Nothing)
        {
            self.encounters.mishap("client gave up");
            message.heard = Some(HeardInstead::Nothing);
        }
        if message.heard == Some(HeardInstead::Nothing) {
            message.times.answer = self.now + limit;
        }
    }

    /// Returns the longest time between sending a request and applying it.
    fn bound(&self, kind: RequestKind) -> Micros {
        let timing = self.plan.settings.timing();
        let grace = micros(timing.leftover_grace);
        let loses = self.plan.behaviour.abort_during_complete == AbortDuringComplete::LosesContent;
        let late_seals = self.lies(Lie::LateSeals);
        match kind {
            _ if self.options.lateness == Lateness::Unbounded => 4 * HOUR,
            RequestKind::Put(Object::Seal) if !self.plan.refuses() && !late_seals => {
                let timeouts = micros(timing.seal_timeout) * 3 / 2;
                (grace.saturating_sub(micros(timing.seal_deadline))).max(timeouts) - 1
            }
            RequestKind::Complete if loses => grace - 1,
            _ => 4 * HOUR,
        }
    }
}
