//! The state under test, and the one in memory.

use std::sync::Arc;

use rawsink::state::{MemoryState, PartitionState};

/// An empty state that several processes can open.
pub trait StateBackend: Send + Sync {
    /// Opens the state, as a new process does, with a busy timeout of 200 ms.
    fn state(&self) -> Box<dyn PartitionState>;

    /// Opens the state with the default busy timeout.
    fn patient_state(&self) -> Box<dyn PartitionState>;
}

/// A state in memory.
#[derive(Debug, Default)]
pub struct Memory(MemoryState);

impl StateBackend for Memory {
    fn state(&self) -> Box<dyn PartitionState> {
        Box::new(self.0.clone())
    }

    fn patient_state(&self) -> Box<dyn PartitionState> {
        self.state()
    }
}

/// Returns a state without records.
pub fn no_state() -> Arc<dyn PartitionState> {
    Arc::new(MemoryState::new())
}
