//! One stream: its records, and what metadata keeps of its other messages.

use std::{fs::File, io::Read, path::Path};

use rawsink::{error::Result, partition::PartitionKey, sink::PayloadSummary};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{message::StreamSchema, spool::Spool};

/// The summary of a stream in the metadata of its partition, as the member `singer`.
///
/// Every value that the tap has sent keeps its exact text.
#[derive(Debug, Serialize)]
pub struct Summary<'s> {
    /// Name of the tap, without its arguments. They may be secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap: Option<&'s str>,
    /// The name of the stream.
    pub stream: &'s str,
    #[serde(flatten)]
    kept: &'s Kept,
    /// The last state of the tap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'s RawValue>,
}

/// What is kept of a stream besides its records.
#[derive(Debug, Serialize)]
struct Kept {
    /// Of the last SCHEMA message, as the two following ones.
    schema: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_properties: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bookmark_properties: Option<Box<RawValue>>,
    /// Number of SCHEMA messages that differ from the one before them.
    schema_changes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_version: Option<FirstAndLast>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_extracted: Option<FirstAndLast>,
    /// Of the last `ACTIVATE_VERSION` message.
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_version: Option<Box<RawValue>>,
}

/// The first and the last value of a member of RECORD messages, as received.
#[derive(Debug, Serialize)]
struct FirstAndLast {
    first: Box<RawValue>,
    last: Box<RawValue>,
}

impl FirstAndLast {
    fn add(both: &mut Option<Self>, value: Option<&RawValue>) {
        let Some(value) = value else { return };
        match both {
            None => *both = Some(Self { first: value.to_owned(), last: value.to_owned() }),
            Some(both) if both.last.get() == value.get() => {}
            Some(both) => both.last = value.to_owned(),
        }
    }
}

/// A stream while the tap runs.
#[derive(Debug)]
pub(super) struct OpenStream {
    pub(super) partition: PartitionKey,
    kept: Kept,
    spool: Spool,
}

impl OpenStream {
    pub(super) fn new(partition: PartitionKey, schema: &StreamSchema<'_>) -> Self {
        let kept = Kept {
            schema: schema.schema.to_owned(),
            key_properties: schema.key_properties.map(ToOwned::to_owned),
            bookmark_properties: schema.bookmark_properties.map(ToOwned::to_owned),
            schema_changes: 0,
            record_version: None,
            time_extracted: None,
            activated_version: None,
        };
        Self { partition, kept, spool: Spool::default() }
    }

    /// Replaces the schema by that of a later message.
    pub(super) fn set_schema(&mut self, schema: &StreamSchema<'_>) {
        let kept = &mut self.kept;
        let before =
            [Some(&kept.schema), kept.key_properties.as_ref(), kept.bookmark_properties.as_ref()];
        let now = [Some(schema.schema), schema.key_properties, schema.bookmark_properties];
        if before.map(|raw| raw.map(|raw| raw.get())) == now.map(|raw| raw.map(RawValue::get)) {
            return;
        }
        kept.schema = schema.schema.to_owned();
        kept.key_properties = schema.key_properties.map(ToOwned::to_owned);
        kept.bookmark_properties = schema.bookmark_properties.map(ToOwned::to_owned);
        kept.schema_changes += 1;
    }

    pub(super) fn activate(&mut self, version: &RawValue) {
        self.kept.activated_version = Some(version.to_owned());
    }

    pub(super) fn append(
        &mut self,
        record: &RawValue,
        version: Option<&RawValue>,
        time_extracted: Option<&RawValue>,
        folder: &Path,
    ) -> Result<()> {
        FirstAndLast::add(&mut self.kept.record_version, version);
        FirstAndLast::add(&mut self.kept.time_extracted, time_extracted);
        self.spool.append(record.get().as_bytes(), folder)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.spool.bytes()
    }

    pub(super) fn finish(self, name: String, folder: &Path) -> Result<Stream> {
        let (rows, payload) = self.spool.finish(folder)?;
        Ok(Stream { name, partition: self.partition, payload, rows, kept: self.kept })
    }
}

/// A stream whose records are complete.
#[derive(Debug)]
pub struct Stream {
    /// The name of the stream.
    pub name: String,
    /// The partition in which it lands.
    pub partition: PartitionKey,
    /// The payload in which its records result.
    pub payload: PayloadSummary,
    rows: Option<File>,
    kept: Kept,
}

impl Stream {
    /// Takes the rows, one record a line. A second call returns none.
    pub fn take_rows(&mut self) -> impl Read + Send + use<> {
        Rows(self.rows.take())
    }

    /// Returns what the metadata of the partition holds of the stream.
    pub fn summary<'s>(&'s self, tap: Option<&'s str>, state: Option<&'s RawValue>) -> Summary<'s> {
        Summary { tap, stream: &self.name, kept: &self.kept, state }
    }
}

/// The rows of a stream; a stream without records has no file.
struct Rows(Option<File>);

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |file| file.read(buffer))
    }
}
