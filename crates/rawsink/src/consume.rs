//! What a consumer does: ask the state, then read the run that has authority, and nothing else.

use crate::{
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    sink::{PartitionReader, RawSink},
    state::{PartitionState, Status},
};

/// Returns the run that has authority.
///
/// # Errors
/// `NotFound` where the status is not success.
pub async fn current_run(state: &dyn PartitionState, key: &PartitionKey) -> Result<RunId> {
    let found = state.get(key).await;
    let record = found.map_err(|error| error.at(Place::of_partition(key)))?;
    if let Some(run) = record.as_ref().and_then(|record| record.authoritative_run()) {
        return Ok(run.clone());
    }
    let status = record.map_or(Status::Pending, |record| record.status);
    let message = format!("no run has authority: the status is {status}");
    Err(Error::new(ErrorKind::NotFound, message).at(Place::of_partition(key)))
}

/// Opens the run that has authority (G15). Writes nothing and scans nothing.
///
/// # Errors
/// `NotFound` where the status is not success; `Corrupt` where the authoritative run is not there
/// or not sealed; what [`RawSink::open_partition`] answers.
pub async fn open_current(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
) -> Result<PartitionReader> {
    let run = current_run(state, key).await?;
    sink.open_partition(key, &run).await.map_err(|error| missing(error, key, &run))
}

/// Says what it means that a run is not there or not sealed which the state gives authority to.
pub(crate) fn missing(error: Error, key: &PartitionKey, run: &RunId) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotSealed => Error::corrupt(format!(
            "the state gives authority to a run that cannot be read: {}",
            error.message()
        ))
        .at(Place::of_run(key, run)),
        _ => error,
    }
}
