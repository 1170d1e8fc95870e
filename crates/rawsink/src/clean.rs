//! Removing what attempts left without a seal: plan and execution apart.
//!
//! Owns which leftovers may go: how old they have to be, and which are only shown. Whether one is
//! still what the plan saw is looked at again by the store when it is removed. Must not know which
//! backend is below.
//!
//! | what is left | in a directory | in a bucket |
//! |---|---|---|
//! | payload without a seal | removed under the run's lock | shown; removed with [`Payloads::Everywhere`] |
//! | staging file | removed under the run's lock, in sealed runs too | |
//! | open upload | | ended |

mod execution;
mod plan;

use std::time::Duration;

use serde::Serialize;

pub use self::{execution::execute, plan::plan};
use crate::{
    error::{Error, Result},
    sink::RunLeftover,
    store::Presence,
};

/// The age that counts where none is given.
pub const DEFAULT_AGE: Duration = Duration::from_hours(24);

/// The least age where no lock tells that a writer is at work: a request that ends an upload may run
/// for minutes, and clocks are not alike.
pub const LEAST_AGE_WITHOUT_LOCK: Duration = Duration::from_hours(1);

/// Which leftovers may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How old a leftover has to be, counted from its last sign of life.
    pub older_than: Duration,
    /// Where payloads without a seal may be removed.
    pub payloads: Payloads,
}

impl Default for Rules {
    fn default() -> Self {
        Self { older_than: DEFAULT_AGE, payloads: Payloads::UnderLock }
    }
}

/// Where payloads without a seal may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payloads {
    /// Where a lock tells that no writer is at work; elsewhere a DELETE could meet a writer that has
    /// just sealed.
    UnderLock,
    /// Everywhere: whoever says so knows that no writer of these runs lives.
    Everywhere,
}

/// A leftover, and what the plan is for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What was found.
    pub leftover: RunLeftover,
    /// The time since its last sign of life.
    pub age: Duration,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes when the plan is executed.
    Remove,
    /// It is younger than the age; its writer may live.
    Young,
    /// It stays, and writing the run again takes it over.
    Shown,
}

impl Rules {
    fn check(&self, presence: Presence) -> Result<()> {
        if presence == Presence::Lock || self.older_than >= LEAST_AGE_WITHOUT_LOCK {
            return Ok(());
        }
        let message = "on object storage nothing younger than 1 h is removed: no lock tells whether \
                       its writer is at work";
        Err(Error::invalid(message))
    }
}
