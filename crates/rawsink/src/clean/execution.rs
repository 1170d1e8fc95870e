//! Removing what a plan says.

use super::{Fate, Planned};
use crate::{error::Result, sink::RawSink, store::Discarded};

/// Removes one leftover of a plan; `None` for one that stays by the plan.
///
/// The store looks at it again first. What was touched since, and what a living writer holds, stays.
///
/// # Errors
/// The store's; what was not done is in the next plan.
pub async fn execute(sink: &RawSink, planned: &Planned) -> Result<Option<Discarded>> {
    match planned.fate {
        Fate::Remove => sink.discard(&planned.leftover).await.map(Some),
        Fate::Young | Fate::Shown => Ok(None),
    }
}
