//! The table `run_verdict`: its columns, and its rows as log entries, as text, for every database.

use std::str::FromStr;

use super::{
    Event, Evidence, LogEntry,
    page::{self, KEY_COLUMNS},
    row::{self, integer},
};
use crate::{
    error::{Error, Result},
    partition::PartitionKey,
};

/// The columns without `seq`, which the database counts: those of the key, then those of an entry.
pub(super) const COLUMNS: [&str; 19] = [
    "source",
    "customer_id",
    "query_name",
    "logical_date",
    "run_id",
    "verdict",
    "seal_sha256",
    "seal_bytes",
    "seal_writer",
    "payload_sha256",
    "payload_bytes",
    "record_count",
    "schema_version",
    "reason",
    "attempt",
    "status",
    "sink_uri",
    "judged_at",
    "judged_by",
];

/// Returns whether a column holds a number.
pub(super) fn is_count(column: &str) -> bool {
    matches!(column, "seal_bytes" | "payload_bytes" | "record_count" | "attempt")
}

/// The statements that create the table and its index in SQLite.
#[cfg(feature = "sqlite")]
pub(super) fn sqlite_schema() -> [String; 2] {
    schema("run_verdict", "seq INTEGER PRIMARY KEY AUTOINCREMENT", "text", "text")
}

/// The statements that create the table and its index in PostgreSQL, in a schema.
#[cfg(feature = "postgres")]
pub(super) fn postgres_schema(table: &str) -> [String; 2] {
    let seq = "seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
    schema(table, seq, "date", "timestamp with time zone")
}

fn schema(table: &str, seq: &str, date: &str, time: &str) -> [String; 2] {
    let columns = COLUMNS.map(|column| {
        let (sql_type, rest) = match column {
            "logical_date" => (date, " NOT NULL"),
            "judged_at" => (time, " NOT NULL"),
            "attempt" => ("bigint", " NOT NULL"),
            "status" => ("text", " NOT NULL CHECK (status IN ('pending', 'success', 'failed'))"),
            "source" | "customer_id" | "query_name" => ("text", " NOT NULL"),
            "verdict" => (
                "text",
                " NOT NULL CHECK (verdict IN \
                 ('passed', 'failed', 'withdrawn', 'restored', 'requeued'))",
            ),
            _ if is_count(column) => ("bigint", ""),
            _ => ("text", ""),
        };
        format!("{column} {sql_type}{rest}")
    });
    let key = COLUMNS[..=KEY_COLUMNS].join(", ");
    [
        format!("CREATE TABLE IF NOT EXISTS {table} ({seq}, {})", columns.join(", ")),
        format!("CREATE INDEX IF NOT EXISTS run_verdict_key ON {table} ({key}, seq)"),
    ]
}

/// Returns the values of a row, in the order of [`COLUMNS`].
///
/// # Errors
/// `Invalid` for a number above 2^63 - 1, the largest that a column holds.
pub(super) fn values(
    key: &PartitionKey,
    entry: &LogEntry,
) -> Result<[Option<String>; COLUMNS.len()]> {
    let [source, customer_id, query_name, logical_date] = page::key_values(key).map(Some);
    let count = |number: Option<u64>| number.map(integer).transpose();
    let evidence = &entry.evidence;
    Ok([
        source,
        customer_id,
        query_name,
        logical_date,
        entry.run_id.as_ref().map(ToString::to_string),
        Some(entry.event.as_str().to_owned()),
        evidence.seal_sha256.clone(),
        count(evidence.seal_bytes)?,
        evidence.seal_writer.clone(),
        evidence.payload_sha256.clone(),
        count(evidence.payload_bytes)?,
        count(entry.record_count)?,
        entry.schema_version.clone(),
        entry.reason.clone(),
        Some(integer(entry.attempt)?),
        Some(entry.status.as_str().to_owned()),
        entry.sink_uri.clone(),
        entry.judged_at.map(|time| time.to_string()),
        entry.judged_by.clone(),
    ])
}

/// Parses one row of text columns.
///
/// # Errors
/// `Corrupt`, naming the row's partition, if it is malformed. The key is returned if it is legal.
pub(super) fn entry(
    text: impl Fn(usize) -> Option<String>,
) -> Result<(PartitionKey, Result<LogEntry>)> {
    let key = row::key(&text).map_err(|fault| bad(&text, &fault))?;
    let entry = parse(&text).map_err(|fault| bad(&text, &fault));
    Ok((key, entry))
}

fn bad(text: &impl Fn(usize) -> Option<String>, fault: &str) -> Error {
    Error::corrupt(format!("an entry of run_verdict of ({}) {fault}", row::shown_key(text)))
}

fn parse(text: &impl Fn(usize) -> Option<String>) -> Result<LogEntry, String> {
    fn parsed<T: FromStr>(column: usize, text: Option<String>) -> Result<Option<T>, String> {
        let name = COLUMNS[column];
        text.map(|text| text.parse().map_err(|_| format!("has an invalid {name}: {text:?}")))
            .transpose()
    }
    let event: Event = parsed(5, text(5))?.ok_or("has no verdict")?;
    let run_id = parsed(4, text(4))?;
    if run_id.is_none() && event != Event::Requeued {
        return Err(format!("is {event} and names no run"));
    }
    Ok(LogEntry {
        run_id,
        event,
        evidence: Evidence {
            seal_sha256: text(6),
            seal_bytes: parsed(7, text(7))?,
            seal_writer: text(8),
            payload_sha256: text(9),
            payload_bytes: parsed(10, text(10))?,
        },
        record_count: parsed(11, text(11))?,
        schema_version: text(12),
        reason: text(13),
        attempt: parsed(14, text(14))?.unwrap_or(0),
        status: parsed(15, text(15))?.ok_or("has no status")?,
        sink_uri: text(16),
        judged_at: text(17).and_then(|text| row::timestamp(&text)),
        judged_by: text(18),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Status;

    #[test]
    fn written_rows_are_read_as_the_same_entry() {
        let entry = LogEntry {
            run_id: Some("r1".parse().unwrap()),
            event: Event::Failed,
            evidence: Evidence {
                seal_sha256: Some("aa".into()),
                seal_bytes: Some(1),
                seal_writer: Some("bb".into()),
                payload_sha256: Some("cc".into()),
                payload_bytes: Some(i64::MAX.unsigned_abs()),
            },
            record_count: Some(3),
            schema_version: Some("v1".into()),
            reason: Some("why".into()),
            attempt: 7,
            status: Status::Failed,
            sink_uri: Some("file:///srv/raw".into()),
            judged_at: Some("2024-06-02T04:05:06.789Z".parse().unwrap()),
            judged_by: Some("host".into()),
        };
        let key = PartitionKey::new("ads", "1", "q", "2024-06-01").unwrap();
        let row = values(&key, &entry).unwrap();
        let (read_key, read) = super::entry(|column| row[column].clone()).unwrap();
        assert_eq!((read_key, read.unwrap()), (key, entry));
    }
}
