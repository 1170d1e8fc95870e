//! A landing zone for raw API extracts.
//!
//! An extractor streams JSON rows into a *partition*. The partition is *sealed* once, by writing
//! `metadata.json` last, and never changes afterwards. A *validator* records in
//! [`PartitionState`](state::PartitionState) which run has authority; *consumers* read only that run.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! # let root = folder.path().join("raw");
//! use rawsink::{Config, Metadata, PartitionKey, RawSink, RunId};
//!
//! let sink = RawSink::open(&Config::directory(root))?;
//! let key = PartitionKey::new("google_ads", "1234567890", "campaign", "2024-06-01")?;
//! let run: RunId = "2024-06-02T04:05:06.789Z".parse()?;
//!
//! let mut writer = sink.write_partition(&key, &run).await?;
//! writer.write_payload_line(br#"{"campaign":"summer","clicks":"12"}"#).await?;
//! let sealed = writer.finalize(Metadata::for_run(&key, &run).field("api_version", "v21").build()?).await?;
//! assert_eq!(sealed.payload.record_count, 1);
//!
//! let mut reader = sink.open_partition(&key, &run).await?;
//! assert_eq!(reader.next_row().await?.as_deref(), Some(&br#"{"campaign":"summer","clicks":"12"}"#[..]));
//! assert_eq!(reader.next_row().await?, None);
//! # Ok::<(), rawsink::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Core types
//!
//! | type | what it is |
//! |---|---|
//! | [`Config`], [`RawSink`] | where partitions are stored, and the handle to write, list and read them |
//! | [`PartitionKey`], [`RunId`] | the name of a logical partition, and of one execution |
//! | [`PartitionWriter`], [`Sealed`] | one attempt at a run, and the evidence that it was sealed |
//! | [`PartitionReader`] | the rows of a sealed run, checked against its seal while they stream |
//! | [`Metadata`], [`Seal`] | the caller's `metadata.json`, and the block that this crate adds |
//! | [`state::PartitionState`] | which run has authority; opened by [`Config::open_state`] |
//! | [`validate`], [`consume`] | the validator, and what a consumer reads |
//! | [`blocking`] | the same types for programs without an async runtime |
//! | [`Error`], [`ErrorKind`] | what the caller should do, what happened and where |
//!
//! Rows are written one by one, in chunks of bytes, or from a stream or a reader
//! ([`PartitionWriter`]); they are read one by one, as a stream, or as bytes ([`PartitionReader`]).
//!
//! The traits of stores and states are public, so that their operations can be called, but only
//! this crate implements them: an implementation without its proofs would break the guarantees.
//!
//! # Errors
//!
//! Every error has a [kind](ErrorKind) that says what the caller should do. Every kind but
//! [`Unknown`](ErrorKind::Unknown) and [`Corrupt`](ErrorKind::Corrupt) means that the writer's seal
//! does not exist and will not appear.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `s3` | yes | a bucket of any S3-compatible object storage |
//! | `sqlite` | yes | `PartitionState` in an SQLite file |
//! | `postgres` | | `PartitionState` in PostgreSQL |
//! | `env` | yes | configuration from `RAW_SINK_*` environment variables |
//! | `test-util` | | a store and a state in memory, injected faults, a fixed clock |
//!
//! The [guarantees] have numbers, G01 to G18.
//!
//! Without features the crate writes and reads partitions in a directory.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(unix))]
compile_error!("rawsink needs Unix: hard links, flock and fsync of directories; Linux is tested");

pub mod blocking;
pub mod consume;
#[cfg(feature = "env")]
pub mod env;
pub mod error;
mod foreign;
#[doc = include_str!("guarantees.md")]
pub mod guarantees {}
mod internal;
pub mod layout;
mod literal;
pub mod open;
pub mod partition;
pub mod runtime;
#[cfg(any(feature = "s3", feature = "postgres"))]
pub mod secret;
pub mod sink;
#[cfg(any(feature = "env", feature = "s3", feature = "postgres"))]
mod small_file;
pub mod state;
pub mod store;
#[cfg(any(feature = "s3", feature = "postgres"))]
mod tls;
pub mod validate;

pub use error::{Error, ErrorKind, Result};
#[cfg(any(feature = "test-util", feature = "unstable-raw"))]
#[doc(hidden)]
pub use internal::Internal;
pub use open::{Backend, Config};
pub use partition::{LogicalDate, Metadata, PartitionKey, RunId, Seal};
pub use runtime::{Clock, SystemClock};
#[cfg(any(feature = "s3", feature = "postgres"))]
pub use secret::Secret;
pub use sink::{PartitionReader, PartitionWriter, RawSink, Sealed};
