//! The sample built into the program: `examples/google_ads`.

use include_dir::{Dir, include_dir};
use rawsink::{Error, ErrorKind, PartitionKey, Result};
use serde::Deserialize;

static SAMPLE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/sample");

const SOURCE: &str = "google_ads";

/// The extract of one logical partition.
#[derive(Debug)]
pub(super) struct Extract {
    pub(super) key: PartitionKey,
    pub(super) payload: &'static [u8],
    pub(super) api_version: String,
    pub(super) query_hash: String,
}

/// `extract.json` of the sample.
#[derive(Deserialize)]
struct Facts {
    api_version: String,
    queries: std::collections::BTreeMap<String, Query>,
}

#[derive(Deserialize)]
struct Query {
    query_hash: String,
}

/// Returns all extracts, sorted by partition.
pub(super) fn extracts() -> Result<Vec<Extract>> {
    let facts = SAMPLE.get_file("extract.json").ok_or_else(|| broken("extract.json is missing"))?;
    let facts: Facts =
        serde_json::from_slice(facts.contents()).map_err(|fault| broken(&fault.to_string()))?;
    let mut extracts = Vec::new();
    for customer in SAMPLE.dirs() {
        for query in customer.dirs() {
            for file in query.files() {
                let path = file.path().to_str().unwrap_or_default();
                let key = key(path).ok_or_else(|| broken(path))?;
                let query_hash = facts
                    .queries
                    .get(key.query_name())
                    .ok_or_else(|| broken(path))?
                    .query_hash
                    .clone();
                let api_version = facts.api_version.clone();
                extracts.push(Extract { key, payload: file.contents(), api_version, query_hash });
            }
        }
    }
    extracts.sort_by(|one, other| one.key.cmp(&other.key));
    if extracts.is_empty() { Err(broken("it is empty")) } else { Ok(extracts) }
}

/// Parses `customer_id=ID/query_name=NAME/logical_date=DATE.jsonl`.
fn key(path: &str) -> Option<PartitionKey> {
    let path = path.strip_suffix(".jsonl")?;
    rawsink::layout::Place::parse(&format!("{SOURCE}/{path}"), "").ok()?.partition()
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the built-in sample is broken: {what}"))
}
