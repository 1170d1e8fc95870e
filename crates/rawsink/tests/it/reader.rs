//! What readers return and refuse.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use rawsink::{
    Error, ErrorKind, PartitionReader, RawSink, Result,
    partition::metadata::MAX_METADATA_BYTES,
    runtime::Runtime,
    sink::SinkOptions,
    store::{Object, Reading},
};

use rawsink_testkit::{
    backend::{Backend, Meddling, Memory, on_every_store},
    sample::{key, path, payload, read, read_all, rows, run, seal},
};

on_every_store!(
    g10_a_payload_that_differs_from_its_seal_is_corrupt,
    g10_a_seal_that_differs_from_its_payload_is_corrupt,
    g10_a_sealed_run_without_its_payload_is_corrupt,
    g11_partitions_of_other_writers_are_read_and_counted,
    unreadable_metadata_is_corrupt_and_a_newer_seal_is_unsupported,
    the_three_ways_to_read_agree,
);

/// Opens `run(1)` of the usual partition.
async fn open(backend: &dyn Backend) -> Result<PartitionReader> {
    RawSink::new(backend.store()).open_partition(&key(), &run(1)).await
}

/// Reads to the end; returns the kind of error otherwise.
async fn outcome(reader: Result<PartitionReader>) -> Result<(), ErrorKind> {
    let mut reader = reader.map_err(|error| error.kind())?;
    let read = read_all(&mut reader).await.map_err(|error| error.kind());
    assert_eq!(reader.summary().is_some(), read.is_ok(), "a summary only after a good end");
    if read.is_err() {
        let again = reader.next_chunk().await.map_err(|error| error.kind());
        assert_eq!(again, Err(ErrorKind::Closed), "a reader has ended at its error");
    }
    read.map(drop)
}

async fn put(backend: &dyn Backend, payload: &[u8], metadata: &str) {
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(payload)).await;
    backend.tamper(&place, Object::Seal, Some(metadata.as_bytes())).await;
}

/// Seals 300 rows and returns the payload and metadata as they are stored.
async fn sealed(backend: &dyn Backend) -> (Vec<u8>, String) {
    let rows = rows("a", 300);
    seal(&RawSink::new(backend.store()), &key(), &run(1), &rows).await.unwrap();
    let stored = backend.store().0.read(&path(&key(), &run(1)), Object::Seal, 0).await.unwrap();
    let chunks: Vec<Bytes> = stored.chunks.map(Result::unwrap).collect().await;
    (payload(&rows), String::from_utf8(chunks.concat()).unwrap())
}

async fn g10_a_payload_that_differs_from_its_seal_is_corrupt(backend: &dyn Backend) {
    let (whole, metadata) = sealed(backend).await;
    let mut flipped = whole.clone();
    flipped[4000] ^= 1;
    let mut swapped = whole.clone();
    swapped.swap(10, whole.len() - 10);
    let moved = [&whole[100..], &whole[..100]].concat();
    let longer = [&whole[..], b"{}\n"].concat();
    for (says, payload) in [
        ("as it was", whole.clone()),
        ("one bit", flipped),
        ("two bytes swapped", swapped),
        ("moved", moved),
        ("one byte shorter", whole[..whole.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("longer", longer),
    ] {
        put(backend, &payload, &metadata).await;
        let expected = if payload == whole { Ok(()) } else { Err(ErrorKind::Corrupt) };
        assert_eq!(outcome(open(backend).await).await, expected, "{says}");
    }
}

async fn g10_a_seal_that_differs_from_its_payload_is_corrupt(backend: &dyn Backend) {
    let (payload, metadata) = sealed(backend).await;
    let block = metadata.find("\"_seal\"").unwrap();
    let change = |from: &str, to: &str| {
        let (given, seal) = metadata.split_at(block);
        assert!(seal.contains(from), "{seal}");
        format!("{given}{}", seal.replacen(from, to, 1))
    };
    let (bytes, sum) = (payload.len(), metadata.split("\"payload_sha256\":\"").nth(1).unwrap());
    let sum = &sum[..64];
    for changed in [
        change("\"record_count\":300", "\"record_count\":299"),
        change(&format!("\"payload_bytes\":{bytes}"), "\"payload_bytes\":1"),
        change("\"payload_sha256\":\"", "\"payload_sha256\":\"0"),
        change(sum, &"0".repeat(64)),
    ] {
        put(backend, &payload, &changed).await;
        assert_eq!(outcome(open(backend).await).await, Err(ErrorKind::Corrupt), "{changed}");
    }
}

async fn g10_a_sealed_run_without_its_payload_is_corrupt(backend: &dyn Backend) {
    let place = path(&key(), &run(1));
    sealed(backend).await;
    backend.tamper(&place, Object::Payload, None).await;
    let error = open(backend).await.unwrap_err();
    assert_eq!((error.kind(), error.place()), (ErrorKind::Corrupt, Some(place.as_str())));
    backend.tamper(&place, Object::Seal, Some(b"{}")).await;
    assert_eq!(open(backend).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

async fn g11_partitions_of_other_writers_are_read_and_counted(backend: &dyn Backend) {
    let good = Ok(());
    let wrong = Err(ErrorKind::Corrupt);
    for (payload, metadata, expected, count) in [
        ("{}\n{}\n", "{}", good, 2),
        ("{}\n{}\n", r#"{"record_count":2}"#, good, 2),
        ("{}\n{}", r#"{"record_count":2}"#, good, 2),
        ("{}\n{}\n", r#"{"record_count":3}"#, wrong, 2),
        ("{}\n{}", r#"{"record_count":1}"#, wrong, 2),
        ("{}\n{}\n", r#"{"record_count":"3"}"#, good, 2),
        ("{}\n{}\n", r#"{"record_count":3,"record_count":2}"#, good, 2),
        ("", r#"{"record_count":0}"#, good, 0),
        ("", r#"{"source":"google_ads","note":"\u00e9"}"#, good, 0),
        ("not json\n\n\r\n", "\t{ }\n", good, 3),
    ] {
        put(backend, payload.as_bytes(), metadata).await;
        let mut reader = open(backend).await.unwrap();
        assert_eq!(reader.seal(), None);
        assert_eq!(reader.payload_bytes(), payload.len() as u64);
        let drained = reader.drain().await.map(|summary| summary.record_count);
        let drained = drained.map_err(|error| error.kind());
        assert_eq!(drained, expected.map(|()| count), "{payload:?} {metadata}");
        assert_eq!(outcome(open(backend).await).await, expected, "{payload:?} {metadata}");
    }
}

async fn unreadable_metadata_is_corrupt_and_a_newer_seal_is_unsupported(backend: &dyn Backend) {
    let long = format!("{{\"pad\":\"{}\"}}", "x".repeat(MAX_METADATA_BYTES));
    for (metadata, kind) in [
        ("", ErrorKind::Corrupt),
        ("[]", ErrorKind::Corrupt),
        ("{\"a\":1", ErrorKind::Corrupt),
        ("{\"a\":\"\u{0}\"}", ErrorKind::Corrupt),
        ("{\"_seal\":{}}", ErrorKind::Corrupt),
        ("{\"_seal\":null}", ErrorKind::Corrupt),
        (long.as_str(), ErrorKind::Corrupt),
        ("{\"_seal\":{\"format\":2}}", ErrorKind::Unsupported),
        ("{\"_seal\":{\"format\":2,\"anything\":\"else\"}}", ErrorKind::Unsupported),
    ] {
        put(backend, b"{}\n", metadata).await;
        let error = open(backend).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.place(), Some(path(&key(), &run(1)).as_str()));
    }
}

/// Payloads whose rows could be split at a wrong place.
const PAYLOADS: [&str; 8] = [
    "",
    "{}\n",
    "{}",
    "\n",
    "\n\n{\"a\":1}\n\n",
    "{\"a\":1}\r\n{\"bb\":22}\r\n{\"c\":3}",
    "{\"long\":\"0123456789abcdefghij\"}\n{}\n{}\n{\"long\":\"0123456789abcdefghij\"}\n{}",
    "{\"\u{e9}\":\"\u{1f4be}\"}\n{\"b\":2}\n",
];

async fn the_three_ways_to_read_agree(backend: &dyn Backend) {
    for payload in PAYLOADS {
        put(backend, payload.as_bytes(), "{}").await;
        assert_ways_agree(payload, async || open(backend).await.unwrap()).await;
    }
    let rows = payload(&rows("a", 40_000));
    put(backend, &rows, "{}").await;
    let text = std::str::from_utf8(&rows).unwrap();
    assert_ways_agree(text, async || open(backend).await.unwrap()).await;
}

async fn assert_ways_agree(payload: &str, open: impl AsyncFn() -> PartitionReader) {
    let expected: Vec<&str> = match payload.strip_suffix('\n').unwrap_or(payload) {
        "" if payload.is_empty() => Vec::new(),
        text => text.split('\n').collect(),
    };
    assert_eq!(read_all(&mut open().await).await.unwrap(), expected, "row by row");
    let (mut reader, mut batched) = (open().await, Vec::new());
    while let Some(rows) = reader.next_rows().await.unwrap() {
        batched.extend(rows.iter().map(|row| String::from_utf8(row.to_vec()).unwrap()));
    }
    assert_eq!(batched, expected, "in batches");
    let (mut reader, mut bytes) = (open().await, Vec::new());
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert!(bytes == payload.as_bytes(), "in chunks");
    assert_eq!(reader.summary().unwrap().record_count, expected.len() as u64);
    assert_eq!(reader.next_chunk().await.unwrap(), None, "the end stays the end");
}

/// Returns a sink that reads payloads in chunks of `size` bytes.
fn rechunked(backend: &dyn Backend, size: usize, max_row_bytes: usize) -> RawSink {
    let store =
        Meddling::with_readings(backend.store(), move |_, Reading { bytes, tag, chunks, file }| {
            let cut = move |chunk: Result<Bytes>| {
                let chunk = chunk.unwrap();
                let pieces = chunk.chunks(size).map(|piece| Ok(chunk.slice_ref(piece)));
                stream::iter(pieces.collect::<Vec<_>>())
            };
            Reading { bytes, tag, chunks: chunks.flat_map(cut).boxed(), file }
        });
    let options = SinkOptions::default().max_row_bytes(max_row_bytes);
    RawSink::with(Arc::new(store), options, Runtime::default())
}

#[tokio::test]
async fn g15_rows_do_not_depend_on_chunk_boundaries() {
    let backend = Memory::default();
    for payload in PAYLOADS {
        put(&backend, payload.as_bytes(), "{}").await;
        for size in (1..40).chain([1000]) {
            let sink = rechunked(&backend, size, 1000);
            let open = async || sink.open_partition(&key(), &run(1)).await.unwrap();
            assert_ways_agree(payload, open).await;
        }
    }
}

#[tokio::test]
async fn g15_g16_a_row_over_the_limit_stops_the_reader_at_any_chunk_size() {
    let backend = Memory::default();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(23));
    for (text, fine) in [
        (format!("{{}}\n{{}}\n{long}\n{{}}\n"), 2),
        (format!("{long}\n{{}}\n"), 0),
        (format!("{{}}\n{long}"), 1),
        (format!("{{}}\n{long}\n"), 1),
    ] {
        put(&backend, text.as_bytes(), "{}").await;
        for size in (1..50).chain([1000]) {
            let exact = rechunked(&backend, size, long.len());
            assert!(read(&exact, &key(), &run(1)).await.is_ok(), "the limit itself, cut at {size}");
            let short = rechunked(&backend, size, long.len() - 1);
            let mut reader = short.open_partition(&key(), &run(1)).await.unwrap();
            for n in 0..fine {
                assert_eq!(reader.next_row().await.unwrap().as_deref(), Some(&b"{}"[..]), "{n}");
            }
            let refused = reader.next_row().await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "cut at {size}: {refused}");
            assert_eq!(reader.next_row().await.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}

/// Returns a sink that changes payload chunks while reading, at the announced length.
fn lying(
    backend: &dyn Backend,
    change: impl Fn(Vec<Bytes>) -> Vec<Result<Bytes>> + Send + Sync + 'static,
) -> RawSink {
    RawSink::new(Meddling::with_readings(backend.store(), move |object, reading| {
        if object == Object::Seal {
            return reading;
        }
        let Reading { bytes, tag, chunks, file } = reading;
        let whole = chunks.map(Result::unwrap).collect::<Vec<_>>().now_or_never().unwrap();
        Reading { bytes, tag, chunks: stream::iter(change(whole)).boxed(), file }
    }))
}

#[tokio::test]
async fn g10_a_stream_that_is_short_long_or_broken_is_detected() {
    let backend = Memory::default();
    let (payload, metadata) = sealed(&backend).await;
    let open = async |sink: RawSink| sink.open_partition(&key(), &run(1)).await;
    // Without a seal block, and without a count too, the announced length still holds.
    for metadata in [metadata.as_str(), "{}"] {
        put(&backend, &payload, metadata).await;
        let same = lying(&backend, |chunks| chunks.into_iter().map(Ok).collect());
        assert_eq!(outcome(open(same).await).await, Ok(()));
        let early = lying(&backend, |chunks| {
            chunks.iter().map(|chunk| Ok(chunk.slice(..chunk.len() / 2))).collect()
        });
        assert_eq!(outcome(open(early).await).await, Err(ErrorKind::Unavailable));
        let longer = lying(&backend, |mut chunks| {
            chunks.push(Bytes::from_static(b"{}\n"));
            chunks.into_iter().map(Ok).collect()
        });
        let mut reader = open(longer).await.unwrap();
        let mut handed_out = 0;
        let error = loop {
            match reader.next_chunk().await {
                Ok(chunk) => handed_out += chunk.unwrap().len() as u64,
                Err(error) => break error,
            }
        };
        // These are not the stored bytes, so they prove nothing about them.
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(handed_out, reader.payload_bytes(), "what is too much is not handed out");
        let fails = lying(&backend, |chunks| {
            let broken = Error::new(ErrorKind::Unavailable, "the line is down");
            chunks.into_iter().map(Ok).chain([Err(broken)]).collect()
        });
        assert_eq!(outcome(open(fails).await).await, Err(ErrorKind::Unavailable));
    }
}
