//! Lands two rows where the environment says, and reads them back.

use rawsink::{Metadata, PartitionKey, RawSink, RunId};
use serde_json::json;

#[tokio::main]
async fn main() -> rawsink::Result<()> {
    let rows = [json!({"campaign": "summer", "clicks": 12}), json!({"campaign": "winter"})];
    let sink = RawSink::from_env()?;
    let key = PartitionKey::new("google_ads", "123", "campaign", "2024-06-01")?;
    let run: RunId = "2024-06-02T00:00:00.000Z".parse()?; // one for all partitions of an execution
    let mut writer = sink.write_partition(&key, &run).await?; // refuses a sealed run
    for row in rows {
        writer.write_payload_row(&row).await?; // any value that serialises to a JSON object
    }
    let metadata = Metadata::for_run(&key, &run).api_version("v21").build()?;
    writer.finalize(metadata).await?; // now the partition is complete and immutable
    let mut reader = sink.open_partition(&key, &run).await?;
    while let Some(row) = reader.next_row().await? {
        assert!(row.starts_with(b"{"));
    }
    Ok(())
}
