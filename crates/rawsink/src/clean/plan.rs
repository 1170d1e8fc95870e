//! Which leftovers would go.

use futures_util::stream::{BoxStream, StreamExt};

use super::{Fate, Payloads, Planned, Rules};
use crate::{
    clock::age,
    error::Result,
    layout::Place,
    sink::RawSink,
    store::{LeftoverKind, Presence},
};

/// Plans what becomes of the leftovers below `place`, with bounded memory; changes nothing.
///
/// The stream goes on after an error that hides only a part.
///
/// # Errors
/// `Invalid` for an age below [`LEAST_AGE_WITHOUT_LOCK`](super::LEAST_AGE_WITHOUT_LOCK) where the
/// store has no locks; in the stream the store's.
pub fn plan(
    sink: &RawSink,
    place: &Place,
    rules: Rules,
) -> Result<BoxStream<'static, Result<Planned>>> {
    let (clock, presence) = (sink.surroundings().clock.clone(), sink.presence());
    rules.check(presence)?;
    let planned = sink.leftovers_below(place).map(move |found| {
        let leftover = found?;
        let age = age(leftover.found.modified, clock.now());
        let is_guess = presence == Presence::Age && rules.payloads == Payloads::UnderLock;
        let fate = match leftover.found.kind {
            _ if age < rules.older_than => Fate::Young,
            LeftoverKind::Payload if is_guess => Fate::Shown,
            _ => Fate::Remove,
        };
        Ok(Planned { leftover, age, fate })
    });
    Ok(planned.boxed())
}
