//! Compares stored bytes with the seal.

use serde::Serialize;

use rawsink::{
    error::Result,
    partition::{PartitionKey, RunId},
    sink::{PayloadSummary, RawSink},
};

/// The values that the stored bytes were compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Covered {
    /// Length, SHA-256 and number of rows, from the seal block.
    Seal,
    /// Only the number of rows, from `record_count` of metadata that other software wrote.
    RecordCount,
    /// Nothing: other software wrote metadata without `record_count`.
    Nothing,
}

/// A run whose bytes agree with the values that cover them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The stored payload.
    #[serde(flatten)]
    pub found: PayloadSummary,
    /// The values that it was compared with.
    pub covered: Covered,
}

/// Reads a run's payload once and compares it with its seal; writes nothing.
///
/// # Errors
/// `Corrupt` if they differ; as [`RawSink::open_partition`].
pub async fn run(sink: &RawSink, key: &PartitionKey, run: &RunId) -> Result<Verified> {
    let mut reader = sink.open_partition(key, run).await?;
    let covered = match (reader.seal(), reader.metadata().integer("record_count")) {
        (Some(_), _) => Covered::Seal,
        (None, Some(_)) => Covered::RecordCount,
        (None, None) => Covered::Nothing,
    };
    Ok(Verified { found: reader.drain().await?, covered })
}
