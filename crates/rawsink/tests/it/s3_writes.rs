//! Writers over an S3 server that misbehaves: results and stored objects.

mod budgets; // requests of a partition, and waiting times
mod late; // slow requests, and changes meanwhile
mod lost_replies; // a lost or wrong reply to each important request
mod racing; // concurrent writers of one run, in many orders
mod refusals; // refusals and their error kinds
mod rivals; // sequential writers and rivals

use rawsink::{
    ErrorKind, RawSink, Result, Sealed,
    store::{Object, StorePath, s3::CompleteConditions},
};

use rawsink_testkit::{
    s3_server::{Objects, S3Server, key_of},
    sample::{self, key, path, run},
};

const BOTH: [CompleteConditions; 2] = [CompleteConditions::Enforced, CompleteConditions::Ignored];

/// How a payload goes to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// By a single PUT.
    Small,
    /// By a multipart upload of four parts.
    Large,
}

impl Size {
    const BOTH: [Self; 2] = [Self::Small, Self::Large];

    fn rows(self, attempt: &str) -> Vec<String> {
        match self {
            Self::Small => sample::rows(attempt, 5),
            Self::Large => {
                let pad = "x".repeat(40_000);
                let row = |n| format!("{{\"attempt\":\"{attempt}\",\"n\":{n},\"pad\":\"{pad}\"}}");
                (0..6).map(row).collect()
            }
        }
    }
}

/// Returns the run of these tests.
fn place() -> StorePath {
    path(&key(), &run(1))
}

/// Writes and seals the run.
async fn write(sink: &RawSink, rows: &[String]) -> Result<Sealed> {
    sample::seal(sink, &key(), &run(1), rows).await
}

/// Writes the run on a server and returns the result.
async fn outcome(server: &S3Server, rows: &[String]) -> Result<(), ErrorKind> {
    write(&server.sink(), rows).await.map(|_| ()).map_err(|error| error.kind())
}

/// Asserts that the run holds these rows, sealed by this writer, and nothing else.
async fn assert_sealed(server: &S3Server, sealed: &Sealed, rows: &[String], context: &str) {
    server.behave();
    let reader = server.sink().open_partition(&key(), &run(1)).await.unwrap();
    assert_eq!(reader.seal().unwrap().writer, sealed.writer, "{context}");
    let read = sample::read(&server.sink(), &key(), &run(1)).await.unwrap();
    assert!(read == rows, "other rows are there: {context}");
    assert_eq!(server.residue(&place()), ["metadata.json", "payload.jsonl"], "{context}");
}

/// Asserts that the run is not sealed and can be written again.
async fn assert_free(server: &S3Server, context: &str) {
    server.behave();
    assert!(!server.residue(&place()).contains(&"metadata.json".to_owned()), "{context}");
    let again = sample::rows("again", 3);
    let sealed = write(&server.sink(), &again).await;
    let sealed = sealed.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_sealed(server, &sealed, &again, context).await;
}

/// Seals the run as a rival that follows no rules.
fn another_seals(objects: &mut Objects) {
    objects.tamper(&key_of(&place(), Object::Seal), Some(b"{\"by\":\"another\"}"));
}

/// Stores a payload as a rival that follows no rules.
fn another_puts_a_payload(objects: &mut Objects) {
    objects.tamper(&key_of(&place(), Object::Payload), Some(b"{\"by\":\"another\"}\n"));
}
