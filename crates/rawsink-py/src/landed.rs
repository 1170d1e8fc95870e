//! Landed partitions as JSON: a program lists them once and divides them among machines.

use rawsink::{
    PartitionKey, Result,
    sink::{LandedPartition, Run},
};
use serde::{Deserialize, Serialize};

use crate::key::names;

/// A logical partition with all its runs.
#[derive(Serialize, Deserialize)]
pub(crate) struct Landed {
    partition: [String; 4],
    runs: Vec<LandedRun>,
}

#[derive(Serialize, Deserialize)]
struct LandedRun {
    run_id: String,
    payload_bytes: Option<u64>,
    seal_bytes: Option<u64>,
    sealed: bool,
}

impl From<&LandedPartition> for Landed {
    fn from(landed: &LandedPartition) -> Self {
        let run = |run: &Run| LandedRun {
            run_id: run.run_id.to_string(),
            payload_bytes: run.payload_bytes,
            seal_bytes: run.seal_bytes,
            sealed: run.sealed,
        };
        Self { partition: names(&landed.key), runs: landed.runs.iter().map(run).collect() }
    }
}

impl Landed {
    /// Returns the partition.
    ///
    /// # Errors
    /// `Invalid` for an illegal name.
    pub(crate) fn partition(self) -> Result<LandedPartition> {
        let [source, customer_id, query_name, date] = &self.partition;
        let key = PartitionKey::new(source, customer_id, query_name, date)?;
        let run = |run: LandedRun| {
            Ok(Run {
                key: key.clone(),
                run_id: run.run_id.parse()?,
                payload_bytes: run.payload_bytes,
                seal_bytes: run.seal_bytes,
                sealed: run.sealed,
            })
        };
        let runs = self.runs.into_iter().map(run).collect::<Result<_>>()?;
        Ok(LandedPartition { key, runs })
    }
}
