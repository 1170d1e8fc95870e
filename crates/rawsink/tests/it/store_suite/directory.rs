//! Directories only: modes, staging files, links, names that are no runs.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use rawsink::{
    ErrorKind,
    store::{FsStore, Object, Store, StorePath, fs::FsConfig},
};

use super::{bytes, children, complete, content, seal, start, walked, write};
use rawsink_testkit::{
    backend::{Backend, Directory, entries},
    sample::store_path,
};

#[tokio::test]
async fn reading_an_empty_store_creates_nothing() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    assert_eq!(content(&store, &run).await, (None, None));
    assert_eq!(walked(&store, &StorePath::root()).await, Vec::<String>::new());
    store.sync(std::slice::from_ref(&run)).await.unwrap();
    assert!(!backend.root().exists());
}

#[tokio::test]
async fn only_owner_and_group_have_access() {
    let backend = Directory::default();
    let run = store_path("p/run");
    write(&backend.store(), &run, 1, "x").await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for object in [Object::Payload, Object::Seal] {
        let mode = mode(&backend.at(&run).join(object.file_name()));
        assert_eq!((mode & 0o600, mode & !0o640), (0o600, 0), "{mode:o}");
    }
    for dir in [backend.root(), backend.at(&store_path("p")), backend.at(&run)] {
        let mode = mode(&dir);
        assert_eq!((mode & 0o700, mode & !0o750), (0o700, 0), "{mode:o}");
    }
}

#[tokio::test]
async fn g08_an_aborted_attempt_deletes_its_directory_and_keeps_the_parents() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("s/c/q/d/run"));
    complete(&store, &run, 1, "rows").await.abort().await;
    assert!(!backend.at(&run).exists());
    assert_eq!(entries(&backend.at(&store_path("s/c/q/d"))), Some(Vec::new()));
}

#[tokio::test]
async fn g09_the_next_attempt_deletes_stale_staging_files_and_keeps_other_files() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    fs::create_dir_all(backend.at(&run)).unwrap();
    for object in [Object::Payload, Object::Seal] {
        let name = format!(".{}.{:032x}", object.file_name(), 0xdead);
        fs::write(backend.at(&run).join(name), "x").unwrap();
    }
    for name in [".nfs01", ".payload.jsonl.swp", "notes.txt"] {
        fs::write(backend.at(&run).join(name), "x").unwrap();
    }
    let upload = start(&store, &run, 1).await;
    let staged = format!(".payload.jsonl.{:032x}", 1);
    assert_eq!(
        backend.residue(&run).await,
        ["./", ".nfs01", staged.as_str(), ".payload.jsonl.swp", "notes.txt"],
        "of the staging files only the attempt's own is there"
    );
    upload.abort().await;
    let others = ["./", ".nfs01", ".payload.jsonl.swp", "notes.txt"];
    assert_eq!(backend.residue(&run).await, others);
    write(&store, &run, 2, "x").await;
    let whole =
        ["./", ".nfs01", ".payload.jsonl.swp", "metadata.json", "notes.txt", "payload.jsonl"];
    assert_eq!(backend.residue(&run).await, whole);
}

#[tokio::test]
async fn g03_staging_files_in_a_sealed_run_are_kept() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, "x").await;
    let staged = backend.at(&run).join(format!(".payload.jsonl.{:032x}", 0xdead));
    fs::write(&staged, "y").unwrap();
    let before = fs::metadata(backend.at(&run)).unwrap();
    let refused = store.start(&run, super::attempt(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
    let after = fs::metadata(backend.at(&run)).unwrap();
    let times = |meta: &fs::Metadata| (meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec());
    assert_eq!(times(&after), times(&before), "not even the directory was touched");
    assert!(staged.exists());
}

#[tokio::test]
async fn g08_a_payload_of_another_writer_is_not_rolled_back() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    let mine = complete(&store, &run, 1, "mine").await;
    // Software without locks replaces the payload before it seals.
    backend.tamper(&run, Object::Payload, None).await;
    backend.tamper(&run, Object::Payload, Some(b"another's")).await;
    mine.abort().await;
    assert_eq!(content(&store, &run).await, (Some(bytes("another's")), None));
}

#[tokio::test]
async fn only_objects_are_listed() {
    let backend = Directory::default();
    let root = backend.root();
    for dir in ["empty/below", "p/payload.jsonl", "p/r/metadata.json", "q"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::write(root.join("q/readme.txt"), "x").unwrap();
    fs::write(root.join("q/payload.jsonl.bak"), "x").unwrap();
    symlink("nowhere", root.join("q/payload.jsonl")).unwrap();
    let store = backend.store();
    assert_eq!(walked(&store, &StorePath::root()).await, Vec::<String>::new());
    assert_eq!(children(&store, &StorePath::root()).await, Vec::<String>::new());
    assert_eq!(content(&store, &store_path("p")).await, (None, None));
    assert_eq!(content(&store, &store_path("q")).await, (None, None));
}

#[tokio::test]
async fn links_to_directories_and_files_are_followed() {
    let backend = Directory::default();
    let store = backend.store();
    write(&store, &store_path("p/run"), 1, "rows").await;
    symlink(backend.at(&store_path("p")), backend.root().join("linked")).unwrap();
    assert_eq!(children(&store, &StorePath::root()).await, ["linked", "p"]);
    assert_eq!(content(&store, &store_path("linked/run")).await.0, Some(bytes("rows")));
    let refused = store.start(&store_path("linked/run"), super::attempt(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
}

#[tokio::test]
async fn an_unusable_root_is_refused() {
    assert_eq!(FsStore::new(&FsConfig::new("")).unwrap_err().kind(), ErrorKind::Invalid);
    let backend = Directory::default();
    fs::write(backend.root(), "a file").unwrap();
    let refused = backend.store().start(&store_path("p/run"), super::attempt(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert_eq!(fs::read(backend.root()).unwrap(), b"a file");
}

#[tokio::test]
async fn a_relative_root_is_resolved_at_creation() {
    let store = FsStore::new(&FsConfig::new("some/where")).unwrap();
    assert!(store.root().is_absolute() && store.root().ends_with("some/where"));
}

#[tokio::test]
async fn g04_a_dangling_link_counts_as_a_seal() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    let upload = complete(&store, &run, 1, "mine").await;
    symlink("nowhere", backend.at(&run).join("metadata.json")).unwrap();
    assert_eq!(seal(upload).await.unwrap_err().kind(), ErrorKind::AlreadySealed);
    assert!(backend.at(&run).join("payload.jsonl").exists());
}
