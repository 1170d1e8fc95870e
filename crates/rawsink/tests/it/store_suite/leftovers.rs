//! Leftovers: listing them, and discarding them after another check.

use std::fs::{create_dir_all, remove_file, write as write_file};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use rawsink::{
    ErrorKind,
    store::{
        Discarded, FsStore, Leftover, LeftoverKind, Object, Presence, Store, StorePath,
        fs::FsConfig,
    },
};

use super::{bytes, content, part, seal, snapshot, start, write};
use rawsink_testkit::{
    backend::{AnyStore, Backend, Directory, SecondWriter, on_every_store},
    sample::store_path,
};

on_every_store!(
    only_unsealed_payloads_are_leftovers,
    a_discarded_payload_is_deleted_and_its_run_can_be_written,
    g03_discarding_keeps_a_run_sealed_meanwhile,
    a_payload_replaced_since_the_listing_is_not_discarded,
    g09_discarding_keeps_leftovers_found_by_a_live_writer,
    staged_data_of_a_live_writer_is_listed_if_detectable,
);

async fn left(store: &AnyStore, dir: &str) -> Vec<Leftover> {
    let dir = if dir.is_empty() { StorePath::root() } else { store_path(dir) };
    store.leftovers(&dir).try_collect().await.unwrap()
}

async fn only_left(store: &AnyStore, dir: &str) -> Leftover {
    let left = left(store, dir).await;
    assert_eq!(left.len(), 1, "{left:?}");
    left.into_iter().next().unwrap()
}

async fn only_unsealed_payloads_are_leftovers(backend: &dyn Backend) {
    let store = backend.store();
    assert_eq!(left(&store, "").await, []);
    write(&store, &store_path("p/sealed"), 1, "rows").await;
    write(&store, &store_path("p/sealed/n"), 1, "rows").await;
    for (run, text) in [("p/a", "1"), ("p/b", "22"), ("q/c", "333")] {
        backend.tamper(&store_path(run), Object::Payload, Some(text.as_bytes())).await;
    }
    backend.tamper(&store_path("p/d"), Object::Seal, Some(b"{}")).await;
    let shown = |left: &[Leftover]| {
        left.iter().map(|left| (left.run.to_string(), left.kind, left.bytes)).collect::<Vec<_>>()
    };
    let payload = |run: &str, bytes| (run.to_owned(), LeftoverKind::Payload, bytes);
    assert_eq!(shown(&left(&store, "p").await), [payload("p/a", 1), payload("p/b", 2)]);
    assert_eq!(shown(&left(&store, "q/c").await), [payload("q/c", 3)]);
    assert_eq!(left(&store, "").await.len(), 3);
    assert_eq!(left(&store, "p/sealed").await, []);
    let modified = store.inspect(&store_path("q/c")).await.unwrap().payload.unwrap().modified;
    assert_eq!(only_left(&store, "q").await.modified, modified);
}

async fn a_discarded_payload_is_deleted_and_its_run_can_be_written(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"left")).await;
    let leftover = only_left(&store, "p").await;
    assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Removed);
    assert_eq!(backend.residue(&run).await, Vec::<String>::new());
    assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Gone);
    write(&store, &run, 2, "rows").await;
}

async fn g03_discarding_keeps_a_run_sealed_meanwhile(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"left")).await;
    let leftover = only_left(&store, "p").await;
    backend.tamper(&run, Object::Seal, Some(b"another's")).await;
    let before = snapshot(&store, &run).await;
    assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Sealed);
    assert_eq!(snapshot(&store, &run).await, before);
}

async fn a_payload_replaced_since_the_listing_is_not_discarded(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"left")).await;
    let leftover = only_left(&store, "p").await;
    backend.tamper(&run, Object::Payload, Some(b"newer")).await;
    assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Changed);
    assert_eq!(content(&store, &run).await.0, Some(bytes("newer")));
}

async fn g09_discarding_keeps_leftovers_found_by_a_live_writer(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    backend.tamper(&run, Object::Payload, Some(b"left")).await;
    let leftovers = left(&store, "p").await;
    let mut upload = start(&store, &run, 2).await;
    for leftover in &leftovers {
        assert_eq!(store.discard(leftover).await.unwrap(), Discarded::InUse);
    }
    upload.complete(bytes("rows")).await.unwrap();
    seal(upload).await.unwrap();
    assert_eq!(content(&store, &run).await.0, Some(bytes("rows")));
    assert_eq!(left(&store, "p").await, []);
}

async fn staged_data_of_a_live_writer_is_listed_if_detectable(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    let mut upload = start(&store, &run, 1).await;
    let first = part(&*upload, "rows");
    upload.append(first.clone()).await.unwrap();
    let kind = match (store.presence(), backend.residue(&run).await.is_empty()) {
        (Presence::Age, _) => LeftoverKind::Upload,
        (Presence::Lock, false) => LeftoverKind::Staging,
        // Invisible in memory.
        (Presence::Lock, true) => return,
    };
    rawsink_testkit::sample::eventually(async || {
        left(&store, "p").await.iter().map(|left| left.bytes).sum::<u64>() == first.len() as u64
    })
    .await;
    let leftover = only_left(&store, "p").await;
    assert_eq!((leftover.kind, &leftover.run), (kind, &run));
    if backend.second_writer() == SecondWriter::Refused {
        assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::InUse);
        upload.complete(bytes("!")).await.unwrap();
        seal(upload).await.unwrap();
        let whole = Bytes::from([&first[..], b"!"].concat());
        assert!(content(&store, &run).await.0 == Some(whole));
    } else {
        // No lock shows that it is alive: the caller has to know that it is not.
        assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Removed);
        assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Gone);
        assert_eq!(backend.residue(&run).await, Vec::<String>::new());
        upload.complete(bytes("!")).await.unwrap_err();
    }
    assert_eq!(left(&store, "p").await, []);
}

/// Files of other software: checksums of Hadoop, swap files of an editor, temporary files of rsync and
/// NFS, and names that are almost those of an attempt.
const FOREIGN_FILES: [&str; 9] = [
    ".payload",
    ".payload.jsonl.crc",
    ".metadata.json.crc",
    ".payload.jsonl.swp",
    ".payload.jsonl.Xa3bQ9",
    ".payload.jsonl.gpg",
    ".nfs000000000001",
    ".payload.jsonl.0000000000000000000000000000012",
    ".payload.jsonl.0000000000000000000000000000012F",
];

#[tokio::test]
async fn stale_staging_files_are_listed_in_sealed_runs_too() {
    let backend = Directory::default();
    let store =
        AnyStore(std::sync::Arc::new(FsStore::new(&FsConfig::new(backend.root())).unwrap()));
    let (sealed, unsealed) = (store_path("p/sealed"), store_path("p/unsealed"));
    write(&store, &sealed, 1, "rows").await;
    create_dir_all(backend.at(&unsealed)).unwrap();
    let names =
        [format!(".payload.jsonl.{:032x}", 0x0123), format!(".metadata.json.{:032x}", 0x4567)];
    for dir in [&sealed, &unsealed] {
        for name in &names {
            write_file(backend.at(dir).join(name), name).unwrap();
        }
        for name in FOREIGN_FILES {
            write_file(backend.at(dir).join(name), "x").unwrap();
        }
    }
    create_dir_all(backend.at(&store_path("p/.hidden"))).unwrap();
    write_file(backend.at(&store_path("p/.hidden")).join(&names[0]), "x").unwrap();
    let before = snapshot(&store, &sealed).await;
    let leftovers = left(&store, "").await;
    assert_eq!(leftovers.len(), 4, "{leftovers:?}");
    for leftover in &leftovers {
        assert_eq!(leftover.kind, LeftoverKind::Staging);
        assert_eq!(store.discard(leftover).await.unwrap(), Discarded::Removed, "{leftover:?}");
    }
    assert_eq!(snapshot(&store, &sealed).await, before);
    assert_eq!(left(&store, "").await, []);
    for name in FOREIGN_FILES {
        assert!(backend.at(&sealed).join(name).exists(), "{name} is not ours");
        remove_file(backend.at(&unsealed).join(name)).unwrap();
    }
    // An empty directory is deleted with the last leftover.
    write_file(backend.at(&unsealed).join(&names[0]), "x").unwrap();
    let leftover = only_left(&store, "p/unsealed").await;
    assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Removed);
    assert!(!backend.at(&unsealed).exists() && backend.at(&store_path("p")).exists());
    assert_eq!(store.discard(&leftover).await.unwrap(), Discarded::Gone);
}

/// A leftover is plain data: an invented one refers to nothing else.
#[tokio::test]
async fn g03_discarding_an_invented_leftover_deletes_nothing_else() {
    let backend = Directory::default();
    let store =
        AnyStore(std::sync::Arc::new(FsStore::new(&FsConfig::new(backend.root())).unwrap()));
    let (sealed, unsealed) = (store_path("p/sealed"), store_path("p/unsealed"));
    write(&store, &sealed, 1, "rows").await;
    backend.tamper(&unsealed, Object::Payload, Some(b"left")).await;
    let leftover = only_left(&store, "p/unsealed").await;
    for name in ["payload.jsonl", "metadata.json", "../sealed/payload.jsonl"] {
        for prefix in ["", ".payload.jsonl./../"] {
            let info = store.inspect(&sealed).await.unwrap();
            let info = if name.starts_with("meta") { info.seal } else { info.payload }.unwrap();
            let (run, name) = (sealed.clone(), format!("{prefix}{name}"));
            let (bytes, modified) = (info.bytes, info.modified);
            let kind = LeftoverKind::Staging;
            let made_up = Leftover { run, kind, name, bytes, modified };
            let refused = store.discard(&made_up).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{made_up:?}");
        }
    }
    assert_eq!(content(&store, &sealed).await.0, Some(bytes("rows")));
    // A payload has one name.
    let made_up = Leftover { name: "../sealed/payload.jsonl".to_owned(), ..leftover };
    assert_eq!(store.discard(&made_up).await.unwrap(), Discarded::Removed);
    assert_eq!(content(&store, &sealed).await.0, Some(bytes("rows")));
    assert!(!backend.at(&unsealed).exists());
}

#[tokio::test]
async fn a_broken_link_is_one_error_and_hides_no_other() {
    let backend = Directory::default();
    let store =
        AnyStore(std::sync::Arc::new(FsStore::new(&FsConfig::new(backend.root())).unwrap()));
    for run in ["p/a", "p/b", "p/c"] {
        backend.tamper(&store_path(run), Object::Payload, Some(b"left")).await;
    }
    let looped = backend.at(&store_path("p/b")).join("payload.jsonl");
    remove_file(&looped).unwrap();
    std::os::unix::fs::symlink(&looped, &looped).unwrap();
    let found: Vec<_> = store.leftovers(&StorePath::root()).collect().await;
    let (found, errors): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    let found: Vec<_> = found.into_iter().map(|left| left.unwrap().run.to_string()).collect();
    assert_eq!(found, ["p/a", "p/c"]);
    let error = errors.into_iter().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("p/b/payload.jsonl"), "{error}");
}
