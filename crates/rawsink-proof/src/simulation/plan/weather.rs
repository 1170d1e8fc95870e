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

/// What a server answers that is set up wrong.
const REFUSALS: [Said; 4] = [
    Said::Status(403, "AccessDenied"),
    Said::Status(501, "NotImplemented"),
    Said::Status(404, "NoSuchBucket"),
    Said::Status(400, "InvalidRequest"),
];

/// What goes wrong, and how often.
#[derive(Debug)]
pub(in crate::simulation) struct Weather {
    pub(in crate::simulation) faults_per_mille: u64,
    /// The fault that is met mostly.
    pub(in crate::simulation) favourite: Option<&'static Fault>,
    /// What happens to many requests of some kinds, one of these to each.
    pub(in crate::simulation) focus: Vec<(Op, Vec<Trouble>)>,
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
            focus: (0..random.pick(&[0, 0, 0, 1, 1, 2])).map(|_| focus(random)).collect(),
            crashes_per_mille: random.pick(&[0, 0, 10, 40]),
            pauses_per_mille: random.pick(&[0, 0, 10, 50]),
            windows: if random.happens(150) { vec![window(random)] } else { Vec::new() },
        }
    }

    /// Returns the kinds of errors that only a server has that is set up wrong.
    pub(in crate::simulation) fn refusals(&self) -> Vec<ErrorKind> {
        let windows = self.windows.iter().map(|window| window.said);
        let focus = self.focus.iter().flat_map(|(_, troubles)| troubles);
        let focus = focus.filter_map(|trouble| match trouble.effect {
            Some(Effect::NotApplied(said)) => Some(said),
            _ => None,
        });
        let kinds = windows.chain(focus).filter_map(|said| match said {
            Said::Status(403, _) => Some(ErrorKind::Denied),
            Said::Status(501, _) => Some(ErrorKind::Unsupported),
            Said::Status(404, _) | Said::Status(400, "InvalidRequest") => Some(ErrorKind::Invalid),
            _ => None,
        });
        kinds.collect()
    }
}

fn focus(random: &mut Random) -> (Op, Vec<Trouble>) {
    let op = random.pick(&DELICATE);
    (op, (0..random.between(1, 3)).map(|_| trouble(random, op)).collect())
}

fn trouble(random: &mut Random, op: Op) -> Trouble {
    let fault = random.pick(&FAULTS);
    let effect = Some(fault.effect).filter(|_| fault.can_meet(op));
    let refused = Some(Effect::NotApplied(random.pick(&REFUSALS)));
    let late = Some(Effect::Late(Said::Nothing));
    let early = if op == Op::Abort { Some(Effect::Early) } else { late };
    let (effect, then) = random.pick(&[
        (effect, Then::GoesOn),
        (effect, Then::StandsStill),
        (None, Then::KilledBefore),
        (None, Then::KilledAfter),
        (late, Then::KilledAfter),
        (late, Then::StandsStill),
        (early, Then::GoesOn),
        (refused, Then::GoesOn),
    ]);
    Trouble { effect, then }
}

fn window(random: &mut Random) -> Window {
    let ops = DELICATE.map(Some);
    let (name, said) = random.pick(&[
        ("outage, closed", Said::Closed),
        ("outage, 503", Said::Status(503, "SlowDown")),
        ("time of 403", REFUSALS[0]),
        ("time of 501", REFUSALS[1]),
        ("time of 404", REFUSALS[2]),
        ("time of 400", REFUSALS[3]),
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
