//! What goes wrong, and what happens by itself.

use rawsink::{ErrorKind, store::Object};

use super::start;
use crate::simulation::{
    faults::{Effect, FAULTS, Fault, Said},
    random::Random,
    requests::Op,
    time::{HOUR, MINUTE, Micros},
};

/// The requests on which most depends.
const DELICATE: [Op; 13] = [
    Op::Create(Object::Seal),
    Op::Create(Object::Seal),
    Op::Create(Object::Seal),
    Op::Create(Object::Payload),
    Op::Complete,
    Op::Complete,
    Op::Abort,
    Op::CreateUpload,
    Op::Uploads,
    Op::Head(Object::Payload),
    Op::Head(Object::Seal),
    Op::Get(Object::Seal),
    Op::Part,
];

/// What goes wrong, and how often.
#[derive(Debug)]
pub(in crate::simulation) struct Weather {
    pub(in crate::simulation) faults_per_mille: u64,
    /// The fault that is met mostly.
    pub(in crate::simulation) favourite: Option<&'static Fault>,
    /// What happens to most requests of one kind.
    pub(in crate::simulation) focus: Option<(Op, Trouble)>,
    pub(in crate::simulation) crashes_per_mille: u64,
    pub(in crate::simulation) pauses_per_mille: u64,
    pub(in crate::simulation) windows: Vec<Window>,
}

/// What happens to a request, and to the process that sends it.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulation) struct Trouble {
    pub(in crate::simulation) effect: Option<Effect>,
    pub(in crate::simulation) then: Then,
}

/// What happens to a process when it sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum Then {
    GoesOn,
    KilledBefore,
    KilledAfter,
    StandsStill,
}

/// A time in which a kind of request is refused.
#[derive(Debug)]
pub(in crate::simulation) struct Window {
    pub(in crate::simulation) name: &'static str,
    pub(in crate::simulation) from: Micros,
    pub(in crate::simulation) until: Micros,
    pub(in crate::simulation) said: Said,
    /// `None` for every request.
    pub(in crate::simulation) op: Option<Op>,
}

impl Window {
    /// Tells whether a request that is sent now is refused.
    pub(in crate::simulation) fn is_open(&self, op: Op, now: Micros) -> bool {
        (self.from..self.until).contains(&now) && self.op.is_none_or(|only| only == op)
    }
}

/// What happens without anybody's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum Happening {
    /// A lifecycle rule ends uploads that are older than an hour.
    Lifecycle,
    /// The server lists an upload that was ended again.
    Echo,
    /// The server's garbage collection runs.
    Garbage,
    /// Somebody who follows no rule changes a sealed payload.
    Vandal,
    /// A process is killed.
    Kill,
    /// A process stands still.
    Pause,
}

impl Weather {
    pub(super) fn draw(random: &mut Random) -> Self {
        let favourite =
            FAULTS.get(usize::try_from(random.below(2 * FAULTS.len() as u64)).expect("an index"));
        Self {
            faults_per_mille: random.pick(&[0, 10, 50, 150, 300]),
            favourite,
            focus: if random.happens(400) { Some(focus(random)) } else { None },
            crashes_per_mille: random.pick(&[0, 0, 10, 40]),
            pauses_per_mille: random.pick(&[0, 0, 10, 50]),
            windows: if random.happens(150) { vec![window(random)] } else { Vec::new() },
        }
    }

    /// Returns the kinds of errors that only a server has that is set up wrong.
    pub(in crate::simulation) fn refusals(&self) -> Vec<ErrorKind> {
        let of_status = |status| match status {
            403 => Some(ErrorKind::Denied),
            501 => Some(ErrorKind::Unsupported),
            400 | 404 => Some(ErrorKind::Invalid),
            _ => None,
        };
        let windows = self.windows.iter();
        let kinds = windows.filter_map(|window| match window.said {
            Said::Status(status, _) => of_status(status),
            _ => None,
        });
        kinds.collect()
    }
}

fn focus(random: &mut Random) -> (Op, Trouble) {
    let op = random.pick(&DELICATE);
    let fault = random.pick(&FAULTS);
    let effect = Some(fault.effect).filter(|_| fault.can_meet(op));
    let late = Some(Effect::Late(Said::Nothing));
    let (effect, then) = random.pick(&[
        (effect, Then::GoesOn),
        (effect, Then::StandsStill),
        (None, Then::KilledBefore),
        (None, Then::KilledAfter),
        (late, Then::KilledAfter),
        (late, Then::StandsStill),
    ]);
    (op, Trouble { effect, then })
}

fn window(random: &mut Random) -> Window {
    let ops = DELICATE.map(Some);
    let (name, said) = random.pick(&[
        ("outage, closed", Said::Closed),
        ("outage, 503", Said::Status(503, "SlowDown")),
        ("time of 403", Said::Status(403, "AccessDenied")),
        ("time of 501", Said::Status(501, "NotImplemented")),
        ("time of 404", Said::Status(404, "NoSuchBucket")),
        ("time of 400", Said::Status(400, "InvalidRequest")),
    ]);
    let from = start() + random.up_to(10 * MINUTE);
    let op = if random.happens(200) { None } else { random.pick(&ops) };
    Window { name, from, until: from + random.up_to(HOUR), said, op }
}

/// Draws what happens, and when.
pub(super) fn happenings(random: &mut Random) -> Vec<(Micros, Happening)> {
    use Happening::{Echo, Garbage, Kill, Lifecycle, Pause, Vandal};
    let mut happenings: Vec<_> = (0..random.up_to(8))
        .map(|_| {
            let at = start() + random.up_to(3 * HOUR);
            (at, random.pick(&[Lifecycle, Echo, Garbage, Kill, Pause]))
        })
        .collect();
    if random.happens(50) {
        happenings.push((start() + random.up_to(HOUR), Vandal));
    }
    happenings
}
