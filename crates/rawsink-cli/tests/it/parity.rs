//! The program against a real object storage server.
//!
//! `make parity` names the server and runs these. Every test works below a prefix of its own. What
//! is in the bucket is asked by `curl`, which shares no code with the program.

mod access; // keys and buckets that are wrong, secrets from files
mod cleaning; // what dead writers left, and nothing of the living
mod client; // what lies in the bucket, asked by curl
mod copies; // to the bucket and back
mod defaults; // one round with the settings that nobody changed
mod doctor; // an examination of the server, whole and cut off
mod kills; // kill -9 of a writer at any moment
mod listing; // a thousand runs
mod minio; // what needs the MinIO that `make parity` starts
mod races; // processes that race for one run
mod whole_way; // the commands, as on a directory

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
};

use rawsink::config::VARIABLES;

use self::client::Client;
use crate::landing::{Landing, lines, run_path};

/// The least size of a part that servers take.
const PART: &str = "5MiB";

/// A landing zone in the bucket that the environment names, below a prefix of its own.
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

/// The key of a run's payload, below the landing's prefix.
fn payload_of(run: &str) -> String {
    format!("{}/payload.jsonl", run_path(run))
}

/// The key of a run's seal, below the landing's prefix.
fn seal_of(run: &str) -> String {
    format!("{}/metadata.json", run_path(run))
}

/// About `mib` MiB of rows that carry `name`.
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
