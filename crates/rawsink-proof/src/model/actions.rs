//! The possible next events.

use fake_s3::{CompleteStart, Stamp};

use super::{
    Protocol,
    configuration::UploadOrder,
    network::{self, InFlight, Phase, SentRequest, ServerAnswer},
    time::{ClockReading, WaitMarks},
    variant::Variant,
    world::{CleanRun, ModelState, NextState},
    writer::{
        CheckMoment, CheckReason, ModelWriter, PayloadSeen, PayloadWay, ProtocolStep, WriterResult,
    },
};

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelAction {
    /// An attempt begins, with a payload of this size.
    Begins(u8, PayloadWay),
    /// An attempt continues by itself.
    Goes(u8),
    /// An attempt's request is applied and answered. A new upload gets this position in the listing.
    Answered(u8, ClockReading, u8),
    /// An attempt stops waiting for an answer.
    Unanswered(u8),
    /// The server refuses an attempt's request.
    Refused(u8),
    /// An attempt finds its check too old to send the seal.
    TooLate(u8),
    /// An attempt fails by itself.
    Fails(u8),
    /// An attempt dies.
    Dies(u8),
    /// A request without a waiting sender is applied. A new upload gets this position in the listing.
    Applied(InFlight, u8),
    /// A running Complete ends.
    CompleteEnds(InFlight),
    /// `clean` lists the uploads.
    CleanBegins,
    /// `clean` aborts an upload.
    Cleans(u8),
    /// An aborted upload is listed again.
    ListedAgain(u8),
}

impl Protocol {
    /// Lists the possible events in a state.
    pub(super) fn possible(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        let number = |n: usize| u8::try_from(n).expect("there are few");
        for (w, writer) in state.writers.iter().enumerate() {
            if writer.is_alive() {
                self.possible_for(state, number(w), writer, actions);
            }
        }
        // Attempts that have not begun are equal, so they begin in the order of their numbers.
        if let Some(w) = state.writers.iter().position(|writer| writer.step == ProtocolStep::Idle) {
            let ways = self.configuration.ways.iter();
            actions.extend(ways.map(|way| ModelAction::Begins(number(w), *way)));
        }
        for flight in state.network.iter() {
            match (flight.phase, flight.sent) {
                (Phase::Runs, _) => actions.push(ModelAction::CompleteEnds(flight)),
                (Phase::Sent, SentRequest::CreateUpload(_)) => {
                    let places = self.places(state);
                    actions.extend(places.map(|place| ModelAction::Applied(flight, place)));
                }
                (Phase::Sent, _) => actions.push(ModelAction::Applied(flight, 0)),
            }
        }
        self.possible_beside(state, actions);
    }

    fn possible_for(
        &self,
        state: &ModelState,
        w: u8,
        writer: &ModelWriter,
        actions: &mut Vec<ModelAction>,
    ) {
        match writer.step {
            ProtocolStep::Rows
            | ProtocolStep::SendComplete
            | ProtocolStep::SendList(_)
            | ProtocolStep::Listed(..) => {
                actions.push(ModelAction::Goes(w));
            }
            ProtocolStep::WaitForGrace(_) if state.may_outwait(&self.configuration, w) => {
                actions.push(ModelAction::Goes(w));
            }
            ProtocolStep::WaitForGrace(_) | ProtocolStep::CompleteRuns => {}
            ProtocolStep::CreateUpload(_) => {
                let places = self.places(state);
                actions.extend(
                    places.map(|place| ModelAction::Answered(w, ClockReading::InTime, place)),
                );
            }
            ProtocolStep::Seal => {
                let bound = self.configuration.variant != Variant::WithoutDeadline;
                if !bound || writer.check.is_some_and(|check| !check.outlived) {
                    actions.push(ModelAction::Answered(w, ClockReading::InTime, 0));
                    actions.push(ModelAction::Answered(w, ClockReading::Late, 0));
                }
                if bound {
                    actions.push(ModelAction::TooLate(w));
                }
            }
            _ => {
                actions.push(ModelAction::Answered(w, ClockReading::InTime, 0));
                if asks_clock(writer) {
                    actions.push(ModelAction::Answered(w, ClockReading::Late, 0));
                }
            }
        }
        let faults = &state.faults;
        let waits = !matches!(
            writer.step,
            ProtocolStep::Rows
                | ProtocolStep::WaitForGrace(_)
                | ProtocolStep::SendComplete
                | ProtocolStep::SendList(_)
                | ProtocolStep::Listed(..)
        );
        let changes = writer.request().is_some() && writer.step != ProtocolStep::Part;
        if faults.unanswered > 0 && changes {
            actions.push(ModelAction::Unanswered(w));
        }
        if faults.refused > 0 && waits && writer.step != ProtocolStep::CompleteRuns {
            actions.push(ModelAction::Refused(w));
        }
        if faults.failed > 0 && writer.step != ProtocolStep::Seal {
            actions.push(ModelAction::Fails(w));
        }
        if faults.died > 0 {
            actions.push(ModelAction::Dies(w));
        }
    }

    fn possible_beside(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        let is_open = !state.bucket.uploads.is_empty();
        if state.faults.cleaned > 0 && state.cleaning == CleanRun::No && is_open {
            actions.push(ModelAction::CleanBegins);
        }
        if state.cleaning != CleanRun::No {
            actions.extend(state.cleanable(&self.configuration).iter().map(ModelAction::Cleans));
        }
        if state.faults.listed_again > 0 {
            let ended = state.bucket.aborted_uploads();
            let id = |id| u8::try_from(id).expect("ids are small");
            actions.extend(ended.map(|upload| ModelAction::ListedAgain(id(upload))));
        }
    }

    /// Returns the possible positions of a new upload in the listing.
    fn places(&self, state: &ModelState) -> impl Iterator<Item = u8> + use<> {
        let listed = u8::try_from(state.bucket.uploads.len()).expect("there are few");
        let first = if self.configuration.order == UploadOrder::Any { 0 } else { listed };
        first..=listed
    }

    /// Returns the state after an event, and the result that the acting attempt tells its caller.
    pub(super) fn happens(
        &self,
        state: &ModelState,
        action: ModelAction,
    ) -> (ModelState, Option<WriterResult>) {
        let mut world = self.world(state);
        match action {
            ModelAction::Begins(w, way) => {
                world.writer_mut(w).way = way;
                world.go(w, ProtocolStep::Begin);
            }
            ModelAction::Goes(w) => world.goes(w),
            ModelAction::Answered(w, clock, place) => {
                (world.clock, world.place) = (clock, place);
                world.answered(w);
            }
            ModelAction::Unanswered(w) => {
                world.state.faults.unanswered -= 1;
                world.unanswered(w);
            }
            ModelAction::Refused(w) => {
                world.state.faults.refused -= 1;
                world.refused(w);
            }
            ModelAction::TooLate(w) => world.too_late_to_seal(w),
            ModelAction::Fails(w) => {
                world.state.faults.failed -= 1;
                world.fails(w);
            }
            ModelAction::Dies(w) => {
                world.state.faults.died -= 1;
                world.dies(w);
            }
            ModelAction::Applied(flight, place) => {
                world.place = place;
                world.state.network.take(flight);
                world.applied(flight);
            }
            ModelAction::CompleteEnds(flight) => {
                world.state.network.take(flight);
                world.complete_ends(flight);
            }
            ModelAction::CleanBegins => {
                world.state.faults.cleaned -= 1;
                world.clean_begins();
            }
            ModelAction::Cleans(id) => world.cleans(id),
            ModelAction::ListedAgain(id) => {
                world.state.faults.listed_again -= 1;
                world.state.bucket.list_again(id.into());
                network::close_ranks(&mut world.state.bucket);
            }
        }
        world.tidy();
        (world.state, world.outcome)
    }
}

impl NextState<'_> {
    /// Applies a request without a waiting sender.
    fn applied(&mut self, flight: InFlight) {
        if let SentRequest::Complete(_, id, condition) = flight.sent
            && self.configuration.completes_slowly()
        {
            let (upload, parts) = (id.into(), network::PARTS.to_vec());
            let start = self.state.bucket.begin_complete(upload, parts, condition);
            if start == CompleteStart::Running {
                self.state.network.add(flight.sent, Phase::Runs, flight.marks);
            }
            return;
        }
        self.apply(flight.sent);
    }

    /// Ends a running Complete. Its sender may still wait for the answer.
    fn complete_ends(&mut self, flight: InFlight) {
        let SentRequest::Complete(_, id, _) = flight.sent else {
            unreachable!("only Complete runs")
        };
        let stamp = Stamp { time: 0, name: flight.sent.name() };
        let answer = self.state.bucket.end_complete(id.into(), stamp);
        network::close_ranks(&mut self.state.bucket);
        let waits = |writer: &ModelWriter| {
            writer.step == ProtocolStep::CompleteRuns && writer.upload == Some(id)
        };
        if let Some(w) = self.state.writers.iter().position(waits) {
            self.judge(u8::try_from(w).expect("there are few"), ServerAnswer::to_complete(answer));
        }
    }

    /// Removes details without an effect, so that equivalent states are equal.
    fn tidy(&mut self) {
        self.state.network.tidy(&self.state.bucket);
        let named = self.named();
        self.state.bucket.forget_uploads(|id| u8::try_from(id).is_ok_and(|id| named.contains(id)));
        if self.state.cleaning != CleanRun::No {
            self.tidy_cleaning();
        }
        debug_assert!(WaitMarks::CLEAN as usize >= self.state.writers.len(), "marks are apart");
    }
}

/// Returns whether an attempt reads its clock after the answer that it waits for.
fn asks_clock(writer: &ModelWriter) -> bool {
    let can_be_in_time = writer.check.is_some_and(|check| !check.outlived);
    can_be_in_time
        && matches!(
            writer.step,
            ProtocolStep::Put
                | ProtocolStep::Complete
                | ProtocolStep::CheckSeal(
                    CheckMoment::InDoubt | CheckMoment::UploadGone,
                    PayloadSeen::Mine
                )
                | ProtocolStep::List(CheckReason::BeforeSeal)
                | ProtocolStep::Head(CheckReason::BeforeSeal | CheckReason::SealInDoubt, _)
                | ProtocolStep::ReadSeal
        )
}
