//! Restoring damaged objects of sealed runs: only the bytes that the seal covers, and only the seal that
//! was validated.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rawsink::{
    Error, ErrorKind, RawSink, Result,
    sink::{PayloadSummary, sha256},
    store::Object,
};

use super::open;
use rawsink_testkit::{
    backend::{Backend, on_every_store},
    sample::{key, path, payload, read, rows, run, seal},
};

on_every_store!(
    g03_a_payload_is_restored_only_with_the_bytes_that_the_seal_covers,
    g03_a_seal_is_restored_only_with_the_validated_document,
    a_payload_is_summarized_whatever_the_seal_says,
);

/// Seals a run; returns the sink, its payload, its summary and its document.
async fn sealed(backend: &dyn Backend) -> (RawSink, Bytes, PayloadSummary, Bytes) {
    let (sink, rows) = (open(backend), rows("a", 5));
    let sealed = seal(&sink, &key(), &run(1), &rows).await.unwrap();
    let document = sink.document(&key(), &run(1)).await.unwrap();
    (sink, payload(&rows).into(), sealed.payload, document)
}

async fn restore(
    sink: &RawSink,
    document: &Bytes,
    summary: &PayloadSummary,
    bytes: impl Into<Vec<u8>>,
) -> Result<()> {
    let bytes: Vec<u8> = bytes.into();
    let (first, last) = bytes.split_at(bytes.len() / 2);
    let chunks = [first, last].map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
    let chunks = stream::iter(chunks).boxed();
    sink.restore_payload(&key(), &run(1), document.clone(), summary, chunks).await
}

async fn g03_a_payload_is_restored_only_with_the_bytes_that_the_seal_covers(backend: &dyn Backend) {
    let (sink, payload, summary, document) = sealed(backend).await;
    backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"damaged")).await;
    let before = sink.inspect(&key(), &run(1)).await.unwrap();
    let mut flipped = payload.to_vec();
    flipped[3] ^= 1;
    for wrong in [flipped, payload[1..].to_vec(), [&payload[..], b"{}\n"].concat(), Vec::new()] {
        let refused = restore(&sink, &document, &summary, wrong).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert_eq!(sink.inspect(&key(), &run(1)).await.unwrap(), before);
    }
    // A summary of other bytes does not help.
    let other = PayloadSummary { payload_sha256: sha256(b"{}\n"), ..summary.clone() };
    let refused = restore(&sink, &document, &other, "{}\n").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let malformed = Bytes::from("[]");
    let refused = restore(&sink, &malformed, &summary, payload.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert_eq!(sink.inspect(&key(), &run(1)).await.unwrap(), before);

    restore(&sink, &document, &summary, payload).await.unwrap();
    assert_eq!(read(&sink, &key(), &run(1)).await.unwrap(), rows("a", 5));
}

async fn g03_a_seal_is_restored_only_with_the_validated_document(backend: &dyn Backend) {
    let (sink, _, _, document) = sealed(backend).await;
    backend.tamper(&path(&key(), &run(1)), Object::Seal, Some(b"{}")).await;
    let restore = async |document: &'static [u8], validated: String| {
        sink.restore_document(&key(), &run(1), Bytes::from_static(document), &validated).await
    };
    let refused = restore(b"{\"a\":1}", sha256(&document)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let refused = restore(b"[]", sha256(b"[]")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert_eq!(sink.document(&key(), &run(1)).await.unwrap(), "{}");
    let validated = sha256(&document);
    sink.restore_document(&key(), &run(1), document.clone(), &validated).await.unwrap();
    assert_eq!(sink.document(&key(), &run(1)).await.unwrap(), document);
    assert_eq!(read(&sink, &key(), &run(1)).await.unwrap(), rows("a", 5));
}

async fn a_payload_is_summarized_whatever_the_seal_says(backend: &dyn Backend) {
    use std::ops::ControlFlow;
    let (sink, payload, summary, _) = sealed(backend).await;
    let mut seen = 0;
    let mut count = |bytes: u64| {
        seen += bytes;
        ControlFlow::Continue(())
    };
    let found = sink.summarize_payload(&key(), &run(1), &mut count).await.unwrap();
    assert_eq!((found, seen), (Some(summary.clone()), payload.len() as u64));
    backend.tamper(&path(&key(), &run(1)), Object::Seal, Some(b"not JSON")).await;
    let mut stop = |_: u64| ControlFlow::Break(());
    let stopped: Error = sink.summarize_payload(&key(), &run(1), &mut stop).await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Closed);
    let mut go = |_: u64| ControlFlow::Continue(());
    let found = sink.summarize_payload(&key(), &run(1), &mut go).await.unwrap();
    assert_eq!(found, Some(summary));
    backend.tamper(&path(&key(), &run(1)), Object::Payload, None).await;
    assert_eq!(sink.summarize_payload(&key(), &run(1), &mut go).await.unwrap(), None);
}
