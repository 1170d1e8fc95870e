//! Converts rows of the table to records and back, as text, for every database.
//!
//! Backends read and write every column as text, so that the column types that other software
//! declares do not matter.

use std::str::FromStr;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    Entry, Record,
    page::{KEY_COLUMNS, key_values},
};
use crate::{
    error::{Error, Result},
    partition::PartitionKey,
};

/// The columns of the contract: those of the key, then those of the record.
pub(super) const COLUMNS: [&str; 11] = [
    "source",
    "customer_id",
    "query_name",
    "logical_date",
    "status",
    "current_run_id",
    "schema_version",
    "record_count",
    "updated_at",
    "error_message",
    "attempt_count",
];

/// Returns whether a column holds a number, which other software may store with a fraction.
pub(super) fn is_count(column: &str) -> bool {
    matches!(column, "record_count" | "attempt_count")
}

/// Returns the values of a row, in the order of [`COLUMNS`].
///
/// # Errors
/// `Invalid` for a number above 2^63 - 1, the largest that a column holds.
pub(super) fn values(
    key: &PartitionKey,
    record: &Record,
) -> Result<[Option<String>; COLUMNS.len()]> {
    let [source, customer_id, query_name, logical_date] = key_values(key).map(Some);
    Ok([
        source,
        customer_id,
        query_name,
        logical_date,
        Some(record.status.as_str().to_owned()),
        record.current_run_id.as_ref().map(ToString::to_string),
        record.schema_version.clone(),
        record.record_count.map(integer).transpose()?,
        record.updated_at.map(|time| time.to_string()),
        record.error_message.clone(),
        Some(integer(record.attempt_count)?),
    ])
}

pub(super) fn integer(number: u64) -> Result<String> {
    i64::try_from(number)
        .map(|number| number.to_string())
        .map_err(|_| Error::invalid(format!("{number} exceeds the integer column of the state")))
}

/// Parses one row of text columns.
///
/// # Errors
/// `Corrupt`, naming the row, if it is malformed.
pub(super) fn entry(text: impl Fn(usize) -> Option<String>) -> Result<Entry> {
    let bad = |fault: String| {
        Error::corrupt(format!("the state record of ({}) {fault}", shown_key(&text)))
    };
    let key = key(&text).map_err(bad)?;
    Ok(Entry { key, record: record(&text).map_err(bad)? })
}

/// Parses the key of a row.
pub(super) fn key(text: &impl Fn(usize) -> Option<String>) -> Result<PartitionKey, String> {
    let part = |column: usize| text(column).unwrap_or_default();
    PartitionKey::new(&part(0), &part(1), &part(2), &part(3))
        .map_err(|error| format!("has an invalid key: {}", error.message()))
}

/// Returns the key columns of a row as text, also invalid ones.
pub(super) fn key_texts(text: &impl Fn(usize) -> Option<String>) -> [String; KEY_COLUMNS] {
    std::array::from_fn(|column| text(column).unwrap_or_default())
}

/// Returns the key of a row for a message, also an invalid one.
pub(super) fn shown_key(text: &impl Fn(usize) -> Option<String>) -> String {
    let shown = |column: usize| text(column).unwrap_or_else(|| "NULL".to_owned());
    (0..KEY_COLUMNS).map(shown).collect::<Vec<_>>().join(", ")
}

fn record(text: &impl Fn(usize) -> Option<String>) -> Result<Record, String> {
    fn parse<T: FromStr>(column: &str, text: Option<String>) -> Result<Option<T>, String> {
        text.map(|text| text.parse().map_err(|_| format!("has an invalid {column}: {text:?}")))
            .transpose()
    }
    Ok(Record {
        status: parse("status", text(4))?.ok_or("has no status")?,
        current_run_id: parse("current_run_id", text(5))?,
        schema_version: text(6),
        record_count: parse("record_count", text(7))?,
        updated_at: text(8).and_then(|text| timestamp(&text)),
        error_message: text(9),
        // Other software may store NULL.
        attempt_count: parse("attempt_count", text(10))?.unwrap_or(0),
    })
}

/// Parses a time stamp; without an offset it is UTC.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Status;

    #[test]
    fn written_rows_are_read_as_the_same_record() {
        let record = Record {
            status: Status::Failed,
            current_run_id: Some("r1".parse().unwrap()),
            schema_version: Some("v1".into()),
            record_count: Some(i64::MAX.unsigned_abs()),
            updated_at: Some("2024-06-02T04:05:06.789Z".parse().unwrap()),
            error_message: Some("why".into()),
            attempt_count: 7,
        };
        let key = PartitionKey::new("ads", "1", "q", "2024-06-01").unwrap();
        let row = values(&key, &record).unwrap();
        assert_eq!(entry(|column| row[column].clone()).unwrap(), Entry { key, record });
    }

    #[test]
    fn numbers_that_exceed_the_column_are_refused() {
        let key = PartitionKey::new("ads", "1", "q", "2024-06-01").unwrap();
        let record = Record { record_count: Some(u64::MAX), ..Record::pending() };
        assert!(values(&key, &record).is_err());
    }

    #[test]
    fn time_stamps_of_both_databases_are_read() {
        let expected: Timestamp = "2024-06-02T04:05:06.789Z".parse().unwrap();
        for text in [
            "2024-06-02 04:05:06.789+00",
            "2024-06-02 09:35:06.789+05:30",
            "2024-06-02T04:05:06.789Z",
            "2024-06-02 04:05:06.789",
        ] {
            assert_eq!(timestamp(text), Some(expected), "{text}");
        }
        assert_eq!(timestamp("infinity"), None);
    }
}
