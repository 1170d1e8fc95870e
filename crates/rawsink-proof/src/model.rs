//! The protocol of one run on object storage as a state machine, every interleaving of which is
//! explored.
//!
//! Several attempts at one run, alive together or one after the other, work on one
//! [`server`](crate::server). A request is applied at any moment after it was sent, also after its
//! sender gave up or died; answers get lost; attempts die, fail and are paused anywhere. The steps
//! are those of the library's `store/s3/protocol.rs`, and are named as there.
//!
//! | file | what it is |
//! |---|---|
//! | `configuration` | which attempts on which store, and what may go wrong how often |
//! | `writer` | what an attempt knows and where it stands |
//! | `steps` | what it does, step by step |
//! | `network` | requests for whose answer nobody waits |
//! | `time` | why time needs no numbers |
//! | `clean` | `clean` beside writers |
//! | `actions` | what can happen next |
//! | `properties`, `lone` | what must hold |
//! | `variant` | the protocol with a step left out, to see that it is missed |
//! | `cases` | what is explored, and what has to be found |
//! | `report`, `story` | the same in words |
//!
//! A read is applied and answered at one moment; so is a change for whose answer somebody waits. The
//! moments between are no different from a writer that is slow before it sends.

mod actions;
pub mod cases;
mod clean;
mod configuration;
mod ids;
mod lone;
mod network;
pub(crate) mod properties;
pub mod report;
mod steps;
mod story;
#[cfg(test)]
mod tests;
mod time;
mod variant;
mod words;
mod world;
mod writer;

use std::sync::atomic::{AtomicU32, Ordering};

use stateright::{Model, Property};

pub use self::{
    actions::Action,
    configuration::{Configuration, Faults, Leftovers, Requests, Store, UploadOrder},
    properties::{G02, G03, G04, G05, G06, G07, G08, G09},
    variant::Variant,
    world::State,
    writer::{Told, Way},
};
use self::{
    lone::Tried,
    network::{Flight, Network, Sent},
    properties::Broken,
    time::Clock,
    words::Bucket,
    world::{Cleaning, World},
    writer::Writer,
};
use crate::server::{Moment, Server};

/// The state machine of one configuration.
#[derive(Debug)]
pub struct Protocol {
    configuration: Configuration,
    tried: Tried,
    /// Which outcomes were told, a bit each.
    told: AtomicU32,
}

impl Protocol {
    /// Makes the state machine.
    pub fn new(configuration: Configuration) -> Self {
        Self { configuration, tried: Tried::default(), told: AtomicU32::new(0) }
    }

    /// Returns what attempts were told in the states explored so far.
    pub fn told(&self) -> Vec<Told> {
        let told = self.told.load(Ordering::Relaxed);
        Told::ALL.into_iter().filter(|kind| told & bit(*kind) != 0).collect()
    }

    fn initial(&self) -> State {
        State {
            bucket: Server::new(self.configuration.store.behaviour()),
            network: Network::default(),
            writers: (0..self.configuration.writers).map(Writer::idle).collect(),
            cleaning: Cleaning::No,
            faults: self.configuration.faults,
            broken: Broken::default(),
        }
    }

    fn world(&self, state: &State) -> World<'_> {
        let (state, clock, place) = (state.clone(), Clock::InTime, 0);
        World { configuration: &self.configuration, state, clock, place, told: None }
    }

    fn end_running(bucket: &mut Bucket, flight: Flight) {
        if let Sent::Complete(_, id, _) = flight.sent {
            bucket.end_complete(id.into(), Moment { time: 0, name: flight.sent.name() });
            network::close_ranks(bucket);
        }
    }
}

fn bit(told: Told) -> u32 {
    1 << Told::ALL.iter().position(|kind| *kind == told).expect("it is one of all")
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let (mut next, told) = self.happens(last, action);
        next.broken = Self::broken(last, action, &next, told);
        if let Some(told) = told {
            self.told.fetch_or(bit(told), Ordering::Relaxed);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Self::all_properties()
    }
}
