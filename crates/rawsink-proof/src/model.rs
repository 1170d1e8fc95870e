//! The protocol of one run on object storage as a state machine, explored in every interleaving.
//!
//! Several attempts at one run share one [`FakeBucket`]. They live at the same time or one after the
//! other. The server applies a request at any moment after it was sent, also after its sender gave up
//! or died. Answers get lost. Attempts die, fail and pause anywhere. The steps have the names of the
//! library's `store/s3/protocol.rs`.
//!
//! | file | what it is |
//! |---|---|
//! | `configuration` | the attempts, the server, and the limits on faults |
//! | `writer` | the state of an attempt |
//! | `steps` | the steps of an attempt |
//! | `network` | requests whose sender does not wait |
//! | `time` | why time needs no numbers |
//! | `clean` | `clean` next to writers |
//! | `actions` | the possible next events |
//! | `properties`, `lone` | the guarantees |
//! | `variant` | the protocol with a planted bug |
//! | `cases` | the explorations and their expected results |
//! | `counter_examples` | planted bugs and violated assumptions |
//! | `report`, `story` | results and counter-examples as text |
//!
//! A read is applied and answered in one step. So is a change whose sender waits for the answer. A delay
//! within such a step equals a delay before the request.

mod actions;
pub mod cases;
mod clean;
mod configuration;
pub mod counter_examples;
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

use fake_s3::{FakeBucket, Stamp};
use stateright::{Model, Property};

pub use self::{
    actions::ModelAction,
    configuration::{
        Configuration, FaultBudget, OnLeftover, RequestDelay, ServerKind, UploadOrder,
    },
    properties::{G02, G03, G04, G05, G06, G07, G08, G09},
    variant::Variant,
    world::ModelState,
    writer::{PayloadWay, WriterResult},
};
use self::{
    lone::Tried,
    network::{InFlight, Network, SentRequest},
    time::ClockReading,
    words::ModelBucket,
    world::{CleanRun, NextState, Violations},
    writer::ModelWriter,
};

/// The state machine of one configuration.
#[derive(Debug)]
pub struct Protocol {
    configuration: Configuration,
    tried: Tried,
    /// The results that attempts returned, one bit each.
    results: AtomicU32,
}

impl Protocol {
    /// Creates the state machine.
    pub fn new(configuration: Configuration) -> Self {
        Self { configuration, tried: Tried::default(), results: AtomicU32::new(0) }
    }

    /// Returns the results that attempts returned in the explored states.
    pub fn results(&self) -> Vec<WriterResult> {
        let results = self.results.load(Ordering::Relaxed);
        WriterResult::ALL.into_iter().filter(|kind| results & bit(*kind) != 0).collect()
    }

    fn initial(&self) -> ModelState {
        ModelState {
            bucket: FakeBucket::new(self.configuration.store.behaviour()),
            network: Network::default(),
            writers: (0..self.configuration.writers).map(ModelWriter::idle).collect(),
            cleaning: CleanRun::No,
            faults: self.configuration.faults,
            broken: Violations::default(),
        }
    }

    fn world(&self, state: &ModelState) -> NextState<'_> {
        let (state, clock, place) = (state.clone(), ClockReading::InTime, 0);
        NextState { configuration: &self.configuration, state, clock, place, outcome: None }
    }

    fn end_running(bucket: &mut ModelBucket, flight: InFlight) {
        if let SentRequest::Complete(_, id, _) = flight.sent {
            let stamp = Stamp { time: 0, name: flight.sent.name() };
            let _ = bucket.end_complete(id.into(), stamp);
            network::close_ranks(bucket);
        }
    }
}

fn bit(outcome: WriterResult) -> u32 {
    1 << WriterResult::ALL.iter().position(|kind| *kind == outcome).expect("it is one of all")
}

impl Model for Protocol {
    type State = ModelState;
    type Action = ModelAction;

    fn init_states(&self) -> Vec<ModelState> {
        vec![self.initial()]
    }

    fn actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        self.possible(state, actions);
    }

    fn next_state(&self, last: &ModelState, action: ModelAction) -> Option<ModelState> {
        let (mut next, outcome) = self.happens(last, action);
        next.broken = Self::broken(last, action, &next, outcome);
        if let Some(outcome) = outcome {
            self.results.fetch_or(bit(outcome), Ordering::Relaxed);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Self::all_properties()
    }
}
