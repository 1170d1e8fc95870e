//! Dropped calls: the writer is closed, since rows may be missing.

use std::{
    io::Read,
    sync::{Arc, mpsc},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use rawsink::{
    ErrorKind, Metadata, PartitionWriter, RawSink, Result,
    store::{MemoryStore, SealDocument, Upload, WriterToken},
};

use super::start;
use rawsink_testkit::{
    backend::{AnyStore, Meddling},
    sample::{key, rows, run, seal},
};

/// An upload whose parts never arrive.
#[derive(Debug)]
struct StallingUpload(Box<dyn Upload>);

impl rawsink::Internal for StallingUpload {}

#[async_trait]
impl Upload for StallingUpload {
    fn part_bytes(&self) -> usize {
        self.0.part_bytes()
    }

    async fn append(&mut self, _: Bytes) -> Result<()> {
        std::future::pending().await
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        self.0.complete(last).await
    }

    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        self.0.seal(document).await
    }

    async fn abort(self: Box<Self>) {
        self.0.abort().await;
    }
}

/// Returns a memory store with parts of 16 bytes, and a sink over it whose parts never arrive.
fn stalling() -> (RawSink, RawSink) {
    let store = AnyStore(Arc::new(MemoryStore::with_part_bytes(16)));
    let stalling = Meddling::with_uploads(store.clone(), |upload| Box::new(StallingUpload(upload)));
    (RawSink::new(stalling), RawSink::new(store))
}

async fn assert_ended(mut writer: PartitionWriter, sink: &RawSink) {
    let closed = writer.write_payload_line(b"{}").await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
    let closed = writer.finalize(Metadata::default()).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
    let there = sink.inspect(&key(), &run(1)).await.unwrap();
    assert_eq!((there.payload, there.seal), (None, None));
    seal(sink, &key(), &run(1), &rows("again", 2)).await.unwrap();
}

#[tokio::test]
async fn g05_g08_a_dropped_line_call_closes_the_writer() {
    let (sink, store) = stalling();
    let mut writer = start(&sink).await;
    writer.write_payload_line(b"{}").await.unwrap();
    let line = br#"{"longer":"than a part"}"#;
    assert!(writer.write_payload_line(line).now_or_never().is_none());
    assert_ended(writer, &store).await;
}

#[tokio::test]
async fn g05_g08_a_dropped_row_call_closes_the_writer() {
    let (sink, store) = stalling();
    let mut writer = start(&sink).await;
    let row = serde_json::json!({"longer": "than a part"});
    assert!(writer.write_payload_row(&row).now_or_never().is_none());
    assert_ended(writer, &store).await;
}

#[tokio::test]
async fn g05_g08_a_dropped_stream_call_closes_the_writer() {
    let store = RawSink::new(MemoryStore::new());
    let mut writer = start(&store).await;
    let one = stream::iter([Ok::<_, std::io::Error>(serde_json::json!({"number": 1}))]);
    let rows = one.chain(stream::pending());
    assert!(writer.write_rows(rows).now_or_never().is_none());
    assert_ended(writer, &store).await;
}

#[tokio::test]
async fn g05_g08_a_dropped_source_call_closes_the_writer() {
    /// Returns one row, then waits until the other end disconnects.
    struct Waiting(&'static [u8], mpsc::Receiver<()>);
    impl Read for Waiting {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                let _ = self.1.recv();
            }
            self.0.read(into)
        }
    }
    let store = RawSink::new(MemoryStore::new());
    let mut writer = start(&store).await;
    let (hang_up, waits) = mpsc::channel();
    let whole = writer.write_payload_from(Waiting(b"{}\n", waits), |_, _| ());
    assert!(whole.now_or_never().is_none());
    drop(hang_up);
    assert_ended(writer, &store).await;
}
