//! The history of the server, which its requests do not show.

use std::collections::BTreeMap;

use fake_s3::UploadId;

use super::{
    ids::ProcessId,
    requests::{Request, SimHead},
    time::Micros,
};

/// The history of the server.
#[derive(Debug, Default)]
pub(super) struct ServerLog {
    pub(super) uploads: BTreeMap<UploadId, UploadLog>,
    /// Requests that take time, by the message that began them.
    pub(super) running: BTreeMap<u64, RunningRequest>,
    /// Each object before its last change, and the time of that change.
    pub(super) before: BTreeMap<String, (Micros, Option<SimHead>)>,
}

/// The history of an upload.
#[derive(Debug)]
pub(super) struct UploadLog {
    pub(super) key: String,
    pub(super) by: ProcessId,
    pub(super) created: Micros,
    pub(super) initiated: Micros,
    /// Time of its creation or its last part.
    pub(super) used: Micros,
    pub(super) ended: Option<Micros>,
}

/// A request that the server has begun to apply.
#[derive(Debug)]
pub(super) enum RunningRequest {
    Complete(UploadId),
    /// A PUT whose condition was checked.
    Put(ProcessId, Request),
}
