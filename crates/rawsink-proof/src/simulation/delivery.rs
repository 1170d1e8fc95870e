//! The way of a message: sent, applied, answered. It travels on after its sender has died.

use tokio::sync::oneshot;

use super::{
    conversions, description,
    ids::ProcessId,
    message::{ClientAnswer, Message, TagDelivery},
    mishaps::{BodyDelivery, HeardInstead, MishapEffect},
    plan::{RequestTrouble, SenderFate},
    request_kind::RequestKind,
    requests::{Request, ServerReply},
    time::Micros,
    world::{AgendaEntry, SimWorld, Woken},
};

impl SimWorld {
    /// Sends a request; returns `None` if the sender dies.
    pub(super) fn send(
        &mut self,
        process: ProcessId,
        request: Request,
        limit: Micros,
    ) -> Option<oneshot::Receiver<ClientAnswer>> {
        if self.processes[process.0].dead {
            return None;
        }
        let kind = RequestKind::of(&request);
        let RequestTrouble { effect, then } = self.trouble(kind);
        if then == SenderFate::KilledBefore {
            self.kill(process, "killed before a request");
            return None;
        }
        let (client, answer) = oneshot::channel();
        self.post(process, request, effect, client, limit);
        match then {
            SenderFate::KilledAfter => {
                self.kill(process, "killed after a request");
                return None;
            }
            SenderFate::Pauses => self.pause(process),
            SenderFate::Continues | SenderFate::KilledBefore => {}
        }
        Some(answer)
    }

    fn post(
        &mut self,
        process: ProcessId,
        request: Request,
        effect: Option<MishapEffect>,
        client: oneshot::Sender<ClientAnswer>,
        limit: Micros,
    ) {
        let kind = RequestKind::of(&request);
        self.encounters.request(kind);
        let sender = &self.processes[process.0];
        match (&sender.inspected, &sender.repairs) {
            (Some(inspected), _) => self.auditor.cleans(&request, inspected),
            (None, Some(run)) => self.auditor.repairs(&request, run, &self.server),
            (None, None) => self.auditor.sent(sender.attempt, &request, &self.server),
        }
        let number = self.number();
        let (name, label) = (self.name_of(process), description::request(&request));
        let mut message = Message {
            process,
            request: Some(request),
            arrivals: 1,
            times: self.times(kind),
            reply: None,
            heard: None,
            tag: TagDelivery::Shown,
            body: BodyDelivery::Whole,
            client: Some(client),
            label: label.clone(),
        };
        self.apply_mishap(effect, limit, &mut message);
        self.trace(&name, || {
            let mishap = effect.map(|effect| format!("  ({effect:?})")).unwrap_or_default();
            format!("{label}{mishap}")
        });
        if message.arrivals > 0 {
            self.due(message.times.arrive, AgendaEntry::Arrive(number));
        }
        self.due(message.times.answer, AgendaEntry::Answer(number));
        self.messages.insert(number, message);
    }

    /// A message reaches the server.
    pub(super) fn arrive(&mut self, number: u64) -> Woken {
        let Some(mut message) = self.messages.remove(&number) else { return Woken::Nothing };
        message.arrivals -= 1;
        let request = if message.arrivals > 0 {
            let later = self.random.up_to(message.times.latest.saturating_sub(self.now));
            self.due(self.now + later, AgendaEntry::Arrive(number));
            message.request.clone()
        } else {
            message.request.take()
        };
        let running = message.times.running;
        let reply =
            request.and_then(|request| self.begin(number, message.process, request, running));
        if let Some(reply) = reply {
            self.replied(&mut message, reply);
        }
        self.keep(number, message);
        Woken::Nothing
    }

    /// The server ends a request that took time.
    pub(super) fn finish(&mut self, number: u64) -> Woken {
        let reply = self.end(number);
        if let Some(mut message) = self.messages.remove(&number) {
            self.replied(&mut message, reply);
            self.keep(number, message);
        }
        Woken::Nothing
    }

    fn replied(&mut self, message: &mut Message, reply: ServerReply) {
        let name = format!("  {}", self.name_of(message.process));
        self.trace(&name, || format!("{} => {}", message.label, description::reply(&reply)));
        // The client hears the answer to the last arrival.
        message.reply = Some(reply);
    }

    /// Keeps a message until it is answered and has arrived for the last time.
    fn keep(&mut self, number: u64, message: Message) {
        if message.client.is_some() || message.arrivals > 0 {
            self.messages.insert(number, message);
        }
    }

    /// An answer reaches the client, unless the client is paused or dead.
    pub(super) fn answer(&mut self, number: u64) -> Woken {
        let Some(mut message) = self.messages.remove(&number) else { return Woken::Nothing };
        let process = message.process;
        if self.processes[process.0].dead {
            message.client = None;
            self.keep(number, message);
            return Woken::Nothing;
        }
        if let Some(at) = self.paused_until(process) {
            if self.random.happens(300) {
                self.encounters.mishap("closed while paused");
                message.heard = Some(HeardInstead::Closed);
            }
            self.due(at, AgendaEntry::Answer(number));
            self.messages.insert(number, message);
            return Woken::Nothing;
        }
        // The client may have dropped the request.
        let listens = message.client.take().filter(|client| !client.is_closed());
        let received = listens.is_some_and(|client| client.send(self.heard(&mut message)).is_ok());
        self.keep(number, message);
        if received { Woken::Task } else { Woken::Nothing }
    }

    fn heard(&mut self, message: &mut Message) -> ClientAnswer {
        let reply = match (message.heard, message.reply.take()) {
            (Some(heard @ (HeardInstead::Closed | HeardInstead::Nothing)), _) => {
                Err(conversions::unanswered(&heard.to_string()))
            }
            (Some(HeardInstead::Status(status, code)), _) => Err(conversions::status(status, code)),
            (None, Some(ServerReply::Refused(refusal))) => Err(conversions::refused(refusal)),
            (None, Some(reply)) => Ok(reply),
            // The second arrival of a Complete is still running.
            (None, None) => Err(conversions::unanswered("connection closed")),
        };
        if let Ok(reply) = &reply {
            self.auditor.heard(self.processes[message.process.0].attempt, reply);
        }
        let name = self.name_of(message.process);
        self.trace(&name, || match &reply {
            Ok(reply) => format!("    hears {}: {}", message.label, description::reply(reply)),
            Err(fault) => format!("    hears {}: {fault:?}", message.label),
        });
        ClientAnswer { reply, tag: message.tag, body: message.body }
    }
}
