//! Whether a run is the same in two sinks.

use super::{Existing, Outcome};
use crate::{
    error::{Error, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    metadata,
    sink::RawSink,
};

/// Compares a sealed run with what the destination holds: `Missing` or `AlreadyThere`.
///
/// # Errors
/// `Corrupt` where the destination holds another run of this name, or one of the two is damaged;
/// `NotFound` and `NotSealed` where there is nothing to copy; the stores'.
pub async fn compare(
    from: &RawSink,
    to: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    existing: Existing,
) -> Result<Outcome> {
    let document = from.document(key, run).await?;
    let there = to.look(key, run).await?;
    if there.seal.is_none() {
        return Ok(Outcome::Missing);
    }
    let differs = |what: &str| {
        let message = format!("the destination holds another run of this name: {what} differs");
        Error::corrupt(message).at(Place::of_run(key, run))
    };
    if to.document(key, run).await? != document {
        return Err(differs("metadata.json"));
    }
    let Some(here) = from.look(key, run).await?.payload else {
        let message = "the run is sealed and its payload is missing";
        return Err(Error::corrupt(message).at(Place::of_run(key, run)));
    };
    if there.payload.map(|there| there.bytes) != Some(here.bytes) {
        return Err(differs("the payload's length"));
    }
    let vouched = matches!(metadata::parse_sealed(&document), Ok((_, Some(_))));
    if vouched && existing == Existing::BySeal {
        return Ok(Outcome::AlreadyThere);
    }
    let ours = from.open_partition(key, run).await?.drain().await?;
    let theirs = to.open_partition(key, run).await?.drain().await?;
    if ours == theirs { Ok(Outcome::AlreadyThere) } else { Err(differs("the payload's SHA-256")) }
}
