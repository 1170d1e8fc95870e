//! Copying one run.

use super::{Existing, Outcome, Progress, compare};
use crate::{
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    sink::{CopyWriter, PartitionReader, RawSink},
};

/// Copies a sealed run, unless the destination holds the same one already.
///
/// The bytes are compared with the source's seal while they stream, and the destination is sealed
/// only after all of them were right. Who is cut off, or gets `Unknown` or `Unavailable`, does the
/// same again.
///
/// # Errors
/// What [`compare`] answers; `Corrupt` where the source's bytes are not those that its seal covers;
/// `Closed` where `progress` says to stop; those of a writer in the destination.
pub async fn copy(
    from: &RawSink,
    to: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    existing: Existing,
    progress: &Progress,
) -> Result<Outcome> {
    if compare(from, to, key, run, existing).await? == Outcome::AlreadyThere {
        return Ok(Outcome::AlreadyThere);
    }
    let mut reader = from.open_partition(key, run).await?;
    let transferred = match to.write_copy(key, run).await {
        Ok(mut writer) => match pour(&mut reader, &mut writer, progress).await {
            Ok(()) => writer.finalize(reader.document().clone()).await.map(|_| ()),
            Err(error) => {
                writer.abort().await;
                Err(error.at(Place::of_run(key, run)))
            }
        },
        Err(error) => Err(error),
    };
    match transferred {
        Ok(()) => Ok(Outcome::Copied),
        // Another copy was faster: of the same run, or not.
        Err(error) if error.kind() == ErrorKind::AlreadySealed => {
            compare(from, to, key, run, existing).await
        }
        Err(error) => Err(error),
    }
}

/// Passes a payload on, to its end, at which the reader has compared it with its seal.
async fn pour(
    reader: &mut PartitionReader,
    writer: &mut CopyWriter,
    progress: &Progress,
) -> Result<()> {
    while let Some(chunk) = reader.next_chunk().await? {
        writer.write_bytes(&chunk).await?;
        if progress(chunk.len() as u64).is_break() {
            return Err(Error::new(ErrorKind::Closed, "the copy was stopped"));
        }
    }
    Ok(())
}
