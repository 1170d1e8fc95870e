//! Reads sealed runs, as a stream, and finds those that are damaged or lost.
//!
//! A run is compared with its seal and, if it has authority, with what was validated (G19). Runs come in
//! the order of their paths, from one listing or from the state. Records and logs are found a thousand
//! partitions at a time, so memory holds no more. Nothing is recorded unless the caller asks for it.

mod plan;
mod reading;
mod resume;
mod sample;

use std::{num::NonZeroUsize, sync::Arc};

use futures_util::stream::BoxStream;
use serde::Serialize;

pub use self::{
    plan::{Total, total},
    resume::ResumePoint,
    sample::{Sample, Share},
};
pub use crate::{bulk::Stop, shard::Shard};
use crate::{
    bulk::{self, Order},
    recording::{Found, record_found},
};
use rawsink::{
    error::{Error, ErrorKind, Result},
    partition::{PartitionKey, RunId, Selection},
    sink::{LandedPartition, RawSink, Unlisted},
    state::{Evidence, PartitionState},
};

/// Which runs to read, and how.
#[derive(Debug, Clone)]
pub struct Work {
    /// Only these logical partitions.
    pub partitions: Selection,
    /// Only this shard of them.
    pub shard: Shard,
    /// Which of their runs.
    pub scope: Scope,
    /// Only a sample of these runs; `None` reads all.
    pub sample: Option<Sample>,
    /// Only runs after this one, in the order of paths.
    pub after: Option<(PartitionKey, RunId)>,
    /// What to record.
    pub recording: Recording,
    /// Number of runs to read in parallel.
    pub jobs: NonZeroUsize,
    /// Ends the work early.
    pub stop: Stop,
}

/// Which runs of a logical partition to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every sealed run that a listing of the storage shows, and the run that has authority.
    Sealed,
    /// The run that has authority in the state, whether the storage has it or not. Nothing is listed.
    Current,
}

/// What to record in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Nothing.
    Nothing,
    /// A failed verdict for each damaged run, except for a lost one.
    Failures,
}

/// A callback that gets the number of payload bytes read since its last call.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// An event of the stream.
#[derive(Debug)]
pub enum Event {
    /// More runs were found that are in the selection, its shard, and after the given run.
    Selected {
        /// Number of these runs.
        runs: usize,
        /// Number of those in the sample; the others are not read.
        sampled: usize,
    },
    /// A run was read, or could not be.
    Read(Box<ReadRun>),
    /// The record or log of a partition is malformed, or gives authority to no run or a withdrawn one. Its
    /// listed runs are compared with their seals alone.
    UnusableRecord(Error),
    /// A part of the storage could not be listed. Its runs are not read.
    Unlisted(Error),
}

/// The result of one run.
#[derive(Debug)]
pub struct ReadRun {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run: RunId,
    /// Its condition, or why it could not be read. An error is no evidence of damage.
    pub outcome: Result<Condition>,
    /// The position of the run in the order of paths, among the runs to read.
    number: u64,
}

/// The condition of a run.
#[derive(Debug)]
pub enum Condition {
    /// Every byte is the one that was sealed and, if the run has authority, validated.
    Intact,
    /// It is damaged or lost.
    Damaged(Box<Damage>),
    /// An operator withdrew it, and its payload or all of it was deleted since.
    Erased,
}

/// What is wrong with a run. Two readings showed it.
#[derive(Debug)]
pub struct Damage {
    /// What is wrong.
    pub kind: DamageKind,
    /// The difference, for a person.
    pub detail: String,
    /// Whether the run has authority, so that consumers get `Corrupt`.
    pub has_authority: bool,
    /// Whether it was recorded as a failed verdict.
    pub recorded: Recorded,
    /// What could be read, for the verdict.
    evidence: Evidence,
}

/// What is wrong with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// Length, SHA-256 or number of rows of the payload is not the sealed or validated one.
    PayloadDiffers,
    /// The run is sealed and has no payload.
    PayloadMissing,
    /// `metadata.json` is not a seal.
    SealUnreadable,
    /// `metadata.json` is not the one that was validated.
    SealReplaced,
    /// The run has authority in the state, and does not exist or is not sealed.
    Lost,
}

impl DamageKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::PayloadDiffers,
        Self::PayloadMissing,
        Self::SealUnreadable,
        Self::SealReplaced,
        Self::Lost,
    ];

    /// Returns the name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PayloadDiffers => "payload_differs",
            Self::PayloadMissing => "payload_missing",
            Self::SealUnreadable => "seal_unreadable",
            Self::SealReplaced => "seal_replaced",
            Self::Lost => "lost",
        }
    }
}

/// Whether a damaged run was recorded as failed.
#[derive(Debug)]
pub enum Recorded {
    /// No: recording was not asked for, the run is lost, or it is withdrawn.
    No,
    /// Yes.
    Yes,
    /// No, or perhaps for `Unknown`, because of this error.
    Failed(Error),
    /// No, or perhaps, because the work ended with an error of the state, which is the last item.
    Abandoned,
}

/// Reads every run of the work, in parallel, and streams the results in any order.
///
/// A difference is confirmed by a second reading, with a fresh record of the state, before it counts as
/// damage. A run that cannot be read does not stop the others. After an error of the listing or the
/// state, or 20 consecutive failures, no run is started, the runs being read are finished and
/// reported, and the error is the last item. Dropping the stream aborts everything. To end early and
/// lose no result, use [`Work::stop`].
///
/// Must be called in a tokio runtime, whose tasks read the runs.
pub fn all(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
    progress: Progress,
) -> BoxStream<'static, Result<Event>> {
    of_candidates(sink, state, work, plan::candidates(sink, state, work), progress)
}

/// Reads the sealed runs of partitions that were listed before, such as one part of those that are divided
/// among machines, and the runs of these partitions that have authority.
///
/// As [`all`], except that it lists nothing, and that selection and scope of `work` are not used. The
/// runs of a partition without runs are those that have authority alone.
pub fn of_landed(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    landed: BoxStream<'static, Result<LandedPartition, Unlisted>>,
    work: &Work,
    progress: Progress,
) -> BoxStream<'static, Result<Event>> {
    of_candidates(sink, state, work, plan::landed(landed), progress)
}

fn of_candidates(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
    candidates: BoxStream<'static, plan::Candidate>,
    progress: Progress,
) -> BoxStream<'static, Result<Event>> {
    let steps = plan::steps(candidates, state, work);
    let reader = reading::Reader::new(sink, state, work.recording, progress);
    let read = move |step| reader.clone().take(step);
    let finding = bulk::work(steps, (work.jobs, Order::Any), read, outcome);
    record_found(sink, state, finding, work.stop.clone())
}

fn outcome(found: &Found<Event>) -> Option<Result<(), ErrorKind>> {
    match found {
        Found::Event(Event::Read(run)) => Some(run.outcome.as_ref().map(drop).map_err(Error::kind)),
        Found::Event(Event::Selected { .. } | Event::UnusableRecord(_) | Event::Unlisted(_)) => {
            None
        }
        Found::Reached(_) => Some(Ok(())),
    }
}
