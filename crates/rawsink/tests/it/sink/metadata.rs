//! Metadata of a partition: anything that does not contradict it.

use rawsink::{ErrorKind, Metadata, partition::metadata::MAX_METADATA_BYTES, store::Object};

use super::{assert_nothing, open, put, start};
use rawsink_testkit::{
    backend::{Backend, on_every_store},
    sample::{key, path, read, rows, run},
};

on_every_store!(
    contradicting_metadata_is_refused_and_nothing_is_sealed,
    a_contradiction_keeps_an_older_payload,
    metadata_has_a_maximum_length,
    metadata_may_be_empty,
);

fn parse(text: &str) -> Metadata {
    Metadata::parse(text.as_bytes()).unwrap()
}

async fn contradicting_metadata_is_refused_and_nothing_is_sealed(backend: &dyn Backend) {
    for (member, says) in [
        (r#""source":"facebook""#, "source \"facebook\""),
        (r#""customer_id":1234567890"#, "customer_id 1234567890"),
        (r#""customer_id":"123-456-7890""#, "customer_id"),
        (r#""logical_date":"2024-06-02""#, "logical_date"),
        (r#""run_id":"2024-06-02T04:05:06.002Z""#, "run_id"),
        (r#""record_count":2"#, "record_count 2, the payload has 3 rows"),
        (r#""record_count":3.0"#, "record_count 3.0"),
        (r#""record_count":"3""#, "record_count"),
    ] {
        let mut writer = start(&open(backend)).await;
        put(&mut writer, &rows("a", 3)).await;
        let refused = writer.finalize(parse(&format!("{{{member}}}"))).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{member}");
        assert!(refused.message().contains(says), "{refused}");
        assert_eq!(refused.place(), Some(path(&key(), &run(1)).as_str()));
        assert_nothing(backend, member).await;
    }
}

async fn a_contradiction_keeps_an_older_payload(backend: &dyn Backend) {
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(b"older")).await;
    let writer = start(&open(backend)).await;
    writer.finalize(parse(r#"{"record_count":1}"#)).await.unwrap_err();
    let there = open(backend).inspect(&key(), &run(1)).await.unwrap();
    assert_eq!(there.payload.map(|info| info.bytes), Some(5));
}

async fn metadata_has_a_maximum_length(backend: &dyn Backend) {
    let text = |bytes: usize| format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes));
    let padded = |bytes: usize| parse(&text(bytes));
    let refused = Metadata::parse(text(MAX_METADATA_BYTES).as_bytes()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "too long by itself");
    let longest = MAX_METADATA_BYTES - text(0).len();
    let too_long = start(&open(backend)).await.finalize(padded(longest)).await;
    assert_eq!(too_long.unwrap_err().kind(), ErrorKind::Invalid);
    assert_nothing(backend, "too long").await;
    // What is accepted can be read back: the limit counts the seal block too.
    let mut room = longest;
    let sealed = loop {
        room -= 64;
        match start(&open(backend)).await.finalize(padded(room)).await {
            Ok(sealed) => break sealed,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    };
    assert!(room > MAX_METADATA_BYTES - 1024, "at most the seal block is subtracted");
    let reader = open(backend).open_partition(&key(), &run(1)).await.unwrap();
    assert_eq!(reader.seal().unwrap().writer, sealed.writer);
    assert_eq!(reader.metadata().text("pad").unwrap().len(), room);
}

async fn metadata_may_be_empty(backend: &dyn Backend) {
    let mut writer = start(&open(backend)).await;
    put(&mut writer, &rows("a", 3)).await;
    writer.finalize(Metadata::default()).await.unwrap();
    assert_eq!(read(&open(backend), &key(), &run(1)).await.unwrap(), rows("a", 3));
}
