//! Lists the payloads that consumers read, with their URIs and lengths.
//!
//! The state names the runs that have authority. Only the seals of those runs are read from storage;
//! nothing is listed.

use std::num::NonZeroUsize;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;

use rawsink::{
    consume,
    error::{Error, Result},
    layout::{self, Place},
    partition::{PartitionKey, RunId, Selection},
    sink::RawSink,
    state::{Filter, PartitionState, Status},
};

/// A run that has authority in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The logical partition.
    pub key: PartitionKey,
    /// The run.
    pub run: RunId,
    /// Number of its rows; `None` if other software did not record it.
    pub rows: Option<u64>,
}

impl Current {
    /// Returns the URI of the payload: `root_uri` ([`Backend::uri`](rawsink::Backend::uri)) and its
    /// path.
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
    /// The URI of the payload.
    pub uri: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Number of its rows; `None` if unknown.
    pub rows: Option<u64>,
    /// Its SHA-256, 64 lower-case hex digits; `None` if other software sealed it.
    pub sha256: Option<String>,
}

/// Returns the runs of a selection that have authority, sorted by key.
///
/// A malformed record, or one with success and without a run, is an item with a `Corrupt` error.
///
/// # Errors
/// Those of the state.
pub async fn current_runs(
    state: &dyn PartitionState,
    partitions: &Selection,
) -> Result<Vec<Result<Current>>> {
    let filter = Filter { partitions: partitions.clone(), status: Some(Status::Success) };
    let entries = state.list(&filter).await?.into_iter();
    let current = entries.map(|entry| {
        let entry = entry?;
        let nameless = || {
            Error::corrupt("the state record has status success without current_run_id")
                .at(Place::of_partition(&entry.key))
        };
        let run = entry.record.authoritative_run().cloned().ok_or_else(nameless)?;
        Ok(Current { rows: entry.record.record_count, key: entry.key, run })
    });
    Ok(current.collect())
}

/// Streams the payloads of runs that have authority, in their order, with up to `jobs` requests in
/// parallel.
///
/// A run that cannot be read is an item with an error: `Corrupt` if it does not exist, is not sealed,
/// or has another number of rows than the state.
pub fn payloads<'sink>(
    sink: &'sink RawSink,
    root_uri: &'sink str,
    runs: Vec<Current>,
    jobs: NonZeroUsize,
) -> BoxStream<'sink, Result<Payload>> {
    stream::iter(runs)
        .map(move |current| payload(sink, root_uri, current))
        .buffered(jobs.get())
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
                "the seal has record_count {}, the state {}",
                seal.record_count,
                rows.unwrap_or_default()
            );
            return Err(Error::corrupt(message).at(Place::of_run(&key, &run)));
        }
        Some(seal) => (seal.payload_bytes, Some(seal.record_count), Some(seal.payload_sha256)),
        None => {
            let payload = sink.inspect(&key, &run).await?.payload;
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
