//! Copies sealed runs from one sink to another, byte for byte.
//!
//! Owns when an existing run is the same one, and what is compared while copying. In the destination a
//! copy is an ordinary writer, so an interrupted copy can be repeated. Must not know which backends
//! are below.
//!
//! Two runs are the same if they have the same `metadata.json` with its seal block, and payloads of
//! the same length. Without a seal block both payloads are read and compared. A copy changes no run that
//! is sealed; [`repair_run`] does.

mod many;
mod repair;

use std::{fmt, ops::ControlFlow, sync::Arc};

use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
    sink::{CopyWriter, PartitionReader, RawSink},
    store::RunObjects,
};
use serde::Serialize;

pub use self::{
    many::{Processed, compare_runs, plan_repairs, repair_runs, runs},
    repair::{Damage, RepairOutcome, plan_repair, repair_run},
};

/// The result of copying or comparing a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyOutcome {
    /// It was copied and sealed.
    Copied,
    /// The destination holds the same run.
    AlreadyThere,
    /// The destination has no sealed run of this name; a copy would create it.
    Missing,
}

impl CopyOutcome {
    /// Returns the outcome's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::AlreadyThere => "already there",
            Self::Missing => "missing",
        }
    }
}

/// The cause of an error, if a further step can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFault {
    /// Both runs have the same `metadata.json`, and the destination's payload is damaged: a repair may
    /// replace it.
    PayloadDiffers,
    /// The destination has another `metadata.json`: a repair may find in the verdict log which one is
    /// right.
    SealDiffers,
    /// Nothing shows whether the source or the destination is right.
    NoEvidence,
}

impl CopyFault {
    /// Returns the cause of an error of this module.
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }
}

impl fmt::Display for CopyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PayloadDiffers => "the payload of the destination may be damaged",
            Self::SealDiffers => "one of the two runs may have an edited metadata.json",
            Self::NoEvidence => "no checksum shows which run is right",
        })
    }
}

impl std::error::Error for CopyFault {}

/// A callback that gets the number of bytes copied since the last call, and decides whether to continue.
pub type Progress = Arc<dyn Fn(u64) -> ControlFlow<()> + Send + Sync>;

/// Compares a sealed run with the destination: `Missing` or `AlreadyThere`.
///
/// # Errors
/// `Corrupt` if the destination has a different run with the same id, or one of the two is damaged;
/// `NotFound` and `NotSealed` if the source has no sealed run; the errors of the stores.
pub async fn compare_run(
    from: &RawSink,
    to: &RawSink,
    key: &PartitionKey,
    run: &RunId,
) -> Result<CopyOutcome> {
    let document = from.document(key, run).await?;
    let there = to.inspect(key, run).await?;
    if there.seal.is_none() {
        return Ok(CopyOutcome::Missing);
    }
    if to.document(key, run).await? != document {
        // Bytes that are not the stored ones prove nothing.
        let ours = from.confirmed_document(key, run).await?;
        if to.confirmed_document(key, run).await? != ours {
            let message =
                "the destination has a different run with the same id: metadata.json differs";
            let error = Error::corrupt(message).because(CopyFault::SealDiffers);
            return Err(error.at(Place::of_run(key, run)));
        }
    }
    let payload_differs = |what: &str| {
        let message = format!(
            "the destination has the same metadata.json and another payload: its {what} differs"
        );
        Error::corrupt(message).because(CopyFault::PayloadDiffers).at(Place::of_run(key, run))
    };
    let Some(here) = from.inspect(key, run).await?.payload else {
        let message = "the run is sealed, but its payload is missing";
        return Err(Error::corrupt(message).at(Place::of_run(key, run)));
    };
    if there.payload.map(|there| there.bytes) != Some(here.bytes) {
        return Err(payload_differs("length"));
    }
    if matches!(from.metadata(key, run).await, Ok((_, Some(_)))) {
        return Ok(CopyOutcome::AlreadyThere);
    }
    let mut ours = from.open_partition(key, run).await?;
    let mut theirs = to.open_partition(key, run).await?;
    if ours.drain().await? == theirs.drain().await? {
        return Ok(CopyOutcome::AlreadyThere);
    }
    ours.confirm().await?;
    theirs.confirm().await?;
    Err(payload_differs("SHA-256"))
}

/// Copies a sealed run, unless the destination holds the same one already.
///
/// The bytes are compared with the source's seal while they stream, and the destination is sealed
/// only if all of them agree. A source without a seal block must have the same lengths, times and tags
/// before, during and after. An existing run is made durable. After an interruption, `Unknown` or
/// `Unavailable`, repeat the call.
///
/// # Errors
/// Those of [`compare_run`]; `Corrupt` if the source's bytes differ from its seal or change meanwhile;
/// `Closed` if `progress` stops the copy; those of a writer in the destination.
pub async fn run(
    from: &RawSink,
    to: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    progress: &Progress,
) -> Result<CopyOutcome> {
    if compare_run(from, to, key, run).await? == CopyOutcome::Missing {
        match transfer(from, to, key, run, progress).await {
            Ok(()) => return Ok(CopyOutcome::Copied),
            // Another copy was faster; it may be of another run.
            Err(error) if error.kind() == ErrorKind::AlreadySealed => {
                compare_run(from, to, key, run).await?;
            }
            Err(error) => return Err(error.at(Place::of_run(key, run))),
        }
    }
    // Its writer may have been interrupted between the seal and its sync.
    to.sync(key, run).await?;
    Ok(CopyOutcome::AlreadyThere)
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
    let mut streamed = stream(&mut reader, &mut writer, progress).await;
    if streamed.is_ok()
        && let Some(before) = before
    {
        streamed = check_unchanged(from, key, run, before).await;
        streamed = streamed.and_then(|()| reader.check_origin(&before));
    }
    if let Err(error) = streamed {
        writer.abort().await;
        return Err(error);
    }
    writer.finalize(reader.document().clone()).await.map(|_| ())
}

/// Opens the source. Without a seal block, also returns what is stored of its objects.
async fn open(
    from: &RawSink,
    key: &PartitionKey,
    run: &RunId,
) -> Result<(PartitionReader, Option<RunObjects>)> {
    let reader = from.open_partition(key, run).await?;
    if reader.seal().is_some() {
        return Ok((reader, None));
    }
    let before = from.inspect(key, run).await?;
    Ok((from.open_partition(key, run).await?, Some(before)))
}

async fn check_unchanged(
    from: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    before: RunObjects,
) -> Result<()> {
    if from.inspect(key, run).await? == before {
        return Ok(());
    }
    Err(Error::corrupt("the run changed while it was copied"))
}

/// Copies a payload to its end, where the reader compares it with its seal.
async fn stream(
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
