//! Computes length, rows and SHA-256 of a payload while it streams.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::partition::Seal;

/// Length, rows and SHA-256 of a payload.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PayloadSummary {
    /// Length in bytes.
    pub payload_bytes: u64,
    /// SHA-256, 64 lower-case hex digits.
    pub payload_sha256: String,
    /// Number of rows. A last row without its line feed counts.
    pub record_count: u64,
}

/// The payload that a seal covers.
impl From<&Seal> for PayloadSummary {
    fn from(seal: &Seal) -> Self {
        Self {
            payload_bytes: seal.payload_bytes,
            payload_sha256: seal.payload_sha256.clone(),
            record_count: seal.record_count,
        }
    }
}

/// Length and SHA-256 of the bytes so far.
#[derive(Debug, Default)]
pub(super) struct PayloadDigest {
    sha256: Sha256,
    bytes: u64,
}

impl PayloadDigest {
    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.sha256.update(chunk);
        self.bytes += chunk.len() as u64;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn finish(self, record_count: u64) -> PayloadSummary {
        let payload_sha256 = hex(&self.sha256.finalize());
        PayloadSummary { payload_bytes: self.bytes, payload_sha256, record_count }
    }
}

/// Returns the SHA-256 of bytes, 64 lower-case hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

/// Number of rows in the bytes so far, for callers that do not handle rows one by one.
#[derive(Debug, Default)]
pub(super) struct RowCount {
    line_feeds: u64,
    ends_open: bool,
}

impl RowCount {
    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.line_feeds += memchr::memchr_iter(b'\n', chunk).count() as u64;
        self.ends_open = chunk.last().map_or(self.ends_open, |last| *last != b'\n');
    }

    pub(super) fn rows(&self) -> u64 {
        self.line_feeds + u64::from(self.ends_open)
    }
}
