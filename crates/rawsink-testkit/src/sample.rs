//! Sample partitions, runs, rows and metadata.

use std::time::Duration;

use rawsink::{
    Metadata, PartitionKey, PartitionReader, RawSink, Result, RunId, Sealed, layout::Place,
    store::StorePath,
};

/// Returns the partition of most tests.
pub fn key() -> PartitionKey {
    customer("1234567890")
}

/// Returns the partition of another customer for the same query and day.
pub fn customer(id: &str) -> PartitionKey {
    PartitionKey::new("google_ads", id, "campaign", "2024-06-01").unwrap()
}

/// Returns the n-th run, in the order of time.
pub fn run(n: u16) -> RunId {
    format!("2024-06-02T04:05:06.{n:03}Z").parse().unwrap()
}

/// Returns the path of a run in a store.
pub fn path(key: &PartitionKey, run: &RunId) -> StorePath {
    Place::of_run(key, run).store_path()
}

/// Parses `a/b/c` as a path in a store.
pub fn store_path(text: &str) -> StorePath {
    text.split('/').fold(StorePath::root(), |path, segment| path.join(segment))
}

/// Returns rows of different lengths that name their attempt.
pub fn rows(attempt: &str, count: usize) -> Vec<String> {
    let row = |n: usize| {
        format!("{{\"attempt\":\"{attempt}\",\"n\":{n},\"pad\":\"{}\"}}", "é".repeat(n % 17))
    };
    (0..count).map(row).collect()
}

/// Returns the payload with these rows.
pub fn payload(rows: &[String]) -> Vec<u8> {
    rows.iter().flat_map(|row| [row.as_bytes(), b"\n"].concat()).collect()
}

/// Returns complete metadata of a run.
pub fn metadata(key: &PartitionKey, run: &RunId) -> Metadata {
    Metadata::for_run(key, run)
        .extracted_at("2024-06-02T04:05:06.789Z".parse().unwrap())
        .schema_version("v1")
        .api_version("v21")
        .query_hash("5f2a")
        .build()
        .unwrap()
}

/// Writes and seals a run.
pub async fn seal(
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
pub async fn read(sink: &RawSink, key: &PartitionKey, run: &RunId) -> Result<Vec<String>> {
    read_all(&mut sink.open_partition(key, run).await?).await
}

/// Reads all remaining rows.
pub async fn read_all(reader: &mut PartitionReader) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().await? {
        rows.push(String::from_utf8_lossy(&row).into_owned());
    }
    Ok(rows)
}

/// Waits for a condition in the background; panics after thirty seconds.
pub async fn eventually(mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..30_000 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the condition was not met within thirty seconds");
}
