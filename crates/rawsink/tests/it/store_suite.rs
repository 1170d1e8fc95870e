//! The contract of a store: cases that every store runs, and cases for directories only.

mod attempts; // sequential attempts: visibility and refusals
mod directory; // modes, staging files, links: directories only
mod endings; // abort, drop and failure; restarts; sealed runs stay unchanged
mod leftovers; // listing and discarding leftovers
mod listing; // children and walks
mod reading; // objects from an offset
mod restoring; // damaged objects of sealed runs

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rawsink::{
    ErrorKind, Result,
    store::{
        LeftoverPolicy, Object, RunObjects, StartOptions, Store, StorePath, Upload, WriterToken,
    },
};

use rawsink_testkit::backend::AnyStore;

fn attempt(token: u128) -> StartOptions {
    let now = "2024-06-02T05:00:00Z".parse().unwrap();
    StartOptions { token: WriterToken::new(token), leftover: LeftoverPolicy::Replace, now }
}

/// Starts an attempt at a run without rivals.
async fn start(store: &AnyStore, run: &StorePath, token: u128) -> Box<dyn Upload> {
    store.start(run, attempt(token)).await.unwrap()
}

/// Starts an attempt and completes its payload.
async fn complete(store: &AnyStore, run: &StorePath, token: u128, text: &str) -> Box<dyn Upload> {
    let mut upload = start(store, run, token).await;
    upload.complete(bytes(text)).await.unwrap();
    upload
}

/// Seals with a document that names the token.
async fn seal(upload: Box<dyn Upload>) -> Result<WriterToken> {
    upload.seal(&|token| Bytes::from(format!("{{\"writer\":\"{token}\"}}"))).await
}

/// Returns the seal that [`seal`] creates.
fn seal_of(token: u128) -> Bytes {
    Bytes::from(format!("{{\"writer\":\"{token:032x}\"}}"))
}

async fn write(store: &AnyStore, run: &StorePath, token: u128, text: &str) {
    assert_eq!(seal(complete(store, run, token, text).await).await.unwrap().as_str(), {
        format!("{token:032x}")
    });
}

/// Reads an object from an offset; `None` if it is missing.
async fn read_from(
    store: &AnyStore,
    run: &StorePath,
    object: Object,
    offset: u64,
) -> Option<Bytes> {
    match store.read(run, object, offset).await {
        Ok(reading) => {
            let chunks: Vec<Bytes> = reading.chunks.try_collect().await.unwrap();
            assert!(chunks.iter().all(|chunk| !chunk.is_empty()), "no chunk is empty");
            Some(Bytes::from(chunks.concat()))
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            None
        }
    }
}

/// Returns the payload and seal of a run.
async fn content(store: &AnyStore, run: &StorePath) -> (Option<Bytes>, Option<Bytes>) {
    let payload = read_from(store, run, Object::Payload, 0).await;
    let seal = read_from(store, run, Object::Seal, 0).await;
    let inspected = store.inspect(run).await.unwrap();
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| bytes.len() as u64);
    assert_eq!(
        inspected.payload.map(|info| info.bytes),
        length(&payload),
        "inspect agrees with read"
    );
    assert_eq!(inspected.seal.map(|info| info.bytes), length(&seal), "inspect agrees with read");
    (payload, seal)
}

/// Returns all that must not change once a run is sealed: bytes, lengths and times.
async fn snapshot(
    store: &AnyStore,
    run: &StorePath,
) -> (RunObjects, (Option<Bytes>, Option<Bytes>)) {
    (store.inspect(run).await.unwrap(), content(store, run).await)
}

/// Returns the paths of all objects below `dir`, in walk order.
async fn walked(store: &AnyStore, dir: &StorePath) -> Vec<String> {
    let found = store.walk(dir).map(Result::unwrap);
    found.map(|stored| stored.dir.join(stored.object.file_name()).to_string()).collect().await
}

/// Returns the names directly below `dir`.
async fn children(store: &AnyStore, dir: &StorePath) -> Vec<String> {
    store.children(dir).try_collect().await.unwrap()
}

/// Returns a part of the minimum size, filled with a text.
fn part(upload: &dyn Upload, text: &str) -> Bytes {
    text.bytes().cycle().take(upload.part_bytes()).collect()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn later(time: Timestamp, minutes: i64) -> Timestamp {
    time + jiff::SignedDuration::from_mins(minutes)
}
