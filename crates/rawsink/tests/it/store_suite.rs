//! The contract of a store, as cases that every store runs, and what only a directory can show.

mod attempts; // one attempt after the other: what is visible when, and who is refused
mod directory; // modes, staging files, links: what only a directory has
mod endings; // abort, drop and failure; restarts; sealed runs that nobody touches
mod leftovers; // what attempts left, and discarding it
mod listing; // children and walks
mod reading; // objects from an offset

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rawsink::{
    ErrorKind, Result,
    store::{Attempt, LeftoverPolicy, Object, RunObjects, Store, StorePath, Upload, WriterToken},
};

use crate::backend::AnyStore;

fn attempt(token: u128) -> Attempt {
    let now = "2024-06-02T05:00:00Z".parse().unwrap();
    Attempt { token: WriterToken::new(token), leftover: LeftoverPolicy::Replace, now }
}

/// Starts an attempt at a run that nobody else is writing.
async fn start(store: &AnyStore, run: &StorePath, token: u128) -> Box<dyn Upload> {
    store.start(run, attempt(token)).await.unwrap()
}

/// Starts an attempt and makes its payload appear.
async fn complete(store: &AnyStore, run: &StorePath, token: u128, text: &str) -> Box<dyn Upload> {
    let mut upload = start(store, run, token).await;
    upload.complete(bytes(text)).await.unwrap();
    upload
}

/// Seals with a document that names the token.
async fn seal(upload: Box<dyn Upload>) -> Result<WriterToken> {
    upload.seal(&|token| Bytes::from(format!("{{\"writer\":\"{token}\"}}"))).await
}

/// What [`seal`] leaves as the seal.
fn seal_of(token: u128) -> Bytes {
    Bytes::from(format!("{{\"writer\":\"{token:032x}\"}}"))
}

async fn write(store: &AnyStore, run: &StorePath, token: u128, text: &str) {
    assert_eq!(seal(complete(store, run, token, text).await).await.unwrap().as_str(), {
        format!("{token:032x}")
    });
}

/// Reads an object from an offset; `None` where it is not there.
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

/// What is there of a run: payload and seal.
async fn content(store: &AnyStore, run: &StorePath) -> (Option<Bytes>, Option<Bytes>) {
    let payload = read_from(store, run, Object::Payload, 0).await;
    let seal = read_from(store, run, Object::Seal, 0).await;
    let looked = store.look(run).await.unwrap();
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| bytes.len() as u64);
    assert_eq!(looked.payload.map(|info| info.bytes), length(&payload), "look agrees with read");
    assert_eq!(looked.seal.map(|info| info.bytes), length(&seal), "look agrees with read");
    (payload, seal)
}

/// Everything about a run that must stay once it is sealed: bytes, lengths and times.
async fn snapshot(
    store: &AnyStore,
    run: &StorePath,
) -> (RunObjects, (Option<Bytes>, Option<Bytes>)) {
    (store.look(run).await.unwrap(), content(store, run).await)
}

/// The paths of all objects below `dir`, in the order of the walk.
async fn walked(store: &AnyStore, dir: &StorePath) -> Vec<String> {
    let found = store.walk(dir).map(Result::unwrap);
    found.map(|stored| stored.dir.join(stored.object.file_name()).to_string()).collect().await
}

/// A part of the least size that servers take, filled with a text.
fn part(upload: &dyn Upload, text: &str) -> Bytes {
    text.bytes().cycle().take(upload.part_bytes()).collect()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn later(time: Timestamp, minutes: i64) -> Timestamp {
    time + jiff::SignedDuration::from_mins(minutes)
}
