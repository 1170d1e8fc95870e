//! Objects from an offset, for any names and lengths.

use bytes::Bytes;
use rawsink::{
    ErrorKind,
    store::{Object, Store, StorePath},
};

use super::{bytes, children, content, read_from, seal_of, walked, write};
use rawsink_testkit::{
    backend::{Backend, on_every_store},
    sample::{eventually, store_path},
};

on_every_store!(
    an_object_is_read_from_any_offset,
    a_long_object_is_read_in_bounded_chunks,
    a_missing_object_is_not_found,
    a_reading_has_the_tag_of_the_stored_object,
    names_are_kept_byte_for_byte,
    syncing_a_run_changes_nothing,
);

async fn an_object_is_read_from_any_offset(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    write(&store, &run, 1, "0123456789").await;
    for (offset, rest) in [
        (0, "0123456789"),
        (1, "123456789"),
        (5, "56789"),
        (9, "9"),
        (10, ""),
        (11, ""),
        (u64::MAX, ""),
    ] {
        let read = read_from(&store, &run, Object::Payload, offset).await;
        assert_eq!(read, Some(bytes(rest)), "from {offset}");
        let whole = store.read(&run, Object::Payload, offset).await.unwrap().bytes;
        assert_eq!(whole, 10, "the length is the whole object's, from {offset} too");
    }
    let seal = read_from(&store, &run, Object::Seal, 3).await;
    assert_eq!(seal, Some(seal_of(1).slice(3..)));
}

async fn a_long_object_is_read_in_bounded_chunks(backend: &dyn Backend) {
    use futures_util::TryStreamExt;
    let (store, run) = (backend.store(), store_path("run"));
    let text: String = ('a'..='z').cycle().take(3 * 1024 * 1024 + 5).collect();
    write(&store, &run, 1, &text).await;
    for offset in [0, 1024 * 1024 - 1, 2 * 1024 * 1024] {
        let reading = store.read(&run, Object::Payload, offset as u64).await.unwrap();
        let chunks: Vec<Bytes> = reading.chunks.try_collect().await.unwrap();
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.len() <= 8 * 1024 * 1024));
        assert!(chunks.concat() == text.as_bytes()[offset..], "from {offset}");
    }
}

async fn a_missing_object_is_not_found(backend: &dyn Backend) {
    let store = backend.store();
    backend.tamper(&store_path("p/unsealed"), Object::Payload, Some(b"x")).await;
    backend.tamper(&store_path("p/bare"), Object::Seal, Some(b"x")).await;
    for (run, object) in [
        ("p/unsealed", Object::Seal),
        ("p/bare", Object::Payload),
        ("p/none", Object::Payload),
        ("p/none", Object::Seal),
        ("none/at/all", Object::Seal),
        // Below a file in a directory; elsewhere a prefix of a name.
        ("p/unsealed/payload.jsonl", Object::Payload),
        ("p", Object::Payload),
    ] {
        let missing = store.read(&store_path(run), object, 0).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{run}: {missing}");
        assert!(missing.message().contains(object.file_name()), "{missing}");
    }
    assert_eq!(content(&store, &store_path("p/none")).await, (None, None));
}

async fn a_reading_has_the_tag_of_the_stored_object(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    write(&store, &run, 1, "0123456789").await;
    let tags = async |object| {
        let stored = store.inspect(&run).await.unwrap().get(object).unwrap().tag;
        assert!(stored.is_some(), "{object:?}");
        for offset in [0, 5, u64::MAX] {
            let read = store.read(&run, object, offset).await.unwrap();
            assert_eq!(read.tag, stored, "{object:?} from {offset}");
        }
        stored
    };
    let (payload, seal) = (tags(Object::Payload).await, tags(Object::Seal).await);
    assert_ne!(payload, seal);
    // The same length, and other bytes. The time of a file has the steps of a clock.
    eventually(async || {
        backend.tamper(&run, Object::Payload, Some(b"9876543210")).await;
        tags(Object::Payload).await != payload
    })
    .await;
    assert_eq!(tags(Object::Seal).await, seal);
}

async fn names_are_kept_byte_for_byte(backend: &dyn Backend) {
    let store = backend.store();
    let names = [
        "run_id=2024-06-02T04:05:06.789+00:00",
        "a=b=c",
        "100%25",
        "a%2Fb",
        "a+b",
        "a#b",
        "a b",
        "caf\u{e9}",
        "cafe\u{301}",
        "a?b&c",
        "\u{1f4be}",
        "~!@$^*(){}[]|;'\"<>,`",
    ];
    for (token, name) in (1..).zip(names) {
        write(&store, &store_path("p").join(name), token, name).await;
    }
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(children(&store, &store_path("p")).await, sorted);
    assert_eq!(walked(&store, &StorePath::root()).await.len(), 2 * names.len());
    for (token, name) in (1..).zip(names) {
        let expected = (Some(bytes(name)), Some(seal_of(token)));
        assert_eq!(content(&store, &store_path("p").join(name)).await, expected, "{name}");
    }
}

async fn syncing_a_run_changes_nothing(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    store.sync(std::slice::from_ref(&run)).await.unwrap();
    assert_eq!(backend.residue(&run).await, Vec::<String>::new());
    write(&store, &run, 1, "x").await;
    let before = super::snapshot(&store, &run).await;
    store.sync(std::slice::from_ref(&run)).await.unwrap();
    store.sync(&[store_path("p/other")]).await.unwrap();
    assert_eq!(super::snapshot(&store, &run).await, before);
}
