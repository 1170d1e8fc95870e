//! What consumers read, for many partitions at once: which payload of each has authority, where it
//! lies, and how long it is.
//!
//! Which partitions and runs these are is the state's to say; the storage is asked for the seals
//! of exactly those runs, and nothing is listed.

use std::num::NonZeroUsize;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;

use crate::{
    consume,
    error::{Error, Result},
    key::{PartitionKey, RunId, Selection},
    layout::{self, Place},
    sink::RawSink,
    state::{Filter, PartitionState, Status},
};

/// A run that has authority, as the state says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run: RunId,
    /// Its rows; `None` where other software left that open.
    pub rows: Option<u64>,
}

impl Current {
    /// Returns the URI of the payload: `root_uri` ([`Settings::root_uri`](crate::Settings::root_uri))
    /// and its path.
    pub fn uri(&self, root_uri: &str) -> String {
        format!("{root_uri}/{}", layout::payload_path(&self.key, &self.run))
    }
}

/// A payload that consumers read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// The upstream system.
    pub source: String,
    /// The customer.
    pub customer_id: String,
    /// The query.
    pub query_name: String,
    /// The reporting day.
    pub logical_date: String,
    /// The run that has authority.
    pub run_id: RunId,
    /// Where the payload lies.
    pub uri: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its rows, as they were validated.
    pub rows: Option<u64>,
    /// Its SHA-256, 64 lower-case hex digits; `None` where other software sealed.
    pub sha256: Option<String>,
}

/// Returns the runs of a selection that have authority, sorted by key.
///
/// A record that makes no sense, or says success and names no run, is an error of its own,
/// `Corrupt`; the others are there all the same.
///
/// # Errors
/// The state's.
pub async fn current_runs(
    state: &dyn PartitionState,
    partitions: &Selection,
) -> Result<Vec<Result<Current>>> {
    let filter = Filter { partitions: partitions.clone(), status: Some(Status::Success) };
    let entries = state.list(&filter).await?.into_iter();
    let current = entries.map(|entry| {
        let entry = entry?;
        let nameless = || {
            Error::corrupt("the state record says success and names no run")
                .at(Place::of_partition(&entry.key))
        };
        let run = entry.record.authoritative_run().cloned().ok_or_else(nameless)?;
        Ok(Current { rows: entry.record.record_count, key: entry.key, run })
    });
    Ok(current.collect())
}

/// Streams the payloads of runs that have authority, in their order; `at_once` of them are looked
/// up at a time.
///
/// A run that cannot be read is an error of its own, `Corrupt` where it is not there or not sealed,
/// or says another number of rows than the state.
pub fn payloads<'sink>(
    sink: &'sink RawSink,
    root_uri: &'sink str,
    runs: Vec<Current>,
    at_once: NonZeroUsize,
) -> BoxStream<'sink, Result<Payload>> {
    stream::iter(runs)
        .map(move |current| payload(sink, root_uri, current))
        .buffered(at_once.get())
        .boxed()
}

async fn payload(sink: &RawSink, root_uri: &str, current: Current) -> Result<Payload> {
    let uri = current.uri(root_uri);
    let Current { key, run, rows } = current;
    let read = sink.metadata(&key, &run).await;
    let (_, seal) = read.map_err(|error| consume::missing(error, &key, &run))?;
    let (bytes, rows, sha256) = match seal {
        Some(seal) if rows.is_some_and(|rows| rows != seal.record_count) => {
            let message = format!(
                "the seal says {} rows, the state {}",
                seal.record_count,
                rows.unwrap_or_default()
            );
            return Err(Error::corrupt(message).at(Place::of_run(&key, &run)));
        }
        Some(seal) => (seal.payload_bytes, Some(seal.record_count), Some(seal.payload_sha256)),
        None => {
            let payload = sink.look(&key, &run).await?.payload;
            let gone = || Error::corrupt("the payload is missing").at(Place::of_run(&key, &run));
            (payload.ok_or_else(gone)?.bytes, rows, None)
        }
    };
    let logical_date = key.logical_date().to_string();
    let [source, customer_id, query_name] =
        [key.source(), key.customer_id(), key.query_name()].map(str::to_owned);
    Ok(Payload {
        source,
        customer_id,
        query_name,
        logical_date,
        run_id: run,
        uri,
        bytes,
        rows,
        sha256,
    })
}
