//! Which leftovers would go.

use futures_util::stream::{BoxStream, StreamExt};
use jiff::Timestamp;

use super::{Fate, Payloads, Planned, Rules};
use crate::{
    clock::age,
    error::{Error, ErrorKind, Result},
    layout::Place,
    sink::{RawSink, RunLeftover},
    store::{LeftoverKind, Presence},
};

/// Plans what becomes of the leftovers below `place`, with bounded memory; changes nothing.
///
/// The stream goes on after an error that hides only a part.
///
/// # Errors
/// `Invalid` for an age below [`LEAST_AGE_WITHOUT_LOCK`](super::LEAST_AGE_WITHOUT_LOCK) where the
/// store has no locks; in the stream the store's, and `Unsupported` for a leftover of which a store
/// without locks does not say when it was last changed.
pub fn plan(
    sink: &RawSink,
    place: &Place,
    rules: Rules,
) -> Result<BoxStream<'static, Result<Planned>>> {
    let (clock, presence) = (sink.surroundings().clock.clone(), sink.presence());
    rules.check(presence)?;
    let planned = sink.leftovers_below(place).map(move |found| {
        let leftover = found?;
        if presence == Presence::Age && leftover.found.modified == Timestamp::UNIX_EPOCH {
            return Err(of_unknown_age(&leftover));
        }
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

/// What nobody knows the age of may be a living writer's.
fn of_unknown_age(RunLeftover { key, run_id, found }: &RunLeftover) -> Error {
    let message = format!(
        "the server does not say when the {} {} was last changed, so that it stays",
        found.kind.name(),
        found.name
    );
    Error::new(ErrorKind::Unsupported, message).at(Place::of_run(key, run_id))
}
