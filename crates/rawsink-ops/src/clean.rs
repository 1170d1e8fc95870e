//! Lists and removes leftovers of crashed writers, in two steps: plan and execute.
//!
//! Owns which leftovers may be removed: their minimum age, and which are only shown. The store checks
//! that a leftover is unchanged right before it removes it. Must not know which backend is below.
//!
//! | leftover | in a directory | in a bucket |
//! |---|---|---|
//! | payload without a seal | removed under the run's lock | shown; removed with [`Payloads::Everywhere`] |
//! | the same, if state or log name its run | kept, see [`Fate::Named`] | kept |
//! | staging file | removed under the run's lock, in sealed runs too | |
//! | open upload | | aborted |

use std::{sync::Arc, time::Duration};

use futures_util::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    runtime::age,
    sink::{RawSink, RunLeftover},
    state::PartitionState,
    store::{Discarded, LeftoverKind, Presence},
};
use serde::Serialize;

/// The default minimum age.
pub const DEFAULT_AGE: Duration = Duration::from_hours(24);

/// The lowest minimum age in a store without locks: completing an upload may take minutes, and clocks
/// differ.
pub const LEAST_AGE_WITHOUT_LOCK: Duration = Duration::from_hours(1);

/// Which leftovers to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanPolicy {
    /// Minimum time since a leftover was last modified.
    pub older_than: Duration,
    /// Where payloads without a seal may be removed.
    pub payloads: Payloads,
}

impl Default for CleanPolicy {
    fn default() -> Self {
        Self { older_than: DEFAULT_AGE, payloads: Payloads::UnderLock }
    }
}

/// Where payloads without a seal may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payloads {
    /// Only where a lock proves that no writer is active. Elsewhere a DELETE could hit a run that was
    /// sealed just before.
    UnderLock,
    /// Everywhere. Only safe if no writer of these runs is active.
    Everywhere,
}

/// A leftover and its planned fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The leftover.
    pub leftover: RunLeftover,
    /// The time since it was last modified.
    pub age: Duration,
    /// What the plan does with it.
    pub fate: Fate,
}

/// What the plan does with a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Executing the plan removes it.
    Remove,
    /// It is kept: it is younger than the minimum age, and its writer may be active.
    Young,
    /// It is kept: the next writer of the run replaces it.
    Shown,
    /// It is kept: state or verdict log name its run, which lost its seal. It may be the only copy of
    /// validated rows.
    Named,
}

/// Plans the fate of the leftovers below `place`, with bounded memory; changes nothing.
///
/// The stream continues after an error that hides only a part.
///
/// # Errors
/// `Invalid` for an age below [`LEAST_AGE_WITHOUT_LOCK`] in a store without locks. In the stream the
/// errors of the store and of the state, and `Unsupported` if a store without locks reports no modification
/// time of a leftover. A leftover with an error is kept.
pub fn plan(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    place: &Place,
    policy: CleanPolicy,
) -> Result<BoxStream<'static, Result<Planned>>> {
    let (clock, presence) = (sink.runtime().clock.clone(), sink.presence());
    policy.check(presence)?;
    let state = state.clone();
    let planned = sink.leftovers_below(place).then(move |found| {
        let (state, now) = (state.clone(), clock.now());
        async move {
            let leftover = found?;
            let (age, fate) = policy.judge(&leftover, presence, now)?;
            let removes_payload =
                fate == Fate::Remove && leftover.found.kind == LeftoverKind::Payload;
            let is_named = removes_payload && is_named(&*state, &leftover).await?;
            let fate = if is_named { Fate::Named } else { fate };
            Ok(Planned { leftover, age, fate })
        }
    });
    Ok(planned.boxed())
}

/// Returns whether the record or the verdict log of its partition name the run, and nobody withdrew it.
async fn is_named(state: &dyn PartitionState, leftover: &RunLeftover) -> Result<bool> {
    let RunLeftover { key, run_id, .. } = leftover;
    let history = state.history(key).await.map_err(|error| error.at(Place::of_run(key, run_id)))?;
    let current = history.record().and_then(|record| record.current_run_id.as_ref());
    let is_named = current == Some(run_id) || history.summary(run_id).is_named;
    Ok(is_named && history.withdrawal(run_id).is_none())
}

/// Removes one leftover of a plan; `None` if the plan keeps it.
///
/// The store checks it again first, and keeps it if it changed or an active writer holds it.
///
/// # Errors
/// Those of the store. The next plan contains what was not removed.
pub async fn execute(sink: &RawSink, planned: &Planned) -> Result<Option<Discarded>> {
    match planned.fate {
        Fate::Remove => sink.discard(&planned.leftover).await.map(Some),
        Fate::Young | Fate::Shown | Fate::Named => Ok(None),
    }
}

impl CleanPolicy {
    fn check(&self, presence: Presence) -> Result<()> {
        if presence == Presence::Lock || self.older_than >= LEAST_AGE_WITHOUT_LOCK {
            return Ok(());
        }
        let message = "on object storage the minimum age is 1 h: no lock shows whether a writer is \
                       active";
        Err(Error::invalid(message))
    }

    /// Returns the age of a leftover, and its fate as far as the store tells.
    fn judge(
        self,
        leftover: &RunLeftover,
        presence: Presence,
        now: Timestamp,
    ) -> Result<(Duration, Fate)> {
        let found = &leftover.found;
        if presence == Presence::Age && found.modified == Timestamp::UNIX_EPOCH {
            return Err(unknown_age(leftover));
        }
        let age = age(found.modified, now);
        let may_be_live = presence == Presence::Age && self.payloads == Payloads::UnderLock;
        let fate = match found.kind {
            _ if age < self.older_than => Fate::Young,
            LeftoverKind::Payload if may_be_live => Fate::Shown,
            _ => Fate::Remove,
        };
        Ok((age, fate))
    }
}

/// Returns the error for a leftover of unknown age, which an active writer may own.
fn unknown_age(RunLeftover { key, run_id, found }: &RunLeftover) -> Error {
    let message = format!(
        "kept the {} {}: the server does not report when it was last modified",
        found.kind.name(),
        found.name
    );
    Error::new(ErrorKind::Unsupported, message).at(Place::of_run(key, run_id))
}
