//! Lands one partition as the README says:
//! `RAW_SINK_ROOT=raw cargo run --package rawsink --example land`.

use rawsink::{Metadata, PartitionKey, RawSink, RunId, config::Loaded};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> rawsink::Result<()> {
    let rows = [json!({"campaign": "summer", "clicks": 12}), json!({"campaign": "winter"})];

    let sink = RawSink::open(&Loaded::from_env()?.settings)?;
    let key = PartitionKey::new("google_ads", "123", "campaign", "2024-06-01")?;
    let run: RunId = "2024-06-02T00:00:00.000Z".parse()?; // one for all partitions of an execution
    let mut writer = sink.write_partition(&key, &run).await?; // refuses a sealed run
    for row in rows {
        writer.write_payload_row(&row).await?; // anything that serialises to a JSON object
    }
    let metadata = Metadata::for_run(&key, &run)
        .api_version("v21")
        .record_count(writer.record_count())
        .build()?;
    writer.finalize(metadata).await?; // now it is there, whole, for good

    Ok(())
}
