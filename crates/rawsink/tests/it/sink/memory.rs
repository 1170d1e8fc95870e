//! Memory of a writer and its parts: exactly the part size, for any rows.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use rawsink::{
    Metadata, RawSink, Result,
    store::{
        LeftoverPolicy, MemoryStore, Object, SealDocument, StartOptions, Store, Upload, WriterToken,
    },
};

use super::start;
use rawsink_testkit::{
    backend::{AnyStore, Backend, Meddling, on_every_store},
    sample::{key, path, payload, read, run},
};

on_every_store!(g16_every_part_has_its_size_for_any_rows);

type Sizes = Arc<Mutex<Vec<usize>>>;

/// Records the size of each part.
#[derive(Debug)]
struct WatchedUpload {
    inner: Box<dyn Upload>,
    sizes: Sizes,
}

impl rawsink::Internal for WatchedUpload {}

#[async_trait]
impl Upload for WatchedUpload {
    fn part_bytes(&self) -> usize {
        self.inner.part_bytes()
    }

    async fn append(&mut self, part: Bytes) -> Result<()> {
        self.sizes.lock().unwrap().push(part.len());
        self.inner.append(part).await
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        self.sizes.lock().unwrap().push(last.len());
        self.inner.complete(last).await
    }

    async fn seal(self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        self.inner.seal(document).await
    }

    async fn abort(self: Box<Self>) {
        self.inner.abort().await;
    }
}

/// Writes rows in one of three ways and returns the sizes of the parts.
async fn sizes_of(inner: AnyStore, way: usize, rows: &[String]) -> Vec<usize> {
    let sizes = Sizes::default();
    let noted = sizes.clone();
    let sink = RawSink::new(Meddling::with_uploads(inner, move |inner| {
        Box::new(WatchedUpload { inner, sizes: noted.clone() })
    }));
    let mut writer = start(&sink).await;
    if way == 0 {
        writer.write_payload_from(std::io::Cursor::new(payload(rows)), |_, _| ()).await.unwrap();
    }
    for row in rows.iter().filter(|_| way > 0) {
        let value: Box<serde_json::value::RawValue> = serde_json::from_str(row).unwrap();
        match way {
            1 => writer.write_payload_line(row.as_bytes()).await.unwrap(),
            _ => writer.write_payload_row(&value).await.unwrap(),
        }
    }
    writer.finalize(Metadata::default()).await.unwrap();
    assert_eq!(read(&sink, &key(), &run(1)).await.unwrap(), rows);
    let sizes = sizes.lock().unwrap();
    sizes.clone()
}

/// Returns rows from far below a part to several parts in length.
fn uneven(part_bytes: usize) -> Vec<String> {
    let row = |n: usize| format!("{{\"n\":\"{}\"}}", "x".repeat(n));
    let sizes =
        [0, 1, part_bytes / 3, part_bytes, 3 * part_bytes + 1, 2, part_bytes.saturating_sub(9)];
    sizes.into_iter().chain(0..30).map(row).collect()
}

fn assert_parts(sizes: &[usize], part_bytes: usize, rows: &[String]) {
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|size| *size == part_bytes), "{full:?} are not all {part_bytes}");
    assert!(*last < part_bytes, "the last part has {last} of {part_bytes}");
    assert_eq!(sizes.iter().sum::<usize>(), payload(rows).len());
}

async fn g16_every_part_has_its_size_for_any_rows(backend: &dyn Backend) {
    let (key, run) = (key(), run(1));
    let place = path(&key, &run);
    let probe = backend.store().start(&place, attempt()).await.unwrap();
    let part_bytes = probe.part_bytes();
    probe.abort().await;
    let rows = uneven(part_bytes);
    for way in 0..3 {
        let sizes = sizes_of(backend.store(), way, &rows).await;
        assert_parts(&sizes, part_bytes, &rows);
        for object in [Object::Payload, Object::Seal] {
            backend.tamper(&place, object, None).await;
        }
    }
}

fn attempt() -> StartOptions {
    StartOptions {
        token: WriterToken::new(0),
        leftover: LeftoverPolicy::Replace,
        now: "2024-06-02T05:00:00Z".parse().unwrap(),
    }
}

#[tokio::test]
async fn g16_rows_can_span_parts_of_any_size() {
    for part_bytes in (1..40).chain([64, 100, 1000]) {
        let rows = uneven(part_bytes.min(50));
        for way in 0..3 {
            let store = AnyStore(Arc::new(MemoryStore::with_part_bytes(part_bytes)));
            assert_parts(&sizes_of(store, way, &rows).await, part_bytes, &rows);
        }
    }
}

#[tokio::test]
async fn a_payload_that_fills_its_parts_ends_with_an_empty_part() {
    let row = r#"{"a":"12345"}"#.to_owned();
    let store = AnyStore(Arc::new(MemoryStore::with_part_bytes(row.len() + 1)));
    let sizes = sizes_of(store, 1, &[row.clone(), row.clone()]).await;
    assert_eq!(sizes, [row.len() + 1, row.len() + 1, 0]);
}
