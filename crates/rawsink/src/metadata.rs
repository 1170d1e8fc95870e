//! The metadata document and the seal block inside it.
//!
//! Owns what `metadata.json` says and how it agrees with a key, a run and a payload. Members are
//! kept as the text that was given, so that their order and every number stay exact. Must not know
//! where the document is stored.

mod builder;
mod members;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

pub use self::builder::MetadataBuilder;
use self::members::Members;
use crate::{
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId},
};

/// Longest `metadata.json`, in bytes, that is written or read.
pub const MAX_METADATA_BYTES: usize = 4 * 1024 * 1024;

/// Name of the member that holds the [`Seal`].
pub const SEAL_MEMBER: &str = "_seal";

/// The version of the seal block that this software writes and reads.
pub const SEAL_FORMAT: u64 = 1;

/// The caller's metadata: a JSON object whose members keep their order and exact text.
///
/// Serialises as that object. The seal block is never part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    members: Members,
}

/// The evidence of sealing, the member `_seal` of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Version of this block, [`SEAL_FORMAT`].
    pub format: u64,
    /// Token of the attempt that sealed.
    pub writer: String,
    /// Length of the payload in bytes.
    pub payload_bytes: u64,
    /// SHA-256 of the payload, 64 lower-case hex digits.
    pub payload_sha256: String,
    /// Number of rows.
    pub record_count: u64,
    /// Name and version of the software that sealed.
    pub software: String,
}

impl Metadata {
    /// Starts metadata that names `key` and `run`; the builder adds the rest.
    pub fn for_run(key: &PartitionKey, run: &RunId) -> MetadataBuilder {
        MetadataBuilder::for_run(key, run)
    }

    /// Reads a caller's document.
    ///
    /// # Errors
    /// `Invalid` for anything but one JSON object, a name that occurs twice, and a member `_seal`.
    pub fn parse(document: &[u8]) -> Result<Self> {
        let members = Members::parse(document)
            .map_err(|fault| Error::invalid(format!("metadata is no JSON object: {fault}")))?;
        if let Some(name) = members.repeated() {
            return Err(Error::invalid(format!("metadata names {name:?} twice")));
        }
        check_length(document.len())?;
        if members.raw(SEAL_MEMBER).is_some() {
            return Err(Error::invalid(format!("metadata already has a member {SEAL_MEMBER:?}")));
        }
        Ok(Self { members })
    }

    /// Returns a member's JSON text, exactly as it was given.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.members.raw(name)
    }

    /// Returns a member as a value; numbers may lose digits that [`raw`](Self::raw) keeps.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.raw(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns a member that is a string.
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns a member that is a whole number, not negative.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.raw(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns the member names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.names()
    }

    /// Returns what a complete document would have and this one lacks, one sentence each.
    ///
    /// Complete means: `source`, `customer_id`, `query_name`, `logical_date`, `run_id`,
    /// `schema_version` and `api_version` as strings, `extracted_at` as a time stamp,
    /// `record_count` as an integer, and `query_hash` or `query_signature`.
    pub fn gaps(&self) -> Vec<String> {
        let texts = [
            "source",
            "customer_id",
            "query_name",
            "logical_date",
            "run_id",
            "schema_version",
            "api_version",
        ];
        let mut gaps: Vec<String> = texts
            .iter()
            .filter_map(|name| self.gap(name, "a string", self.text(name).is_some()))
            .collect();
        let extracted_at =
            self.text("extracted_at").and_then(|text| text.parse::<jiff::Timestamp>().ok());
        gaps.extend(self.gap("extracted_at", "a time stamp with offset", extracted_at.is_some()));
        gaps.extend(self.gap("record_count", "an integer", self.integer("record_count").is_some()));
        if self.text("query_hash").or_else(|| self.text("query_signature")).is_none() {
            gaps.push("query_hash or query_signature is missing".to_owned());
        }
        gaps
    }

    /// Returns where the document contradicts its partition or the number of rows, one sentence each.
    pub fn contradictions(
        &self,
        key: &PartitionKey,
        run: &RunId,
        record_count: u64,
    ) -> Vec<String> {
        let date = key.logical_date().to_string();
        let identity = [
            ("source", key.source()),
            ("customer_id", key.customer_id()),
            ("query_name", key.query_name()),
            ("logical_date", date.as_str()),
            ("run_id", run.as_str()),
        ];
        let mut found = Vec::new();
        for (name, expected) in identity {
            if let Some(raw) = self
                .raw(name)
                .filter(is_said)
                .filter(|_| self.text(name).as_deref() != Some(expected))
            {
                found.push(format!(
                    "metadata says {name} is {}, the partition's is {expected:?}",
                    shown(raw)
                ));
            }
        }
        let counted = self.integer("record_count");
        if let Some(raw) =
            self.raw("record_count").filter(is_said).filter(|_| counted != Some(record_count))
        {
            found.push(format!(
                "metadata says record_count is {}, the payload's is {record_count}",
                shown(raw)
            ));
        }
        found
    }

    fn gap(&self, name: &str, wanted: &str, present: bool) -> Option<String> {
        match self.raw(name).filter(is_said) {
            _ if present => None,
            None => Some(format!("{name} is missing")),
            Some(raw) => Some(format!("{name} is {}, not {wanted}", shown(raw))),
        }
    }
}

/// Refuses a document that is too long.
pub(crate) fn check_length(bytes: usize) -> Result<()> {
    if bytes <= MAX_METADATA_BYTES {
        return Ok(());
    }
    let message = format!("metadata has {bytes} bytes, at most {MAX_METADATA_BYTES} are possible");
    Err(Error::invalid(message))
}

/// Returns a member's text for a message: one line, and not too long.
fn shown(raw: &str) -> String {
    const LONGEST: usize = 80;
    let line: String =
        raw.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if raw.chars().nth(LONGEST).is_some() { format!("{line}...") } else { line }
}

/// A member that is null says nothing.
fn is_said(raw: &&str) -> bool {
    raw.trim() != "null"
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

/// Returns the bytes of `metadata.json`: the caller's members in their order, then the seal block.
pub(crate) fn sealed_document(metadata: &Metadata, seal: &Seal) -> Bytes {
    let mut members = metadata.members.clone();
    members.set(SEAL_MEMBER, seal).expect("a seal block is plain data");
    let mut document = serde_json::to_vec_pretty(&members).expect("members are JSON text");
    document.push(b'\n');
    Bytes::from(document)
}

/// Reads a stored `metadata.json`: the caller's document and, where this software sealed, the seal.
///
/// # Errors
/// `Corrupt` for anything but a JSON object with at most one readable seal block; `Unsupported` for
/// a seal block of another format.
pub(crate) fn parse_sealed(document: &[u8]) -> Result<(Metadata, Option<Seal>)> {
    let mut members = Members::parse(document)
        .map_err(|fault| Error::corrupt(format!("metadata.json is no JSON object: {fault}")))?;
    let blocks = members.remove(SEAL_MEMBER);
    let seal = match blocks.as_slice() {
        [] => None,
        [block] => Some(parse_seal(block)?),
        _ => return Err(Error::corrupt("metadata.json has more than one seal block")),
    };
    Ok((Metadata { members }, seal))
}

fn parse_seal(block: &str) -> Result<Seal> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let unreadable = |fault: serde_json::Error| {
        Error::corrupt(format!("the seal block is not readable: {fault}"))
    };
    let Format { format } = serde_json::from_str(block).map_err(unreadable)?;
    if format != SEAL_FORMAT {
        let message =
            format!("the seal block has format {format}, this software reads {SEAL_FORMAT}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    serde_json::from_str(block).map_err(unreadable)
}

#[cfg(test)]
mod tests;
