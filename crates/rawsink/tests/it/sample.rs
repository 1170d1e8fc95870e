//! Partitions, runs, rows and metadata that the tests use.

use std::time::Duration;

use rawsink::{
    Metadata, PartitionKey, PartitionReader, RawSink, Result, RunId, Sealed, layout::Place,
    store::StorePath,
};

/// The partition of most tests.
pub(crate) fn key() -> PartitionKey {
    customer("1234567890")
}

/// Another customer's partition of the same query and day.
pub(crate) fn customer(id: &str) -> PartitionKey {
    PartitionKey::new("google_ads", id, "campaign", "2024-06-01").unwrap()
}

/// The n-th run, in the order of time.
pub(crate) fn run(n: u16) -> RunId {
    format!("2024-06-02T04:05:06.{n:03}Z").parse().unwrap()
}

/// Where a run lies in a store.
pub(crate) fn path(key: &PartitionKey, run: &RunId) -> StorePath {
    Place::of_run(key, run).store_path()
}

/// Reads `a/b/c` as a path of a store.
pub(crate) fn store_path(text: &str) -> StorePath {
    text.split('/').fold(StorePath::root(), |path, segment| path.join(segment))
}

/// Rows of different lengths that name the attempt which wrote them.
pub(crate) fn rows(attempt: &str, count: usize) -> Vec<String> {
    let row = |n: usize| {
        format!("{{\"attempt\":\"{attempt}\",\"n\":{n},\"pad\":\"{}\"}}", "é".repeat(n % 17))
    };
    (0..count).map(row).collect()
}

/// The payload that holds these rows.
pub(crate) fn payload(rows: &[String]) -> Vec<u8> {
    rows.iter().flat_map(|row| [row.as_bytes(), b"\n"].concat()).collect()
}

/// Complete metadata of a run.
pub(crate) fn metadata(key: &PartitionKey, run: &RunId) -> Metadata {
    Metadata::for_run(key, run)
        .extracted_at("2024-06-02T04:05:06.789Z".parse().unwrap())
        .schema_version("v1")
        .api_version("v21")
        .query_hash("5f2a")
        .build()
        .unwrap()
}

/// Writes and seals a run.
pub(crate) async fn seal(
    sink: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    rows: &[String],
) -> Result<Sealed> {
    let mut writer = sink.write_partition(key, run).await?;
    for row in rows {
        writer.write_payload_line(row.as_bytes()).await?;
    }
    let rows = writer.record_count();
    let complete = Metadata::for_run(key, run).merge(metadata(key, run)).record_count(rows);
    writer.finalize(complete.build()?).await
}

/// Reads every row of a sealed run.
pub(crate) async fn read(sink: &RawSink, key: &PartitionKey, run: &RunId) -> Result<Vec<String>> {
    read_all(&mut sink.open_partition(key, run).await?).await
}

/// Reads every row that is left.
pub(crate) async fn read_all(reader: &mut PartitionReader) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().await? {
        rows.push(String::from_utf8_lossy(&row).into_owned());
    }
    Ok(rows)
}

/// Waits until something that happens in the background has happened; panics after thirty seconds.
pub(crate) async fn eventually(mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..30_000 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not happen within thirty seconds");
}
