//! What every command works with: settings, sink, state and output.

use std::sync::Arc;

use rawsink::{
    RawSink, Settings,
    clock::{Notices, Surroundings},
    config::Loaded,
    state::{self, PartitionState},
    store::Blocking,
};

use crate::{
    exit::Failure,
    output::{self, Output},
};

/// The settings of this call and what they open.
#[derive(Debug)]
pub(crate) struct Context<'output> {
    pub(crate) loaded: Loaded,
    pub(crate) sink: RawSink,
    pub(crate) state: Arc<dyn PartitionState>,
    pub(crate) output: &'output Output,
}

impl<'output> Context<'output> {
    /// Reads the environment; warns of what looks like a typing error.
    pub(crate) fn from_env(output: &'output Output) -> Result<Self, Failure> {
        let loaded = Loaded::from_env()?;
        for warning in &loaded.warnings {
            output::warning(warning);
        }
        Self::new(loaded, output)
    }

    /// Opens given settings.
    pub(crate) fn new(mut loaded: Loaded, output: &'output Output) -> Result<Self, Failure> {
        // A command that does many things at once has a thread for each.
        loaded.settings.blocking = Blocking::Inline;
        let surroundings = Surroundings {
            notices: Notices::to(|sentence| output::note(sentence)),
            ..Surroundings::default()
        };
        let sink = RawSink::open_in(&loaded.settings, surroundings)?;
        let state = Arc::from(state::open(&loaded.settings)?);
        Ok(Self { loaded, sink, state, output })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Returns the root or prefix as it is configured; canonical paths may start with it.
    pub(crate) fn root(&self) -> String {
        match &self.settings().object {
            Some(object) => object.prefix.clone(),
            None => self.settings().root.to_string_lossy().into_owned(),
        }
    }

    /// Says where no record was found: an empty state is easily another one than was meant.
    pub(crate) fn note_empty_state(&self, what: &str) {
        output::note(format!("{what}; RAW_SINK_STATE_URL={}", self.settings().state_url));
    }

    /// Returns where partitions lie, for a person.
    pub(crate) fn place(&self) -> String {
        match &self.settings().object {
            Some(object) => format!("{}/{}/{}", object.endpoint_url, object.bucket, object.prefix),
            None => format!("RAW_SINK_ROOT={}", self.root()),
        }
    }
}
