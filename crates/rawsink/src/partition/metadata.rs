//! The metadata document and the seal block inside it.
//!
//! Parses `metadata.json` and compares it with a key, a run and a payload. Members keep their text,
//! so their order and every number stay exact. Must not know where the document is stored.

mod builder;
mod members;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

pub use self::builder::MetadataBuilder;
use self::members::Members;
use crate::{
    error::{Error, ErrorKind, Result},
    partition::{PartitionKey, RunId},
};

/// Longest `metadata.json` that is written or read, in bytes.
pub const MAX_METADATA_BYTES: usize = 4 * 1024 * 1024;

/// Name of the member that holds the [`Seal`].
pub const SEAL_MEMBER: &str = "_seal";

/// Length of the longest text in a seal block, in bytes.
const LONGEST_SEAL_TEXT: usize = 255;

/// The seal block version that this software writes and reads.
pub const SEAL_FORMAT: u64 = 1;

/// The caller's metadata: a JSON object whose members keep their order and exact text.
///
/// Serialises as that object. The seal block is never part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    members: Members,
}

/// The seal block: the member `_seal` of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Version of the block, [`SEAL_FORMAT`].
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
    /// Returns a builder whose metadata names `key` and `run`.
    pub fn for_run(key: &PartitionKey, run: &RunId) -> MetadataBuilder {
        MetadataBuilder::for_run(key, run)
    }

    /// Parses a caller's document.
    ///
    /// # Errors
    /// `Invalid` for a document that is not one JSON object, has a name twice, has a member
    /// `_seal`, or is longer than [`MAX_METADATA_BYTES`].
    pub fn parse(document: &[u8]) -> Result<Self> {
        let members = Members::parse(document).map_err(|fault| {
            let fault = excerpt(&fault.to_string());
            Error::invalid(format!("metadata is not a JSON object: {fault}"))
        })?;
        if let Some(name) = members.repeated() {
            return Err(Error::invalid(format!("metadata has the member {name:?} twice")));
        }
        check_length(document.len())?;
        if members.raw(SEAL_MEMBER).is_some() {
            return Err(seal_member_is_reserved());
        }
        Ok(Self { members })
    }

    /// Returns a member's exact JSON text.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.members.raw(name)
    }

    /// Returns a member as a value. Numbers may lose digits, which [`raw`](Self::raw) keeps.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.raw(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns a member if it is a string.
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns a member if it is a non-negative integer.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.raw(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns the member names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.names()
    }

    /// Returns the missing and mistyped members, one sentence each.
    ///
    /// A complete document has `source`, `customer_id`, `query_name`, `logical_date`, `run_id`,
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

    /// Returns the contradictions to the partition and the number of rows, one sentence each.
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
                .filter(is_present)
                .filter(|_| self.text(name).as_deref() != Some(expected))
            {
                found.push(format!(
                    "metadata has {name} {}, the partition has {expected:?}",
                    excerpt(raw)
                ));
            }
        }
        let counted = self.integer("record_count");
        if let Some(raw) =
            self.raw("record_count").filter(is_present).filter(|_| counted != Some(record_count))
        {
            found.push(format!(
                "metadata has record_count {}, the payload has {record_count} rows",
                excerpt(raw)
            ));
        }
        found
    }

    /// Returns the metadata with the number of lines that were refused as rows. Without any the member is not
    /// added.
    ///
    /// # Errors
    /// `Invalid` if it has another number.
    pub(crate) fn with_rejected_count(mut self, rejected: u64) -> Result<Self> {
        const MEMBER: &str = "rejected_count";
        let given = self.raw(MEMBER).filter(is_present);
        if let Some(raw) = given.filter(|_| self.integer(MEMBER) != Some(rejected)) {
            let raw = excerpt(raw);
            let message =
                format!("metadata has {MEMBER} {raw}, the number of refused lines is {rejected}");
            return Err(Error::invalid(message));
        }
        if rejected > 0 {
            self.members.set(MEMBER, &rejected).expect("a number is plain data");
        }
        Ok(self)
    }

    fn gap(&self, name: &str, wanted: &str, present: bool) -> Option<String> {
        match self.raw(name).filter(is_present) {
            _ if present => None,
            None => Some(format!("{name} is missing")),
            Some(raw) => Some(format!("{name} is {}, not {wanted}", excerpt(raw))),
        }
    }
}

/// Checks the length of a document.
pub(crate) fn check_length(bytes: usize) -> Result<()> {
    if bytes <= MAX_METADATA_BYTES {
        return Ok(());
    }
    let message = format!("metadata has {bytes} bytes, the limit is {MAX_METADATA_BYTES}");
    Err(Error::invalid(message))
}

fn seal_member_is_reserved() -> Error {
    Error::invalid(format!("metadata has a member {SEAL_MEMBER:?}, which is reserved"))
}

/// Returns a text of a document for a message: one line of at most about 80 characters.
fn excerpt(raw: &str) -> String {
    const START: usize = 50;
    const END: usize = 30;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let count = raw.chars().count();
    // An ellipsis does not replace fewer characters than it has.
    if count <= START + END + "...".len() {
        return raw.chars().map(plain).collect();
    }
    let start = raw.chars().take(START).map(plain);
    let end = raw.chars().skip(count - END).map(plain);
    start.chain("...".chars()).chain(end).collect()
}

/// Returns whether a member has a value. One that is null counts as missing.
fn is_present(raw: &&str) -> bool {
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

/// Parses a stored `metadata.json`: the caller's document and, if this software sealed it, the
/// seal.
///
/// # Errors
/// `Corrupt` unless it is a JSON object with at most one readable seal block; `Unsupported` for a
/// seal block of another format.
pub fn parse_sealed(document: &[u8]) -> Result<(Metadata, Option<Seal>)> {
    let mut members = Members::parse(document).map_err(|fault| {
        let fault = excerpt(&fault.to_string());
        Error::corrupt(format!("metadata.json is not a JSON object: {fault}"))
    })?;
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
    // The text of a fault may contain a member.
    let unreadable = |fault: serde_json::Error| malformed_seal(&excerpt(&fault.to_string()));
    let Format { format } = serde_json::from_str(block).map_err(unreadable)?;
    if format != SEAL_FORMAT {
        let message =
            format!("the seal block has format {format}, this version reads {SEAL_FORMAT}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let seal: Seal = serde_json::from_str(block).map_err(unreadable)?;
    for (name, text) in [("writer", &seal.writer), ("software", &seal.software)] {
        if text.len() > LONGEST_SEAL_TEXT {
            let limit =
                format!("{name} has {} bytes, the limit is {LONGEST_SEAL_TEXT}", text.len());
            return Err(malformed_seal(&limit));
        }
        if text.chars().any(char::is_control) {
            return Err(malformed_seal(&format!("{name} contains a control character")));
        }
    }
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if seal.payload_sha256.len() != 64 || !seal.payload_sha256.bytes().all(is_digit) {
        return Err(malformed_seal("payload_sha256 is not a SHA-256"));
    }
    Ok(seal)
}

fn malformed_seal(fault: &str) -> Error {
    Error::corrupt(format!("cannot read the seal block: {fault}"))
}

#[cfg(test)]
mod tests;
