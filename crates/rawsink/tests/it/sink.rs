//! Writers: sealing, restarts, refusals, and memory that does not grow with the payload.

mod halfway; // dropped calls
mod memory; // memory of a writer and sizes of its parts
mod metadata; // metadata of a partition
mod restoring; // damaged objects of sealed runs, on every store
mod writers; // sequential writers, on every store

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rawsink::{
    PartitionWriter, RawSink,
    runtime::{FixedClock, Runtime, Tokens},
    sink::SinkOptions,
};

use rawsink_testkit::{backend::Backend, sample};

/// Opens a sink as a new process does.
fn open(backend: &dyn Backend) -> RawSink {
    RawSink::new(backend.store())
}

/// Opens a sink with options, a fixed time and tokens that count from 1.
fn open_with(backend: &dyn Backend, options: SinkOptions) -> RawSink {
    #[derive(Debug)]
    struct Counting(AtomicU64);
    impl Tokens for Counting {
        fn next(&self) -> u128 {
            u128::from(self.0.fetch_add(1, Ordering::Relaxed))
        }
    }
    let clock = Arc::new(FixedClock("2024-06-02T06:00:00Z".parse().unwrap()));
    let runtime = Runtime { clock, tokens: Arc::new(Counting(AtomicU64::new(1))) };
    RawSink::with(backend.store().0, options, runtime)
}

/// Starts the run `sample::run(1)` of `sample::key()`.
async fn start(sink: &RawSink) -> PartitionWriter {
    sink.write_partition(&sample::key(), &sample::run(1)).await.unwrap()
}

async fn put(writer: &mut PartitionWriter, rows: &[String]) {
    for row in rows {
        writer.write_payload_line(row.as_bytes()).await.unwrap();
    }
}

/// Asserts that neither payload nor seal of `sample::run(1)` is visible.
async fn assert_nothing(backend: &dyn Backend, context: &str) {
    let there = open(backend).inspect(&sample::key(), &sample::run(1)).await.unwrap();
    assert_eq!((there.payload, there.seal), (None, None), "{context}");
}
