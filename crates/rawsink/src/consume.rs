//! Reading as a consumer: look up the run that has authority in the state, then read only that run.

use crate::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
    sink::{PartitionReader, RawSink},
    state::{PartitionState, Status},
};

/// Returns the run that has authority.
///
/// # Errors
/// `NotFound` if the status is not success.
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

/// Opens the run that has authority (G15). Writes nothing and lists nothing.
///
/// # Errors
/// `NotFound` if the status is not success; `Corrupt` if the run that has authority does not exist
/// or is not sealed; as [`RawSink::open_partition`].
pub async fn open_current(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
) -> Result<PartitionReader> {
    let run = current_run(state, key).await?;
    sink.open_partition(key, &run).await.map_err(|error| missing(error, key, &run))
}

/// Turns `NotFound` and `NotSealed` into `Corrupt`, for a run that has authority in the state.
pub fn missing(error: Error, key: &PartitionKey, run: &RunId) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotSealed => Error::corrupt(format!(
            "the run that has authority in the state cannot be read: {}",
            error.message()
        ))
        .at(Place::of_run(key, run)),
        _ => error,
    }
}
