//! Comparing stored bytes with the seal.

use serde::Serialize;

use crate::{
    error::Result,
    key::{PartitionKey, RunId},
    sink::{PayloadSummary, RawSink},
};

/// What the stored bytes were compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Covered {
    /// Length, SHA-256 and rows, by the seal block.
    Seal,
    /// Rows alone, by `record_count` of metadata that other software wrote.
    RecordCount,
    /// Nothing: other software wrote metadata without `record_count`.
    Nothing,
}

/// A run whose bytes agree with what covers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// What is stored.
    #[serde(flatten)]
    pub found: PayloadSummary,
    /// What it was compared with.
    pub covered: Covered,
}

/// Reads a run's payload once and compares it with its seal; writes nothing.
///
/// # Errors
/// `Corrupt` where they differ; what [`RawSink::open_partition`] answers.
pub async fn verify(sink: &RawSink, key: &PartitionKey, run: &RunId) -> Result<Verified> {
    let mut reader = sink.open_partition(key, run).await?;
    let covered = match (reader.seal(), reader.metadata().integer("record_count")) {
        (Some(_), _) => Covered::Seal,
        (None, Some(_)) => Covered::RecordCount,
        (None, None) => Covered::Nothing,
    };
    Ok(Verified { found: reader.drain().await?, covered })
}
