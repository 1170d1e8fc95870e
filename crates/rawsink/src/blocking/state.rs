//! `PartitionState` without async.

use std::{fmt, future::Future, sync::Arc};

use super::waiting::{Check, Waiting};
use crate::{
    Result,
    runtime::process::PerProcess,
    state::{self, Origin, PartitionState, StateConfig},
};

type Opened = Arc<dyn PartitionState>;

/// The state, opened by each process for itself: connections do not survive a fork.
///
/// Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct State {
    opened: Arc<PerProcess<Opened>>,
    open: Arc<dyn Fn() -> Opened + Send + Sync>,
    waiting: Waiting,
}

impl State {
    /// Opens the state of a configuration, without connecting yet.
    pub fn open(config: &StateConfig, origin: &Origin) -> Self {
        let (config, origin) = (config.clone(), origin.clone());
        Self::from_open(Arc::new(move || state::open(&config, &origin)))
    }

    fn from_open(open: Arc<dyn Fn() -> Opened + Send + Sync>) -> Self {
        Self { opened: Arc::new(PerProcess::new(open())), open, waiting: Waiting::default() }
    }

    /// Sets what a waiting call checks.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.waiting.check = Some(check);
        self
    }

    /// Returns the state of this process, for async code.
    pub fn state(&self) -> &Opened {
        let Ok(state) = self.opened.get(|| Ok::<_, std::convert::Infallible>((self.open)()));
        state
    }

    /// Blocks on an operation of the state.
    ///
    /// # Errors
    /// The operation's, and that of the check.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.waiting.wait(work)?
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(self.state()).finish()
    }
}
