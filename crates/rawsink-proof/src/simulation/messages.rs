//! A request on its way: what is drawn when it is sent, when it is applied, what the client hears.
//!
//! What was sent goes its way whatever becomes of its sender. What is drawn keeps the assumptions of
//! the protocol: where leftovers are replaced, a seal is applied before the grace of whoever began
//! after the look that it rests on; where an abort ruins a Complete that runs, the Complete ends
//! within the grace. Everything else may be applied hours later.

use rawsink::store::{Object, s3::Fault};
use tokio::sync::oneshot;

use super::{
    faults::{Body, Effect, FAULTS, Said},
    options::{Lateness, Lie},
    plan::{Then, Trouble},
    process::ProcessId,
    requests::{self, Op, Reply, Request},
    time::{HOUR, Micros, SECOND},
    world::{Due, Woken, World},
};
use crate::server::{AbortMeetingComplete, Moment};

/// A request on its way.
#[derive(Debug)]
pub(super) struct Message {
    process: ProcessId,
    /// What is still to be applied.
    request: Option<Request>,
    /// How often it still arrives.
    arrivals: u64,
    stages: Stages,
    /// What the server answered.
    reply: Option<Reply>,
    /// What the client hears instead.
    said: Option<Said>,
    pub(super) tag: Tag,
    pub(super) body: Body,
    client: Option<oneshot::Sender<Answer>>,
    label: String,
}

/// Whether an answer shows the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Shown,
    Empty,
}

/// What a client hears.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Result<Reply, Fault>,
    pub(super) tag: Tag,
    pub(super) body: Body,
}

/// When the parts of a message's life are due.
#[derive(Debug, Clone, Copy)]
struct Stages {
    arrive: Micros,
    /// How long the server takes from the beginning of a Complete to its end.
    running: Micros,
    answer: Micros,
    /// After this it does not arrive any more.
    latest: Micros,
}

impl World {
    /// Sends a request; `None` where the process dies over it.
    pub(super) fn send(
        &mut self,
        process: ProcessId,
        request: Request,
        limit: Micros,
    ) -> Option<oneshot::Receiver<Answer>> {
        if self.processes[process.0].dead {
            return None;
        }
        let op = Op::of(&request);
        let Trouble { effect, then } = self.trouble(op);
        if then == Then::KilledBefore {
            self.kill(process, "killed before a request");
            return None;
        }
        let (client, answer) = oneshot::channel();
        self.post(process, request, effect, client, limit);
        match then {
            Then::KilledAfter => {
                self.kill(process, "killed after a request");
                return None;
            }
            Then::StandsStill => self.pause(process),
            Then::GoesOn | Then::KilledBefore => {}
        }
        Some(answer)
    }

    fn post(
        &mut self,
        process: ProcessId,
        request: Request,
        effect: Option<Effect>,
        client: oneshot::Sender<Answer>,
        limit: Micros,
    ) {
        let op = Op::of(&request);
        self.coverage.request(op);
        let sender = &self.processes[process.0];
        match &sender.looked_at {
            Some(looked) => self.auditor.cleans(&request, looked),
            None => self.auditor.sent(sender.attempt, &request, &self.server),
        }
        let number = self.number();
        let (name, told) = (self.name_of(process), requests::described(&request));
        let mut message = Message {
            process,
            request: Some(request),
            arrivals: 1,
            stages: self.stages(op),
            reply: None,
            said: None,
            tag: Tag::Shown,
            body: Body::Whole,
            client: Some(client),
            label: told.clone(),
        };
        self.draw(effect, limit, &mut message);
        self.tell(&name, || {
            let fault = effect.map(|effect| format!("  ({effect:?})")).unwrap_or_default();
            format!("{told}{fault}")
        });
        if message.arrivals > 0 {
            self.due(message.stages.arrive, Due::Arrive(number));
        }
        self.due(message.stages.answer, Due::Answer(number));
        self.messages.insert(number, message);
    }

    /// Draws what goes wrong with a request and its sender, if anything.
    fn trouble(&mut self, op: Op) -> Trouble {
        let none = Trouble { effect: None, then: Then::GoesOn };
        if self.fair {
            return none;
        }
        let weather = &self.plan.weather;
        if let Some(window) = weather.windows.iter().find(|window| window.is_open(op, self.now)) {
            self.coverage.fault(window.name);
            return Trouble { effect: Some(Effect::NotApplied(window.said)), ..none };
        }
        let focus = weather.focus.iter().find(|(focus, _)| *focus == op);
        if let Some((_, troubles)) = focus.filter(|_| self.random.happens(400)) {
            self.coverage.fault("trouble with one kind of request");
            return self.random.pick(troubles);
        }
        let (killed, still) = (weather.crashes_per_mille, weather.pauses_per_mille);
        let then = if self.random.happens(killed) {
            self.random.pick(&[Then::KilledBefore, Then::KilledAfter])
        } else if self.random.happens(still) {
            Then::StandsStill
        } else {
            Then::GoesOn
        };
        Trouble { effect: self.fault(op), then }
    }

    fn fault(&mut self, op: Op) -> Option<Effect> {
        let weather = &self.plan.weather;
        if !self.random.happens(weather.faults_per_mille) {
            return None;
        }
        let favourite = weather.favourite.filter(|fault| fault.can_meet(op));
        let favourite = favourite.filter(|_| self.random.happens(700));
        let fault = favourite.copied().unwrap_or_else(|| self.random.pick(&FAULTS));
        if !fault.can_meet(op) {
            return None;
        }
        self.coverage.fault(fault.name);
        Some(fault.effect)
    }

    /// Draws when a message arrives and is answered, if nothing goes wrong.
    fn stages(&mut self, op: Op) -> Stages {
        let (bound, there, back) = (self.bound(op), self.latency(), self.latency());
        let running = match op {
            Op::Complete if !self.fair && self.random.happens(300) => {
                self.random.up_to(500 * SECOND)
            }
            Op::Complete => self.random.up_to(self.plan.tempo),
            _ => 0,
        };
        let running = running.min(bound / 2);
        let latest = self.now + bound - running;
        let arrive = (self.now + there).min(latest);
        Stages { arrive, running, answer: arrive + running + back, latest }
    }

    /// Draws what becomes of a message with which something goes wrong.
    fn draw(&mut self, effect: Option<Effect>, limit: Micros, message: &mut Message) {
        let stages = message.stages;
        match effect {
            None => {}
            Some(Effect::NotApplied(said)) => (message.said, message.arrivals) = (Some(said), 0),
            Some(Effect::Applied(said)) => message.said = Some(said),
            Some(Effect::Late(said)) => {
                message.said = Some(said);
                message.stages.arrive = (stages.arrive + self.long()).min(stages.latest);
            }
            Some(Effect::Early) => {
                message.reply = Some(Reply::Aborted);
                message.stages.arrive = (stages.arrive + self.long()).min(stages.latest);
            }
            Some(Effect::Twice) => message.arrivals = 2,
            Some(Effect::Slow) => {
                let there = self.random.up_to(2 * limit);
                message.stages.arrive = (stages.arrive + there).min(stages.latest);
                message.stages.answer += there + self.random.up_to(limit);
            }
            Some(Effect::EmptyTag) => message.tag = Tag::Empty,
            Some(Effect::Body(body)) => message.body = body,
        }
        if message.stages.answer >= self.now + limit && message.said != Some(Said::Nothing) {
            self.coverage.fault("client gave up");
            message.said = Some(Said::Nothing);
        }
        if message.said == Some(Said::Nothing) {
            message.stages.answer = self.now + limit;
        }
    }

    /// Returns how long after its sending a request may still be applied.
    fn bound(&self, op: Op) -> Micros {
        let settings = &self.plan.settings;
        let grace = settings.leftover_grace_s * SECOND;
        let ruins = self.plan.behaviour.abort_meeting_complete == AbortMeetingComplete::Ruins;
        let late_seals = self.lies(Lie::LateSeals);
        match op {
            _ if self.options.lateness == Lateness::Unbounded => 4 * HOUR,
            Op::Create(Object::Seal) if !self.plan.refuses() && !late_seals => {
                let timeouts = settings.seal_timeout_s * SECOND * 3 / 2;
                (grace.saturating_sub(settings.seal_deadline_s * SECOND)).max(timeouts) - 1
            }
            Op::Complete if ruins => grace - 1,
            _ => 4 * HOUR,
        }
    }

    /// A message reaches the server.
    pub(super) fn arrive(&mut self, number: u64) -> Woken {
        let Some(mut message) = self.messages.remove(&number) else { return Woken::Nobody };
        message.arrivals -= 1;
        let request = if message.arrivals > 0 {
            let later = self.random.up_to(message.stages.latest.saturating_sub(self.now));
            self.due(self.now + later, Due::Arrive(number));
            message.request.clone()
        } else {
            message.request.take()
        };
        let running = message.stages.running;
        let reply =
            request.and_then(|request| self.begin(number, message.process, request, running));
        if let Some(reply) = reply {
            self.replied(&mut message, reply);
        }
        self.keep(number, message);
        Woken::Nobody
    }

    /// What a message began at the server ends.
    pub(super) fn finish(&mut self, number: u64) -> Woken {
        let reply = self.end(number);
        if let Some(mut message) = self.messages.remove(&number) {
            self.replied(&mut message, reply);
            self.keep(number, message);
        }
        Woken::Nobody
    }

    fn replied(&mut self, message: &mut Message, reply: Reply) {
        let name = format!("  {}", self.name_of(message.process));
        self.tell(&name, || format!("{} => {}", message.label, requests::answered(&reply)));
        // The answer to what arrived last is the one that is heard.
        message.reply = Some(reply);
    }

    /// Keeps a message until nothing can become of it any more.
    fn keep(&mut self, number: u64, message: Message) {
        if message.client.is_some() || message.arrivals > 0 {
            self.messages.insert(number, message);
        }
    }

    /// An answer reaches the client, unless it stands still or is dead.
    pub(super) fn answer(&mut self, number: u64) -> Woken {
        let Some(mut message) = self.messages.remove(&number) else { return Woken::Nobody };
        let process = message.process;
        if self.processes[process.0].dead {
            message.client = None;
            self.keep(number, message);
            return Woken::Nobody;
        }
        if let Some(at) = self.still_until(process) {
            if self.random.happens(300) {
                self.coverage.fault("closed while standing still");
                message.said = Some(Said::Closed);
            }
            self.due(at, Due::Answer(number));
            self.messages.insert(number, message);
            return Woken::Nobody;
        }
        // Who forgot a request hears nothing of it.
        let listens = message.client.take().filter(|client| !client.is_closed());
        let sent = listens.map(|client| client.send(self.heard(&mut message)));
        self.keep(number, message);
        if matches!(sent, Some(Ok(()))) { Woken::Somebody } else { Woken::Nobody }
    }

    fn heard(&mut self, message: &mut Message) -> Answer {
        let reply = match (message.said, message.reply.take()) {
            (Some(said @ (Said::Closed | Said::Nothing)), _) => {
                Err(requests::unanswered(&said.to_string()))
            }
            (Some(Said::Status(status, code)), _) => Err(requests::status(status, code)),
            (None, Some(Reply::Refused(refusal))) => Err(requests::refused(refusal)),
            (None, Some(reply)) => Ok(reply),
            // A Complete whose second arrival is still under way.
            (None, None) => Err(requests::unanswered("connection closed")),
        };
        if let Ok(reply) = &reply {
            self.auditor.heard(self.processes[message.process.0].attempt, reply);
        }
        let name = self.name_of(message.process);
        self.tell(&name, || match &reply {
            Ok(reply) => format!("    hears of {}: {}", message.label, requests::answered(reply)),
            Err(fault) => format!("    hears of {}: {fault:?}", message.label),
        });
        Answer { reply, tag: message.tag, body: message.body }
    }

    /// Returns what the server's clock says, by whichever of its gateways, and a new name.
    pub(super) fn moment(&mut self) -> Moment {
        let time = self.now - HOUR + self.random.pick(&self.plan.gateways.clone());
        Moment { time, name: self.unique() }
    }
}
