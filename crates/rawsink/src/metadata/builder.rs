//! Complete metadata the easy way.

use jiff::Timestamp;
use serde::Serialize;

use super::{Members, Metadata, SEAL_MEMBER, check_length};
use crate::{
    error::{Error, Result},
    key::{PartitionKey, RunId},
};

/// Builds [`Metadata`]; it invents no value, so what is not said is not there.
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

    /// Sets when the extraction took place.
    #[must_use]
    pub fn extracted_at(self, time: Timestamp) -> Self {
        self.field("extracted_at", &time.to_string())
    }

    /// Sets the version of the rows' shape and meaning, starting at `v1`.
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

    /// Sets the hash that identifies the query's text.
    #[must_use]
    pub fn query_hash(self, hash: &str) -> Self {
        self.field("query_hash", hash)
    }

    /// Sets any member: in its place where the name is known, else at the end.
    #[must_use]
    pub fn field<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        if let Err(fault) = self.members.set(name, value) {
            self.fault.get_or_insert(format!("metadata field {name:?} has no JSON form: {fault}"));
        }
        self
    }

    /// Sets every member of `other`, keeping their exact text.
    #[must_use]
    pub fn merge(mut self, other: Metadata) -> Self {
        self.members.merge(other.members);
        self
    }

    /// Returns the metadata.
    ///
    /// # Errors
    /// `Invalid` for a value without a JSON form and for a member `_seal`.
    pub fn build(self) -> Result<Metadata> {
        if let Some(fault) = self.fault {
            return Err(Error::invalid(fault));
        }
        if self.members.raw(SEAL_MEMBER).is_some() {
            return Err(Error::invalid(format!(
                "the metadata field {SEAL_MEMBER:?} belongs to the sink"
            )));
        }
        let metadata = Metadata { members: self.members };
        check_length(serde_json::to_vec(&metadata).map_or(0, |document| document.len()))?;
        Ok(metadata)
    }
}
