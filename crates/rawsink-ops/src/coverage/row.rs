//! A cell as a flat record, for JSON.

use rawsink::{
    RunId,
    state::{Series, Status},
};
use serde::Serialize;

use super::{Cell, Drift, Standing, place};

/// A cell with its partition.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    path: String,
    source: &'a str,
    customer_id: &'a str,
    query_name: &'a str,
    logical_date: String,
    standing: Standing,
    /// The run that the standing describes.
    run_id: Option<&'a RunId>,
    /// `null` without a record.
    status: Option<Status>,
    current_run_id: Option<&'a RunId>,
    record_count: Option<u64>,
    error_message: Option<&'a str>,
    /// The newest sealed run in the storage that is not withdrawn.
    sealed_run_id: Option<&'a RunId>,
    /// The newest sealed run that needs a verdict.
    due_run_id: Option<&'a RunId>,
    /// The newest run that passed and that a run of the future keeps from authority.
    blocked_run_id: Option<&'a RunId>,
    /// The newest run in the storage without a seal.
    unsealed_run_id: Option<&'a RunId>,
    #[serde(flatten)]
    drift: Drift,
}

impl<'a> Cell<'a> {
    /// Returns the cell of a series as a record.
    pub fn into_row(self, series: &'a Series) -> Row<'a> {
        Row {
            path: place(series, Some(self.day)).to_string(),
            source: &series.source,
            customer_id: &series.customer_id,
            query_name: &series.query_name,
            logical_date: self.day.to_string(),
            standing: self.standing,
            run_id: self.run,
            status: self.status,
            current_run_id: self.current,
            record_count: self.record_count,
            error_message: self.reason,
            sealed_run_id: self.sealed,
            due_run_id: self.due,
            blocked_run_id: self.blocked,
            unsealed_run_id: self.unsealed,
            drift: self.drift,
        }
    }
}
