//! Draws the tree of all runs in a sink.

use std::fmt::Write;

use futures_util::StreamExt;
use indicatif::HumanBytes;
use rawsink::{RawSink, Result, layout::Place};

/// Returns all runs, one per line, below their sources, customers, queries and dates.
pub(super) async fn draw(sink: &RawSink) -> Result<String> {
    let mut drawn: Vec<String> = Vec::new();
    let mut tree = String::new();
    let mut runs = sink.runs_below(&Place::top());
    while let Some(run) = runs.next().await.transpose()? {
        let place = Place::of_run(&run.key, &run.run_id);
        let segments: Vec<String> = place.store_path().segments().map(str::to_owned).collect();
        let known = drawn.iter().zip(&segments).take_while(|(old, new)| old == new).count();
        for (depth, segment) in segments.iter().enumerate().skip(known) {
            let indent = "  ".repeat(depth);
            let files = if depth + 1 == segments.len() {
                files(run.payload_bytes, run.sealed)
            } else {
                String::new()
            };
            // Writing to a string does not fail.
            let _ = writeln!(tree, "   {indent}{segment}/{files}");
        }
        drawn = segments;
    }
    Ok(tree)
}

fn files(payload_bytes: Option<u64>, sealed: bool) -> String {
    let payload = payload_bytes.map(|bytes| format!("payload.jsonl {}", HumanBytes(bytes)));
    let seal = sealed.then(|| "metadata.json".to_owned());
    format!("  {}", payload.into_iter().chain(seal).collect::<Vec<_>>().join(", "))
}
