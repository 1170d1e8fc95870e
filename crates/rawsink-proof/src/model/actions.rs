//! What can happen next, to whom.

use super::{
    Protocol,
    configuration::UploadOrder,
    network::{self, Flight, Phase, Sent},
    time::{Clock, Marks},
    variant::Variant,
    words::Content,
    world::{Cleaning, State, World},
    writer::{Reason, Seen, Step, Told, Way, When, Writer},
};
use crate::{
    model::words::Name,
    server::{Moment, Reply},
};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// An attempt begins, with a payload of this size.
    Begins(u8, Way),
    /// An attempt goes on by itself.
    Goes(u8),
    /// An attempt's request is applied and answered; a new upload comes at this place.
    Answered(u8, Clock, u8),
    /// An attempt stops waiting for an answer.
    Unanswered(u8),
    /// An attempt's request is refused.
    Refused(u8),
    /// An attempt finds that its look is too old for the seal that it was about to send.
    TooLate(u8),
    /// An attempt fails by itself.
    Fails(u8),
    /// An attempt dies.
    Dies(u8),
    /// A request is applied for whose answer nobody waits; a new upload comes at this place.
    Applied(Flight, u8),
    /// A Complete that runs ends.
    CompleteEnds(Flight),
    /// `clean` looks at the uploads.
    CleanBegins,
    /// `clean` ends an upload.
    Cleans(u8),
    /// An upload that was ended is listed again.
    ListedAgain(u8),
}

impl Protocol {
    /// Lists what can happen in a state.
    pub(super) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        let number = |n: usize| u8::try_from(n).expect("there are few");
        for (w, writer) in state.writers.iter().enumerate() {
            if writer.is_alive() {
                self.possible_for(state, number(w), writer, actions);
            }
        }
        // Attempts that have not begun are alike: they begin in the order of their numbers.
        if let Some(w) = state.writers.iter().position(|writer| writer.step == Step::Idle) {
            let ways = self.configuration.ways.iter();
            actions.extend(ways.map(|way| Action::Begins(number(w), *way)));
        }
        for flight in state.network.iter() {
            match (flight.phase, flight.sent) {
                (Phase::Runs, _) => actions.push(Action::CompleteEnds(flight)),
                (Phase::Sent, Sent::CreateUpload(_)) => {
                    let places = self.places(state);
                    actions.extend(places.map(|place| Action::Applied(flight, place)));
                }
                (Phase::Sent, _) => actions.push(Action::Applied(flight, 0)),
            }
        }
        self.possible_beside(state, actions);
    }

    fn possible_for(&self, state: &State, w: u8, writer: &Writer, actions: &mut Vec<Action>) {
        match writer.step {
            Step::Rows | Step::SendComplete | Step::SendList(_) | Step::Listed(..) => {
                actions.push(Action::Goes(w));
            }
            Step::WaitForGrace(_) if state.may_outwait(&self.configuration, w) => {
                actions.push(Action::Goes(w));
            }
            Step::WaitForGrace(_) | Step::CompleteRuns => {}
            Step::CreateUpload(_) => {
                let places = self.places(state);
                actions.extend(places.map(|place| Action::Answered(w, Clock::InTime, place)));
            }
            Step::Seal => {
                let bound = self.configuration.variant != Variant::WithoutDeadline;
                if !bound || writer.look.is_some_and(|look| !look.outlived) {
                    actions.push(Action::Answered(w, Clock::InTime, 0));
                    actions.push(Action::Answered(w, Clock::Late, 0));
                }
                if bound {
                    actions.push(Action::TooLate(w));
                }
            }
            _ => {
                actions.push(Action::Answered(w, Clock::InTime, 0));
                if asks_clock(writer) {
                    actions.push(Action::Answered(w, Clock::Late, 0));
                }
            }
        }
        let faults = &state.faults;
        let waits = !matches!(
            writer.step,
            Step::Rows
                | Step::WaitForGrace(_)
                | Step::SendComplete
                | Step::SendList(_)
                | Step::Listed(..)
        );
        let changes = writer.request().is_some() && writer.step != Step::Part;
        if faults.unanswered > 0 && changes {
            actions.push(Action::Unanswered(w));
        }
        if faults.refused > 0 && waits && writer.step != Step::CompleteRuns {
            actions.push(Action::Refused(w));
        }
        if faults.failed > 0 && writer.step != Step::Seal {
            actions.push(Action::Fails(w));
        }
        if faults.died > 0 {
            actions.push(Action::Dies(w));
        }
    }

    fn possible_beside(&self, state: &State, actions: &mut Vec<Action>) {
        let is_open = !state.bucket.uploads.is_empty();
        if state.faults.cleaned > 0 && state.cleaning == Cleaning::No && is_open {
            actions.push(Action::CleanBegins);
        }
        if state.cleaning != Cleaning::No {
            actions.extend(state.cleanable(&self.configuration).iter().map(Action::Cleans));
        }
        if state.faults.listed_again > 0 {
            let ended = state.bucket.ended();
            let id = |id| u8::try_from(id).expect("ids are small");
            actions.extend(ended.map(|upload| Action::ListedAgain(id(upload))));
        }
    }

    /// The places that a new upload may have among those that are listed.
    fn places(&self, state: &State) -> impl Iterator<Item = u8> + use<> {
        let listed = u8::try_from(state.bucket.uploads.len()).expect("there are few");
        let first = if self.configuration.order == UploadOrder::Any { 0 } else { listed };
        first..=listed
    }

    /// Does it; returns the state after it, and what the attempt that acted tells its caller.
    pub(super) fn happens(&self, state: &State, action: Action) -> (State, Option<Told>) {
        let mut world = self.world(state);
        match action {
            Action::Begins(w, way) => {
                world.writer_mut(w).way = way;
                world.go(w, Step::Begin);
            }
            Action::Goes(w) => world.goes(w),
            Action::Answered(w, clock, place) => {
                (world.clock, world.place) = (clock, place);
                world.answered(w);
            }
            Action::Unanswered(w) => {
                world.state.faults.unanswered -= 1;
                world.unanswered(w);
            }
            Action::Refused(w) => {
                world.state.faults.refused -= 1;
                world.refused(w);
            }
            Action::TooLate(w) => world.too_late_to_seal(w),
            Action::Fails(w) => {
                world.state.faults.failed -= 1;
                world.fails(w);
            }
            Action::Dies(w) => {
                world.state.faults.died -= 1;
                world.dies(w);
            }
            Action::Applied(flight, place) => {
                world.place = place;
                world.state.network.take(flight);
                world.applied(flight);
            }
            Action::CompleteEnds(flight) => {
                world.state.network.take(flight);
                world.complete_ends(flight);
            }
            Action::CleanBegins => {
                world.state.faults.cleaned -= 1;
                world.clean_begins();
            }
            Action::Cleans(id) => world.cleans(id),
            Action::ListedAgain(id) => {
                world.state.faults.listed_again -= 1;
                world.state.bucket.list_again(id.into());
                network::close_ranks(&mut world.state.bucket);
            }
        }
        world.tidy();
        (world.state, world.told)
    }
}

impl World<'_> {
    /// A request is applied for whose answer nobody waits.
    fn applied(&mut self, flight: Flight) {
        if let Sent::Complete(_, id, creates) = flight.sent
            && self.configuration.completes_slowly()
        {
            let (upload, parts) = (id.into(), network::PARTS.to_vec());
            let begun = self.state.bucket.begin_complete(upload, parts, creates.condition());
            if begun.is_ok() {
                self.state.network.add(flight.sent, Phase::Runs, flight.marks);
            }
            return;
        }
        self.apply(flight.sent);
    }

    /// A Complete ends; its sender may still wait for the answer.
    fn complete_ends(&mut self, flight: Flight) {
        let Sent::Complete(_, id, _) = flight.sent else { unreachable!("only Complete runs") };
        let at = Moment { time: 0, name: flight.sent.name() };
        let reply: Reply<Name, Content, _> = self.state.bucket.end_complete(id.into(), at);
        network::close_ranks(&mut self.state.bucket);
        let waits =
            |writer: &Writer| writer.step == Step::CompleteRuns && writer.upload == Some(id);
        if let Some(w) = self.state.writers.iter().position(waits) {
            self.judge(u8::try_from(w).expect("there are few"), &reply);
        }
    }

    /// Forgets what has no meaning any more, so that states that are alike are equal.
    fn tidy(&mut self) {
        self.state.network.tidy(&self.state.bucket);
        let named = self.named();
        self.state.bucket.forget_gone(|id| u8::try_from(id).is_ok_and(|id| named.contains(id)));
        if self.state.cleaning != Cleaning::No {
            self.tidy_cleaning();
        }
        debug_assert!(Marks::CLEAN as usize >= self.state.writers.len(), "marks are apart");
    }
}

/// Tells whether the answer that an attempt waits for makes it look at its clock.
fn asks_clock(writer: &Writer) -> bool {
    let can_be_in_time = writer.look.is_some_and(|look| !look.outlived);
    can_be_in_time
        && matches!(
            writer.step,
            Step::Put
                | Step::Complete
                | Step::LookAtSeal(When::InDoubt | When::UploadGone, Seen::Mine)
                | Step::List(Reason::BeforeSeal)
                | Step::Head(Reason::BeforeSeal | Reason::SealInDoubt, _)
                | Step::ReadSeal
        )
}
