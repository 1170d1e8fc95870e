//! The mishaps of a seed, and the events without a client.

use rawsink::{ErrorKind, store::Object};

use super::start;
use crate::simulation::{
    mishaps::{HeardInstead, MISHAPS, Mishap, MishapEffect},
    random::Random,
    request_kind::RequestKind,
    time::{HOUR, MINUTE, Micros},
};

/// The requests on which the guarantees depend most.
const DELICATE: [RequestKind; 13] = [
    RequestKind::Put(Object::Seal),
    RequestKind::Put(Object::Seal),
    RequestKind::Put(Object::Seal),
    RequestKind::Put(Object::Payload),
    RequestKind::Complete,
    RequestKind::Complete,
    RequestKind::Abort,
    RequestKind::CreateUpload,
    RequestKind::Uploads,
    RequestKind::Head(Object::Payload),
    RequestKind::Head(Object::Seal),
    RequestKind::Get(Object::Seal),
    RequestKind::Part,
];

/// The answers of a server with wrong settings.
const REFUSALS: [HeardInstead; 4] = [
    HeardInstead::Status(403, "AccessDenied"),
    HeardInstead::Status(501, "NotImplemented"),
    HeardInstead::Status(404, "NoSuchBucket"),
    HeardInstead::Status(400, "InvalidRequest"),
];

/// The mishaps of a seed, and their rates.
#[derive(Debug)]
pub(in crate::simulation) struct MishapPlan {
    pub(in crate::simulation) per_mille: u64,
    /// The most frequent mishap.
    pub(in crate::simulation) favourite: Option<&'static Mishap>,
    /// Kinds of requests that meet trouble often, and the troubles to choose from.
    pub(in crate::simulation) focus: Vec<(RequestKind, Vec<RequestTrouble>)>,
    pub(in crate::simulation) crashes_per_mille: u64,
    pub(in crate::simulation) pauses_per_mille: u64,
    pub(in crate::simulation) windows: Vec<OutageWindow>,
}

/// The trouble of a request and of its sender.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct RequestTrouble {
    pub(in crate::simulation) effect: Option<MishapEffect>,
    pub(in crate::simulation) then: SenderFate,
}

/// What happens to a process that sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum SenderFate {
    Continues,
    KilledBefore,
    KilledAfter,
    Pauses,
}

/// A time in which the server refuses a kind of request.
#[derive(Debug)]
pub(in crate::simulation) struct OutageWindow {
    pub(in crate::simulation) name: &'static str,
    pub(in crate::simulation) from: Micros,
    pub(in crate::simulation) until: Micros,
    pub(in crate::simulation) heard: HeardInstead,
    /// `None` for every request.
    pub(in crate::simulation) op: Option<RequestKind>,
}

impl OutageWindow {
    /// Returns whether the server refuses a request that is sent now.
    pub(in crate::simulation) fn is_open(&self, op: RequestKind, now: Micros) -> bool {
        (self.from..self.until).contains(&now) && self.op.is_none_or(|only| only == op)
    }
}

/// An event without a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum WorldEvent {
    /// A lifecycle rule aborts uploads that are older than an hour.
    Lifecycle,
    /// The server lists an aborted upload again.
    Echo,
    /// The server's garbage collection runs.
    Garbage,
    /// Software outside the protocol changes a sealed payload.
    Vandal,
    /// Software outside the protocol changes a seal.
    SealVandal,
    /// A process is killed.
    Kill,
    /// A process is paused.
    Pause,
}

impl MishapPlan {
    pub(super) fn draw(random: &mut Random) -> Self {
        let favourite =
            MISHAPS.get(usize::try_from(random.below(2 * MISHAPS.len() as u64)).expect("an index"));
        Self {
            per_mille: random.pick(&[0, 10, 50, 150, 300]),
            favourite,
            focus: (0..random.pick(&[0, 0, 0, 1, 1, 2])).map(|_| focus(random)).collect(),
            crashes_per_mille: random.pick(&[0, 0, 10, 40]),
            pauses_per_mille: random.pick(&[0, 0, 10, 50]),
            windows: if random.happens(150) { vec![window(random)] } else { Vec::new() },
        }
    }

    /// Returns the kinds of errors that only wrong settings cause.
    pub(in crate::simulation) fn refusals(&self) -> Vec<ErrorKind> {
        let windows = self.windows.iter().map(|window| window.heard);
        let focus = self.focus.iter().flat_map(|(_, troubles)| troubles);
        let focus = focus.filter_map(|trouble| match trouble.effect {
            Some(MishapEffect::NotApplied(said)) => Some(said),
            _ => None,
        });
        let kinds = windows.chain(focus).filter_map(|said| match said {
            HeardInstead::Status(403, _) => Some(ErrorKind::Denied),
            HeardInstead::Status(501, _) => Some(ErrorKind::Unsupported),
            HeardInstead::Status(404, _) | HeardInstead::Status(400, "InvalidRequest") => {
                Some(ErrorKind::Invalid)
            }
            _ => None,
        });
        kinds.collect()
    }
}

fn focus(random: &mut Random) -> (RequestKind, Vec<RequestTrouble>) {
    let op = random.pick(&DELICATE);
    (op, (0..random.between(1, 3)).map(|_| trouble(random, op)).collect())
}

fn trouble(random: &mut Random, op: RequestKind) -> RequestTrouble {
    let mishap = random.pick(&MISHAPS);
    let effect = Some(mishap.effect).filter(|_| mishap.affects(op));
    let refused = Some(MishapEffect::NotApplied(random.pick(&REFUSALS)));
    let late = Some(MishapEffect::Late(HeardInstead::Nothing));
    let early = if op == RequestKind::Abort { Some(MishapEffect::Early) } else { late };
    let (effect, then) = random.pick(&[
        (effect, SenderFate::Continues),
        (effect, SenderFate::Pauses),
        (None, SenderFate::KilledBefore),
        (None, SenderFate::KilledAfter),
        (late, SenderFate::KilledAfter),
        (late, SenderFate::Pauses),
        (early, SenderFate::Continues),
        (refused, SenderFate::Continues),
    ]);
    RequestTrouble { effect, then }
}

fn window(random: &mut Random) -> OutageWindow {
    let ops = DELICATE.map(Some);
    let (name, heard) = random.pick(&[
        ("outage, closed", HeardInstead::Closed),
        ("outage, 503", HeardInstead::Status(503, "SlowDown")),
        ("time of 403", REFUSALS[0]),
        ("time of 501", REFUSALS[1]),
        ("time of 404", REFUSALS[2]),
        ("time of 400", REFUSALS[3]),
    ]);
    let from = start() + random.up_to(10 * MINUTE);
    let op = if random.happens(200) { None } else { random.pick(&ops) };
    OutageWindow { name, from, until: from + random.up_to(HOUR), heard, op }
}

/// Draws the events and their times.
pub(super) fn events(random: &mut Random) -> Vec<(Micros, WorldEvent)> {
    use WorldEvent::{Echo, Garbage, Kill, Lifecycle, Pause, Vandal};
    let mut events: Vec<_> = (0..random.up_to(8))
        .map(|_| {
            let at = start() + random.up_to(3 * HOUR);
            (at, random.pick(&[Lifecycle, Echo, Garbage, Kill, Pause]))
        })
        .collect();
    if random.happens(50) {
        events.push((start() + random.up_to(HOUR), Vandal));
    }
    events
}
