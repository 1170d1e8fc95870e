//! A series: the logical partitions that differ only in their day.

use super::{Entry, Filter, PartitionState};
use crate::{
    error::Result,
    partition::{PartitionKey, Selection},
};

/// Returns the record of the latest earlier day of the series on which a run with rows has authority.
///
/// # Errors
/// The state's; `Corrupt` if a record of the series is malformed.
pub async fn latest_before(
    state: &dyn PartitionState,
    key: &PartitionKey,
) -> Result<Option<Entry>> {
    let days = Selection {
        source: Some(key.source().to_owned()),
        customer_id: Some(key.customer_id().to_owned()),
        query_name: Some(key.query_name().to_owned()),
        since: None,
        until: Some(key.logical_date()),
    };
    let entries = state.list(&Filter::from(days)).await?;
    let mut latest: Option<Entry> = None;
    for entry in entries {
        let entry = entry?;
        let day = entry.key.logical_date();
        let has_rows = entry.record.record_count.is_some_and(|rows| rows > 0);
        let is_candidate =
            has_rows && entry.record.authoritative_run().is_some() && day < key.logical_date();
        if is_candidate && latest.as_ref().is_none_or(|latest| latest.key.logical_date() < day) {
            latest = Some(entry);
        }
    }
    Ok(latest)
}
