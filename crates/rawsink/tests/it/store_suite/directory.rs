//! Directories only: modes, staging files, links, names that are no runs.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use futures_util::StreamExt;
use rawsink::{
    ErrorKind, Result,
    store::{
        FsStore, Leftover, LeftoverKind, Object, Store, StorePath,
        fs::{FsConfig, Links, MissingRoot, Mounted, Parents},
    },
};

use super::{bytes, children, complete, content, seal, start, walked, write};
use rawsink_testkit::{
    backend::{AnyStore, Backend, Directory, entries},
    sample::store_path,
};

#[tokio::test]
async fn reading_an_empty_store_creates_nothing() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    assert_eq!(content(&store, &run).await, (None, None));
    assert_eq!(walked(&store, &StorePath::root()).await, Vec::<String>::new());
    store.sync(std::slice::from_ref(&run)).await.unwrap();
    assert_eq!(entries(&backend.root()).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn only_owner_and_group_have_access_and_sealed_files_are_read_only() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    fs::remove_dir(backend.root()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let upload = complete(&store, &run, 1, "x").await;
    let unsealed = mode(&backend.at(&run).join("payload.jsonl"));
    assert_eq!((unsealed & 0o600, unsealed & !0o640), (0o600, 0), "{unsealed:o}");
    seal(upload).await.unwrap();
    for object in [Object::Payload, Object::Seal] {
        let mode = mode(&backend.at(&run).join(object.file_name()));
        assert_eq!((mode & 0o600, mode & !0o440), (0o400, 0), "{mode:o}");
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
    let store = backend.store();
    assert_eq!(walked(&store, &StorePath::root()).await, Vec::<String>::new());
    assert_eq!(children(&store, &StorePath::root()).await, Vec::<String>::new());
    assert_eq!(content(&store, &store_path("p")).await, (None, None));
    assert_eq!(content(&store, &store_path("q")).await, (None, None));
}

/// Asserts that every way to use a run through a link is refused, and names the setting.
async fn assert_refused(store: &AnyStore, run: &StorePath) {
    let refusals = [
        store.inspect(run).await.unwrap_err(),
        store.read(run, Object::Payload, 0).await.unwrap_err(),
        store.start(run, super::attempt(2)).await.unwrap_err(),
        store.sync(std::slice::from_ref(run)).await.unwrap_err(),
    ];
    for error in refusals {
        assert_eq!((error.kind(), error.setting()), (ErrorKind::Invalid, Some("links")), "{error}");
    }
}

#[tokio::test]
async fn links_below_the_root_are_refused_and_never_missing() {
    let backend = Directory::default();
    let (store, outside) = (backend.store(), tempfile::TempDir::new().unwrap());
    write(&store, &store_path("p/run"), 1, "rows").await;
    let left = outside.path().join("run");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("payload.jsonl"), "precious").unwrap();
    symlink(outside.path(), backend.root().join("linked")).unwrap();
    symlink(&left, backend.at(&store_path("p/linked"))).unwrap();
    symlink("nowhere", backend.at(&store_path("p/dangling"))).unwrap();
    symlink("payload.jsonl", backend.at(&store_path("p/run/harmless"))).unwrap();
    for run in ["linked/run", "p/linked", "p/dangling"] {
        assert_refused(&store, &store_path(run)).await;
    }
    let errors = |found: Vec<Result<String>>| -> Vec<String> {
        let errors = found.into_iter().filter_map(Result::err);
        errors.map(|error| error.path().unwrap_or_default().to_owned()).collect()
    };
    let below = store.children(&StorePath::root()).collect::<Vec<_>>().await;
    assert_eq!(errors(below).len(), 1, "linked");
    let walked = store.walk(&StorePath::root()).map(|found| found.map(|_| String::new()));
    let walked = errors(walked.collect().await);
    assert_eq!(walked.len(), 3, "{walked:?}");
    let leftovers: Vec<_> = store.leftovers(&StorePath::root()).collect().await;
    assert!(leftovers.len() == 3 && leftovers.iter().all(Result::is_err), "{leftovers:?}");
    let leftover = Leftover {
        run: store_path("p/linked"),
        kind: LeftoverKind::Payload,
        name: "payload.jsonl".to_owned(),
        bytes: 8,
        modified: jiff::Timestamp::default(),
    };
    assert_eq!(store.discard(&leftover).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(fs::read(left.join("payload.jsonl")).unwrap(), b"precious");
    assert_eq!(entries(&left).unwrap(), ["payload.jsonl"]);
}

#[tokio::test]
async fn a_link_in_place_of_an_object_is_refused() {
    let backend = Directory::default();
    let (store, run) = (backend.store(), store_path("p/run"));
    write(&store, &run, 1, "rows").await;
    let payload = backend.at(&run).join("payload.jsonl");
    fs::hard_link(&payload, backend.root().join("elsewhere")).unwrap();
    fs::remove_file(&payload).unwrap();
    symlink(backend.root().join("elsewhere"), &payload).unwrap();
    let refused = store.read(&run, Object::Payload, 0).await.unwrap_err();
    assert_eq!((refused.kind(), refused.setting()), (ErrorKind::Invalid, Some("links")));
    assert_eq!(store.inspect(&run).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn the_root_may_be_a_link() {
    let backend = Directory::default();
    let (parent, run) = (tempfile::TempDir::new().unwrap(), store_path("p/run"));
    let root = parent.path().join("link");
    symlink(backend.root(), &root).unwrap();
    let store = AnyStore(Arc::new(FsStore::new(&FsConfig::new(root)).unwrap()));
    write(&store, &run, 1, "rows").await;
    assert_eq!(content(&backend.store(), &run).await.0, Some(bytes("rows")));
}

#[tokio::test]
async fn links_are_followed_if_configured() {
    let backend = Directory::default();
    let config = FsConfig::new(backend.root()).links(Links::Followed);
    let store = AnyStore(Arc::new(FsStore::new(&config).unwrap()));
    write(&store, &store_path("p/run"), 1, "rows").await;
    symlink(backend.at(&store_path("p")), backend.root().join("linked")).unwrap();
    assert_eq!(children(&store, &StorePath::root()).await, ["linked", "p"]);
    assert_eq!(content(&store, &store_path("linked/run")).await.0, Some(bytes("rows")));
    let refused = store.start(&store_path("linked/run"), super::attempt(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
}

#[tokio::test]
async fn a_missing_root_is_an_error_for_readers_and_is_created_by_a_writer() {
    let (parent, run) = (tempfile::TempDir::new().unwrap(), store_path("p/run"));
    let root = parent.path().join("raw");
    let store = AnyStore(Arc::new(FsStore::new(&FsConfig::new(&root)).unwrap()));
    let first = |found: Vec<Result<()>>| found.into_iter().find_map(Result::err).unwrap();
    let errors = [
        store.inspect(&run).await.unwrap_err(),
        store.read(&run, Object::Seal, 0).await.unwrap_err(),
        store.sync(std::slice::from_ref(&run)).await.unwrap_err(),
        first(store.children(&StorePath::root()).map(|found| found.map(drop)).collect().await),
        first(store.walk(&StorePath::root()).map(|found| found.map(drop)).collect().await),
        first(store.leftovers(&run).map(|found| found.map(drop)).collect().await),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.setting()), (ErrorKind::Unavailable, Some("root")));
        assert!(error.to_string().contains("raw") && !root.exists(), "{error}");
    }
    write(&store, &run, 1, "rows").await;
    assert_eq!(content(&store, &run).await.0, Some(bytes("rows")));
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(store.inspect(&run).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_directories_above_the_root_are_created_only_if_configured() {
    let (parent, run) = (tempfile::TempDir::new().unwrap(), store_path("p/run"));
    let config = FsConfig::new(parent.path().join("data/raw"));
    let store = AnyStore(Arc::new(FsStore::new(&config).unwrap()));
    let refused = store.start(&run, super::attempt(1)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.setting()), (ErrorKind::Unavailable, Some("root")));
    assert!(!parent.path().join("data").exists());
    let created = config.clone().parents(Parents::Created);
    write(&AnyStore(Arc::new(FsStore::new(&created).unwrap())), &run, 1, "rows").await;
    assert_eq!(content(&store, &run).await.0, Some(bytes("rows")));
}

#[tokio::test]
async fn a_missing_destination_is_empty_if_the_directory_above_it_exists() {
    let (parent, run) = (tempfile::TempDir::new().unwrap(), store_path("p/run"));
    let store = |path: &str| {
        let config = FsConfig::new(parent.path().join(path)).missing(MissingRoot::IsEmpty);
        AnyStore(Arc::new(FsStore::new(&config).unwrap()))
    };
    assert_eq!(content(&store("new"), &run).await, (None, None));
    assert_eq!(walked(&store("new"), &StorePath::root()).await, Vec::<String>::new());
    let refused = store("not/mounted").inspect(&run).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_root_has_to_be_mounted_if_configured() {
    let (backend, run) = (Directory::default(), store_path("p/run"));
    let required = |root: &Path| {
        let config = FsConfig::new(root).mounted(Mounted::Required);
        AnyStore(Arc::new(FsStore::new(&config).unwrap()))
    };
    // Every Linux system mounts this one.
    assert_eq!(content(&required(Path::new("/proc")), &run).await, (None, None));
    let on_top = fs::metadata(backend.root()).unwrap().dev() == fs::metadata("/").unwrap().dev();
    let outcome = required(&backend.root()).inspect(&run).await;
    assert_eq!(outcome.is_err(), on_top, "{outcome:?}");
    let missing = required(&backend.root().join("missing"));
    let refused = missing.start(&run, super::attempt(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!backend.root().join("missing").exists());
}

#[tokio::test]
async fn an_unusable_root_is_refused() {
    assert_eq!(FsStore::new(&FsConfig::new("")).unwrap_err().kind(), ErrorKind::Invalid);
    let backend = Directory::default();
    fs::remove_dir(backend.root()).unwrap();
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
