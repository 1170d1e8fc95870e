//! Copying one run.

use super::{Existing, Outcome, Progress, compare};
use crate::{
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    sink::{CopyWriter, PartitionReader, RawSink},
    store::RunObjects,
};

/// Copies a sealed run, unless the destination holds the same one already.
///
/// The bytes are compared with the source's seal while they stream, and the destination is sealed
/// only after all of them were right. Where the source has no seal block, it has to look the same before
/// and after. What is there already is made durable. Who is cut off, or gets `Unknown` or `Unavailable`, does the same again.
///
/// # Errors
/// What [`compare`] answers; `Corrupt` where the source's bytes are not those that its seal covers, or
/// change meanwhile; `Closed` where `progress` says to stop; those of a writer in the destination.
pub async fn copy(
    from: &RawSink,
    to: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    existing: Existing,
    progress: &Progress,
) -> Result<Outcome> {
    if compare(from, to, key, run, existing).await? == Outcome::Missing {
        match transfer(from, to, key, run, progress).await {
            Ok(()) => return Ok(Outcome::Copied),
            // Another copy was faster: of the same run, or not.
            Err(error) if error.kind() == ErrorKind::AlreadySealed => {
                compare(from, to, key, run, existing).await?;
            }
            Err(error) => return Err(error.at(Place::of_run(key, run))),
        }
    }
    // Whoever made it may have been cut off between the seal and its sync.
    to.sync(key, run).await?;
    Ok(Outcome::AlreadyThere)
}

async fn transfer(
    from: &RawSink,
    to: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    progress: &Progress,
) -> Result<()> {
    let (mut reader, before) = open(from, key, run).await?;
    let mut writer = to.write_copy(key, run).await?;
    let mut poured = pour(&mut reader, &mut writer, progress).await;
    if poured.is_ok()
        && let Some(before) = before
    {
        poured = unchanged(from, key, run, before).await;
    }
    if let Err(error) = poured {
        writer.abort().await;
        return Err(error);
    }
    writer.finalize(reader.document().clone()).await.map(|_| ())
}

/// Opens the source; where no seal block vouches for its bytes, with how it looked before.
async fn open(
    from: &RawSink,
    key: &PartitionKey,
    run: &RunId,
) -> Result<(PartitionReader, Option<RunObjects>)> {
    let reader = from.open_partition(key, run).await?;
    if reader.seal().is_some() {
        return Ok((reader, None));
    }
    let before = from.look(key, run).await?;
    Ok((from.open_partition(key, run).await?, Some(before)))
}

async fn unchanged(
    from: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    before: RunObjects,
) -> Result<()> {
    if from.look(key, run).await? == before {
        return Ok(());
    }
    Err(Error::corrupt("the run changed while it was copied"))
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
