//! The program against a real object storage server.
//!
//! `make parity` names the server and runs these. Every test uses its own prefix. The
//! bucket's content is read by `curl`, which shares no code with the program.

mod access; // wrong keys and buckets, secrets from files
mod cleaning; // leftovers of crashed writers are deleted, data of live writers is kept
mod client; // the bucket's content, read by curl
mod copies; // to the bucket and back
mod defaults; // one round with the default settings
mod doctor; // an examination of the server, complete and interrupted
mod kills; // kill -9 of a writer at any moment
mod listing; // a thousand runs
mod minio; // tests that need the MinIO that `make parity` starts
mod races; // processes that race for one run
mod whole_way; // the commands, as on a directory

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
};

use rawsink::env::VARIABLES;

use self::client::Client;
use crate::landing::{Landing, lines, run_path};

/// The minimum part size of servers.
const PART: &str = "5MiB";

/// Returns a landing in the bucket of the environment, with its own prefix.
pub(crate) fn bucket() -> Landing {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("{}/{}-{number}", var("RAW_SINK_PREFIX"), std::process::id());
    let given = VARIABLES
        .iter()
        .filter_map(|variable| env::var(variable.name).ok().map(|value| (variable.name, value)));
    let landing = given.fold(Landing::new(), |landing, (name, value)| landing.with(name, value));
    landing.with("RAW_SINK_PREFIX", prefix).with("RAW_SINK_PART_BYTES", PART)
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make parity`"))
}

/// Returns the key of a run's payload, below the landing's prefix.
fn payload_of(run: &str) -> String {
    format!("{}/payload.jsonl", run_path(run))
}

/// Returns the key of a run's seal, below the landing's prefix.
fn seal_of(run: &str) -> String {
    format!("{}/metadata.json", run_path(run))
}

/// Returns about `mib` MiB of rows that contain `name`.
fn rows(name: &str, mib: u64) -> String {
    lines(mib * 1024, |row| format!("{{\"name\":\"{name}\",\"row\":{row},\"pad\":\"{:0980}\"}}", 0))
}

/// Asserts that a run is sealed with exactly these rows, and that no upload of it is open.
#[track_caller]
fn assert_sealed(landing: &Landing, run: &str, rows: &str) {
    let read = landing.rawsink(["read", &run_path(run)]).exits(0).stdout;
    assert!(read == rows, "{run} has other rows");
    assert_eq!(Client::of(landing).open_uploads(&payload_of(run)), 0, "an upload of {run} is open");
}
