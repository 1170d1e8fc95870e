//! `rawsink show`

use std::fmt::Write;

use rawsink::{
    Error, Metadata, RunId, Seal,
    layout::Place,
    store::{ObjectInfo, RunObjects},
};
use serde::Serialize;

use crate::{
    context::Context,
    escape,
    exit::{Exit, Failure},
    partition::RunArgs,
};

/// Show the sizes, metadata and seal of a run
///
/// The run may be unsealed. The command reads no rows; use `verify` to compare them with the seal.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink show $P --latest
  rawsink show $P --current --json | jq .metadata")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

/// The objects of a run, as JSON.
#[derive(Serialize)]
struct Shown {
    path: String,
    run_id: RunId,
    sealed: bool,
    payload: Option<ShownObject>,
    metadata_json: Option<ShownObject>,
    metadata: Option<Metadata>,
    seal: Option<Seal>,
}

#[derive(Serialize)]
struct ShownObject {
    bytes: u64,
    modified: String,
}

pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let (key, run) = args.run.choose(context).await?;
    let path = Place::of_run(&key, &run).to_string();
    let found = context.sink.inspect(&key, &run).await?;
    let (metadata, seal) = if found.payload.is_some() && found.seal.is_none() {
        (None, None)
    } else {
        // Without any object this error gives the reason: a missing store looks like an empty one.
        let (metadata, seal) = context.sink.metadata(&key, &run).await?;
        (Some(metadata), seal)
    };
    let damaged = damage(&found, seal.as_ref()).map(|what| Error::corrupt(what).at(&path));
    let sealed = found.seal.is_some();
    let (payload, metadata_json) = (found.payload.map(shown), found.seal.map(shown));
    let shown = Shown { path, run_id: run, sealed, payload, metadata_json, metadata, seal };
    context.output.data(&shown, text(&shown)?)?;
    damaged.map_or(Ok(Exit::Success), |error| Err(error.into()))
}

/// Returns the damage that is visible without reading the payload.
fn damage(found: &RunObjects, seal: Option<&Seal>) -> Option<String> {
    let Some(payload) = found.payload else {
        return found.seal.map(|_| "the run is sealed, but its payload is missing".to_owned());
    };
    let sealed = seal.filter(|seal| seal.payload_bytes != payload.bytes)?;
    Some(format!("the payload has {} bytes, the seal has {}", payload.bytes, sealed.payload_bytes))
}

fn shown(info: ObjectInfo) -> ShownObject {
    ShownObject { bytes: info.bytes, modified: info.modified.to_string() }
}

fn text(shown: &Shown) -> Result<String, Failure> {
    let mut text = shown.path.clone();
    let sealed = match (&shown.seal, shown.sealed) {
        (Some(seal), _) => {
            let (software, writer) = (escape::field(&seal.software), escape::field(&seal.writer));
            format!("sealed by {software} (writer {writer})")
        }
        (None, true) => "sealed by other software, without a seal block".to_owned(),
        (None, false) => "not sealed".to_owned(),
    };
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{name:<14} {value}");
    };
    line("status", sealed);
    for (name, object) in
        [("payload.jsonl", &shown.payload), ("metadata.json", &shown.metadata_json)]
    {
        if let Some(object) = object {
            line(name, format!("{} bytes, {}", object.bytes, object.modified));
        }
    }
    if let Some(seal) = &shown.seal {
        line("rows", seal.record_count.to_string());
        line("sha256", seal.payload_sha256.clone());
    }
    if let Some(metadata) = &shown.metadata {
        let members = serde_json::to_string_pretty(metadata).map_err(std::io::Error::from)?;
        line("metadata", escape::json(&members).into_owned());
    }
    Ok(text)
}
