//! A server's listing, however wrong, ends, and shows only runs below the listed place.
//!
//! The input is the document that the server answers to every request.

#![no_main]

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use libfuzzer_sys::fuzz_target;
use rawsink::{
    RawSink,
    layout::Place,
    sink::{Run, SinkOptions},
    store::{Store, StorePath},
};
use rawsink_fuzz::{Answering, runtime};

/// The same answer twice shows that the server does not go on.
const MOST_REQUESTS: usize = 2;

/// A document of the fuzzer's length has fewer uploads.
const MOST_LEFTOVERS: usize = 1000;

/// A list of uploads with one of a payload, whose parts are the document.
const ONE_UPLOAD: &str = "<ListMultipartUploadsResult><Upload><UploadId>u</UploadId><Key>\
    raw/ads/customer_id=1/query_name=q/logical_date=2024-06-01/run_id=r/payload.jsonl</Key></Upload>\
    </ListMultipartUploadsResult>";

fuzz_target!(|document: &[u8]| {
    let executor = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    executor.block_on(async {
        for place in [Place::top(), Place::parse("ads/customer_id=1", "").unwrap()] {
            lists_runs(document, &place).await;
            lists_leftovers(Answering::with(document), &place).await;
        }
        lists_names(document).await;
        lists_leftovers(Answering::with(document).with_uploads(ONE_UPLOAD), &Place::top()).await;
    });
});

fn sink(server: &Answering) -> RawSink {
    RawSink::with(Arc::new(server.store()), SinkOptions::default(), runtime())
}

async fn lists_runs(document: &[u8], place: &Place) {
    let server = Answering::with(document);
    let runs: Vec<Result<Run, _>> = sink(&server).runs_below(place).collect().await;
    assert!(server.requests() <= MOST_REQUESTS, "{} requests", server.requests());
    for run in runs.iter().flatten() {
        has_its_path(run, place);
    }
}

async fn lists_names(document: &[u8]) {
    let server = Answering::with(document);
    let names: Result<Vec<String>, _> =
        server.store().children(&StorePath::root()).try_collect().await;
    // The rest of a child is skipped, so its page may be requested once more.
    assert!(server.requests() <= MOST_REQUESTS + 1, "{} requests", server.requests());
    for name in names.unwrap_or_default() {
        assert!(!name.is_empty() && !name.contains('/') && !name.starts_with('.'), "{name}");
    }
}

async fn lists_leftovers(server: Answering, place: &Place) {
    let leftovers: Vec<_> =
        sink(&server).leftovers_below(place).take(MOST_LEFTOVERS).collect().await;
    assert!(leftovers.len() < MOST_LEFTOVERS, "the same leftovers again and again");
    for leftover in leftovers.iter().flatten() {
        let place = Place::of_run(&leftover.key, &leftover.run_id);
        assert_eq!(Place::parse(&place.to_string(), "").unwrap(), place);
    }
}

/// Asserts that a run's path is parsed to the run, and is below the listed place.
fn has_its_path(run: &Run, listed: &Place) {
    let place = Place::of_run(&run.key, &run.run_id);
    assert_eq!(Place::parse(&place.to_string(), "").unwrap(), place);
    assert!(place.store_path().below(&listed.store_path()).is_some(), "{place} is not in {listed}");
    assert!(run.sealed == run.seal_bytes.is_some());
    assert!(run.sealed || run.payload_bytes.is_some(), "{place} has nothing");
}
