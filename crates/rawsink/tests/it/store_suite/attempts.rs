//! Sequential attempts: visibility and refusals.

use bytes::Bytes;
use rawsink::{
    ErrorKind,
    store::{Object, Store, StorePath},
};

use super::{
    attempt, bytes, complete, content, part, read_from, seal, seal_of, start, walked, write,
};
use rawsink_testkit::{
    backend::{Backend, SecondWriter, on_every_store},
    sample::store_path,
};

on_every_store!(
    g01_nothing_is_visible_before_complete_and_nothing_is_sealed_before_seal,
    a_payload_is_its_parts_in_order,
    a_payload_may_be_empty,
    the_seal_names_the_attempt_that_sealed,
    g03_a_sealed_run_is_not_started_again,
    g04_a_seal_is_created_only_if_none_exists,
    g04_no_payload_is_created_after_a_seal_appeared,
    g04_of_two_live_writers_the_active_one_is_not_disturbed,
    g18_writers_of_different_runs_work_in_parallel,
);

async fn g01_nothing_is_visible_before_complete_and_nothing_is_sealed_before_seal(
    backend: &dyn Backend,
) {
    let (store, run) = (backend.store(), store_path("s/c/q/d/r"));
    let nothing = (None, None);
    assert_eq!(content(&store, &run).await, nothing);
    let mut upload = start(&store, &run, 1).await;
    assert_eq!(content(&store, &run).await, nothing);
    let first = part(&*upload, "one\n");
    upload.append(first.clone()).await.unwrap();
    assert_eq!(content(&store, &run).await, nothing);
    assert_eq!(walked(&store, &StorePath::root()).await, Vec::<String>::new());
    upload.complete(bytes("two\n")).await.unwrap();
    let whole = Bytes::from([&first[..], b"two\n"].concat());
    assert!(content(&store, &run).await == (Some(whole.clone()), None));
    seal(upload).await.unwrap();
    assert!(content(&store, &run).await == (Some(whole), Some(seal_of(1))));
    assert_eq!(
        walked(&store, &StorePath::root()).await,
        ["s/c/q/d/r/metadata.json", "s/c/q/d/r/payload.jsonl"]
    );
}

async fn a_payload_is_its_parts_in_order(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    let mut upload = start(&store, &run, 1).await;
    let whole = upload.part_bytes();
    let sizes = [whole, 2 * whole + 3, whole, whole + 1];
    let mut expected = Vec::new();
    for (fill, size) in (b'a'..).zip(sizes) {
        let part = Bytes::from(vec![fill; size]);
        expected.extend_from_slice(&part);
        upload.append(part).await.unwrap();
    }
    upload.complete(bytes("end")).await.unwrap();
    expected.extend_from_slice(b"end");
    let stored = read_from(&store, &run, Object::Payload, 0).await.unwrap();
    assert!(stored == expected, "{} bytes are stored, {} were given", stored.len(), expected.len());
}

async fn a_payload_may_be_empty(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    write(&store, &run, 1, "").await;
    assert_eq!(content(&store, &run).await, (Some(Bytes::new()), Some(seal_of(1))));
}

async fn the_seal_names_the_attempt_that_sealed(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    let upload = complete(&store, &run, 0xab, "x").await;
    assert_eq!(seal(upload).await.unwrap().as_str(), format!("{:032x}", 0xab));
    assert_eq!(content(&store, &run).await.1, Some(seal_of(0xab)));
}

async fn g03_a_sealed_run_is_not_started_again(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    write(&store, &run, 1, "first").await;
    let refused = store.start(&run, attempt(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
    assert_eq!(content(&store, &run).await, (Some(bytes("first")), Some(seal_of(1))));
}

async fn g04_a_seal_is_created_only_if_none_exists(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    let upload = complete(&store, &run, 1, "mine").await;
    backend.tamper(&run, Object::Seal, Some(b"another's")).await;
    assert_eq!(seal(upload).await.unwrap_err().kind(), ErrorKind::AlreadySealed);
    assert_eq!(content(&store, &run).await, (Some(bytes("mine")), Some(bytes("another's"))));
}

async fn g04_no_payload_is_created_after_a_seal_appeared(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    let mut upload = start(&store, &run, 1).await;
    backend.tamper(&run, Object::Payload, Some(b"another's rows")).await;
    backend.tamper(&run, Object::Seal, Some(b"another's")).await;
    let refused = upload.complete(bytes("mine")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
    upload.abort().await;
    let stays = (Some(bytes("another's rows")), Some(bytes("another's")));
    assert_eq!(content(&store, &run).await, stays);
}

async fn g04_of_two_live_writers_the_active_one_is_not_disturbed(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("run"));
    let mut first = start(&store, &run, 1).await;
    let one = part(&*first, "one,");
    first.append(one.clone()).await.unwrap();
    let second = backend.store().start(&run, attempt(2)).await;
    let (mut goes_on, token) = match backend.second_writer() {
        SecondWriter::Refused => {
            assert_eq!(second.unwrap_err().kind(), ErrorKind::Conflict);
            (first, 1)
        }
        SecondWriter::Supersedes => {
            let mut second = second.unwrap();
            second.append(one.clone()).await.unwrap();
            let superseded = first.complete(bytes("two")).await.unwrap_err();
            assert_eq!(superseded.kind(), ErrorKind::Conflict);
            first.abort().await;
            (second, 2)
        }
    };
    goes_on.complete(bytes("two")).await.unwrap();
    seal(goes_on).await.unwrap();
    let whole = Bytes::from([&one[..], b"two"].concat());
    assert!(content(&store, &run).await == (Some(whole), Some(seal_of(token))));
}

async fn g18_writers_of_different_runs_work_in_parallel(backend: &dyn Backend) {
    let store = backend.store();
    let runs = ["p/r1", "p/r2", "p/r3", "p/r1/below", "p", "p-q/r1"].map(store_path);
    let mut uploads = Vec::new();
    for (token, run) in (1..).zip(&runs) {
        uploads.push((token, run, start(&store, run, token).await));
    }
    for (token, _, upload) in &mut uploads {
        upload.append(part(&**upload, &format!("{token},"))).await.unwrap();
    }
    // One is aborted and one dropped while the others are active.
    let (_, aborted, upload) = uploads.remove(1);
    upload.abort().await;
    let (_, dropped, upload) = uploads.remove(1);
    drop(upload);
    let mut written = Vec::new();
    for (token, run, mut upload) in uploads {
        let whole = [&part(&*upload, &format!("{token},"))[..], b"end"].concat();
        upload.complete(bytes("end")).await.unwrap();
        seal(upload).await.unwrap();
        written.push((token, run, Bytes::from(whole)));
    }
    for (token, run, whole) in written {
        assert!(content(&store, run).await == (Some(whole), Some(seal_of(token))), "{run}");
    }
    for run in [aborted, dropped] {
        assert_eq!(content(&store, run).await, (None, None), "{run}");
    }
}
