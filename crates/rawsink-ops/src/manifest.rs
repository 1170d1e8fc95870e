//! Lists the payloads that consumers read, with their URIs and lengths.
//!
//! The state names the runs that have authority, in pages, so that memory does not grow with their
//! number and no transaction is open while the store is read. Record and log of a few hundred partitions
//! are read right before their runs are checked. A run is listed only if it is the one that was
//! validated (G19), as far as this is known without reading payloads. Nothing is listed in the storage.

mod authority;
mod reader_uri;

use std::{num::NonZeroUsize, sync::Arc};

use futures_util::stream::BoxStream;
use serde::Serialize;

use self::authority::{Found, Search};
pub use self::reader_uri::Reader;
use crate::bulk::{self, Order, Task};
use rawsink::{
    consume::{self, Authority},
    error::{Error, ErrorKind, Result},
    layout::{self, Place},
    partition::{PartitionKey, RunId, Selection},
    sink::RawSink,
    state::PartitionState,
};

/// What to list, and how.
#[derive(Debug, Clone)]
pub struct Work {
    /// Only these logical partitions.
    pub partitions: Selection,
    /// The URI of the sink's root, see [`Backend::uri`](rawsink::Backend::uri).
    pub root_uri: String,
    /// Who opens the URIs; `None` writes them without any escapes.
    pub reader: Option<Reader>,
    /// Number of runs to check in parallel.
    pub jobs: NonZeroUsize,
}

/// An event of the stream.
#[derive(Debug)]
pub enum Event {
    /// A payload that consumers read.
    Listed(Box<Payload>),
    /// A partition whose record gives authority to a run that must not be listed, and why.
    Refused(Error),
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
    /// Its SHA-256, 64 lower-case hex digits; `None` if nobody recorded it.
    pub sha256: Option<String>,
}

impl Payload {
    /// Returns whether some reader may take the URI for a pattern, or decode it.
    pub fn needs_escapes(&self) -> bool {
        reader_uri::needs_escapes(&self.uri)
    }
}

/// Streams the payloads of all runs of a selection that have authority, sorted by key.
///
/// A run is refused, and the others go on, if
///
/// - its record or log is malformed, or the record names no run (`Corrupt`),
/// - an operator withdrew it (`Corrupt`),
/// - it does not exist, is not sealed, or is not the one that was validated, by `metadata.json` and the
///   length of the payload (`Corrupt`),
/// - the reader cannot open exactly its payload (`Invalid`),
/// - the store returns an error.
///
/// An error of the state ends the stream, as do 20 consecutive errors that are not limited to one run.
/// Must be called in a tokio runtime, whose tasks check the runs.
pub fn payloads(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> BoxStream<'static, Result<Event>> {
    let found = Search::new(state.clone(), &work.partitions).all();
    let checker = Arc::new(Checker {
        sink: sink.clone(),
        root_uri: work.root_uri.clone(),
        reader: work.reader,
    });
    let step = move |found| take(checker.clone(), found);
    let outcome = |event: &Event| match event {
        Event::Listed(_) => Some(Ok(())),
        // The reader cannot open such a name; the store was not asked.
        Event::Refused(error) if error.kind() == ErrorKind::Invalid => None,
        Event::Refused(error) => Some(Err(error.kind())),
    };
    bulk::work(found, (work.jobs, Order::Items), step, outcome)
}

async fn take(checker: Arc<Checker>, found: Result<Found>) -> Vec<Result<Event>> {
    let outcome = match found {
        Ok(Found::Current(key, authority)) => {
            let task = Task::spawn(async move { checker.payload(&key, &authority).await });
            task.finish().await.flatten()
        }
        Ok(Found::Refused(error)) => Err(error),
        Err(error) => return vec![Err(error)],
    };
    vec![Ok(match outcome {
        Ok(payload) => Event::Listed(Box::new(payload)),
        Err(error) => Event::Refused(error),
    })]
}

/// Checks runs and names their payloads.
struct Checker {
    sink: RawSink,
    root_uri: String,
    reader: Option<Reader>,
}

impl Checker {
    async fn payload(&self, key: &PartitionKey, authority: &Authority) -> Result<Payload> {
        let run = &authority.run;
        let uri = self.uri(key, run).map_err(|error| error.at(Place::of_run(key, run)))?;
        let consume::CurrentPayload { bytes, record_count, sha256 } =
            consume::inspect_current(&self.sink, key, authority).await?;
        let [source, customer_id, query_name] =
            [key.source(), key.customer_id(), key.query_name()].map(str::to_owned);
        Ok(Payload {
            source,
            customer_id,
            query_name,
            logical_date: key.logical_date().to_string(),
            run_id: run.clone(),
            uri,
            bytes,
            rows: record_count,
            sha256,
        })
    }

    fn uri(&self, key: &PartitionKey, run: &RunId) -> Result<String> {
        let uri = format!("{}/{}", self.root_uri, layout::payload_path(key, run));
        match self.reader {
            None => Ok(uri),
            Some(reader) => reader.uri(&uri).map_err(Error::invalid),
        }
    }
}
