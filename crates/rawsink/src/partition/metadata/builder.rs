//! A builder of complete metadata.

use jiff::Timestamp;
use serde::Serialize;

use super::{Members, Metadata, SEAL_MEMBER, check_length, seal_member_is_reserved};
use crate::{
    error::{Error, Result},
    partition::{PartitionKey, RunId},
};

/// Builds [`Metadata`]. Members that are not set are missing: no value has a default.
#[derive(Debug, Clone)]
pub struct MetadataBuilder {
    members: Members,
    fault: Option<String>,
}

impl MetadataBuilder {
    pub(super) fn for_run(key: &PartitionKey, run: &RunId) -> Self {
        Self { members: Members::default(), fault: None }
            .field("source", key.source())
            .field("customer_id", key.customer_id())
            .field("query_name", key.query_name())
            .field("logical_date", &key.logical_date().to_string())
            .field("run_id", run.as_str())
    }

    /// Sets the time of the extraction.
    #[must_use]
    pub fn extracted_at(self, time: Timestamp) -> Self {
        self.field("extracted_at", &time.to_string())
    }

    /// Sets the version of the rows' schema and meaning, starting at `v1`.
    #[must_use]
    pub fn schema_version(self, version: &str) -> Self {
        self.field("schema_version", version)
    }

    /// Sets the number of rows.
    #[must_use]
    pub fn record_count(self, rows: u64) -> Self {
        self.field("record_count", &rows)
    }

    /// Sets the upstream API's version, such as `v21`.
    #[must_use]
    pub fn api_version(self, version: &str) -> Self {
        self.field("api_version", version)
    }

    /// Sets the hash of the query's text.
    #[must_use]
    pub fn query_hash(self, hash: &str) -> Self {
        self.field("query_hash", hash)
    }

    /// Sets any member. A new name is added at the end.
    #[must_use]
    pub fn field<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        if let Err(fault) = self.members.set(name, value) {
            let fault = format!("cannot serialise the metadata member {name:?}: {fault}");
            self.fault.get_or_insert(fault);
        }
        self
    }

    /// Sets every member of `other`. Each keeps its exact text.
    #[must_use]
    pub fn merge(mut self, other: Metadata) -> Self {
        self.members.merge(other.members);
        self
    }

    /// Returns the metadata.
    ///
    /// # Errors
    /// `Invalid` for a value that cannot be serialised, for a member `_seal`, and for metadata
    /// longer than [`MAX_METADATA_BYTES`](super::MAX_METADATA_BYTES).
    pub fn build(self) -> Result<Metadata> {
        if let Some(fault) = self.fault {
            return Err(Error::invalid(fault));
        }
        if self.members.raw(SEAL_MEMBER).is_some() {
            return Err(seal_member_is_reserved());
        }
        let metadata = Metadata { members: self.members };
        check_length(serde_json::to_vec(&metadata).map_or(0, |document| document.len()))?;
        Ok(metadata)
    }
}
