//! A landing zone for raw API extracts.
//!
//! An extractor streams JSON rows into a *partition*. The partition is *sealed* once, by writing
//! `metadata.json` last; nothing changes it afterwards. A *validator* then gives authority in
//! [`state::PartitionState`]; *consumers* read what it says and nothing else.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use rawsink::{Metadata, PartitionKey, RawSink, RunId, store::MemoryStore};
//!
//! let sink = RawSink::new(MemoryStore::new());
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
//! The guarantees (G01 to G18) that the items below refer to stand in `docs/semantics.md`.

mod bulk;
pub mod clean;
pub mod clock;
pub mod config;
pub mod consume;
pub mod copy;
pub mod coverage;
pub mod doctor;
pub mod error;
pub mod key;
pub mod layout;
pub mod manifest;
pub mod metadata;
pub mod row;
pub mod sink;
pub mod state;
pub mod store;
pub mod validate;
pub mod verify;

pub use clock::{Clock, SystemClock};
pub use config::Settings;
pub use error::{Error, ErrorKind, Result};
pub use key::{LogicalDate, PartitionKey, RunId};
pub use metadata::{Metadata, Seal};
pub use sink::{PartitionReader, PartitionWriter, RawSink, Sealed};
