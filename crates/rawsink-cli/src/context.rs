//! The context of every command: configuration, sink, state and output.

use std::{path::Path, sync::Arc};

use rawsink::{
    Backend, Config, RawSink, env::Loaded, runtime::Runtime, state::PartitionState, store::Blocking,
};

use crate::{
    exit::Failure,
    log,
    output::{self, Output},
};

/// The configuration of this process, with the sink and the state that it opens.
#[derive(Debug)]
pub(crate) struct Context<'output> {
    pub(crate) loaded: Loaded,
    pub(crate) sink: RawSink,
    pub(crate) state: Arc<dyn PartitionState>,
    pub(crate) output: &'output Output,
}

impl<'output> Context<'output> {
    /// Reads a file of settings, or the environment, and warns of likely typing errors.
    pub(crate) fn load(file: Option<&Path>, output: &'output Output) -> Result<Self, Failure> {
        Self::new(read(file)?, output)
    }

    /// The same for a command that reads what exists before it writes.
    pub(crate) fn load_destination(
        file: Option<&Path>,
        output: &'output Output,
    ) -> Result<Self, Failure> {
        let mut loaded = read(file)?;
        loaded.config.backend = loaded.config.backend.as_destination();
        Self::new(loaded, output)
    }

    /// Opens the sink and the state of a given configuration.
    pub(crate) fn new(mut loaded: Loaded, output: &'output Output) -> Result<Self, Failure> {
        log::init(&loaded.log, output.verbosity())?;
        loaded.config.backend = inline(loaded.config.backend);
        let sink = RawSink::open_in(&loaded.config, Runtime::default())?;
        let state = loaded.config.open_state()?;
        Ok(Self { loaded, sink, state, output })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Returns the configured root or prefix. Canonical paths on the command line may start with it.
    pub(crate) fn root(&self) -> String {
        self.config().backend.root()
    }

    /// Prints which state was read. An empty state often means the wrong database.
    pub(crate) fn note_empty_state(&self, what: &str) {
        let state = self.config().state.as_ref().map(ToString::to_string).unwrap_or_default();
        output::note(format!("{what}; RAW_SINK_STATE_URL={state}"));
    }

    /// Returns where partitions are stored, for a person.
    pub(crate) fn place(&self) -> String {
        match &self.config().backend {
            Backend::Directory(_) => format!("RAW_SINK_ROOT={}", self.root()),
            backend => backend.to_string(),
        }
    }
}

fn read(file: Option<&Path>) -> Result<Loaded, Failure> {
    let loaded = file.map_or_else(Loaded::from_env, Loaded::from_file)?;
    for warning in &loaded.warnings {
        output::warning(warning);
    }
    Ok(loaded)
}

/// Sets file access to block the calling thread, because each job has its own thread.
pub(crate) fn inline(backend: Backend) -> Backend {
    match backend {
        Backend::Directory(directory) => Backend::Directory(directory.blocking(Blocking::Inline)),
        backend => backend,
    }
}
