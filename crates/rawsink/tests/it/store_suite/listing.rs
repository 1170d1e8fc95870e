//! Children and walks: every object once, in byte order, and nothing else.

use futures_util::TryStreamExt;
use rawsink::store::{Object, Store, StorePath};

use super::{children, part, start, walked};
use rawsink_testkit::{
    backend::{Backend, WholePayload, on_every_store},
    sample::store_path,
};

on_every_store!(
    a_walk_is_sorted_by_full_path,
    a_walk_stays_below_its_directory,
    a_walk_and_inspect_report_the_same_length_age_and_tag,
    children_are_names_with_an_object_at_any_depth,
    names_that_start_with_a_dot_are_hidden_at_any_level,
    directories_of_file_systems_and_appliances_are_hidden_at_any_level,
    an_active_attempt_is_not_listed,
    a_missing_directory_is_an_empty_list,
    children_and_walks_agree,
);

/// Runs whose order by full path differs from the order of their names.
const RUNS: [&str; 11] = [
    "a",
    "a-b",
    "a/b",
    "a/b/c",
    "a!",
    "a.d/x",
    "a0",
    "ab/c",
    "metadata.json.d",
    "payload.jsonl/x",
    "\u{e9}/z",
];

async fn fill(backend: &dyn Backend) -> Vec<String> {
    let mut paths = Vec::new();
    for run in RUNS {
        for object in [Object::Payload, Object::Seal] {
            backend.tamper(&store_path(run), object, Some(run.as_bytes())).await;
            paths.push(format!("{run}/{}", object.file_name()));
        }
    }
    paths.sort_unstable();
    paths
}

async fn a_walk_is_sorted_by_full_path(backend: &dyn Backend) {
    let expected = fill(backend).await;
    assert_eq!(walked(&backend.store(), &StorePath::root()).await, expected);
    let position = |name: &str| expected.iter().position(|path| path.starts_with(name)).unwrap();
    assert!(position("a-b/") < position("a/b/"), "bytes decide, not segments");
}

async fn a_walk_stays_below_its_directory(backend: &dyn Backend) {
    let all = fill(backend).await;
    for dir in ["a", "a/b", "a-b", "ab", "payload.jsonl"] {
        let below: Vec<&String> =
            all.iter().filter(|path| path.starts_with(&format!("{dir}/"))).collect();
        assert!(!below.is_empty());
        assert_eq!(
            walked(&backend.store(), &store_path(dir)).await.iter().collect::<Vec<_>>(),
            below
        );
    }
}

async fn a_walk_and_inspect_report_the_same_length_age_and_tag(backend: &dyn Backend) {
    fill(backend).await;
    let store = backend.store();
    let found: Vec<_> = store.walk(&StorePath::root()).try_collect().await.unwrap();
    assert_eq!(found.len(), 2 * RUNS.len());
    for stored in found {
        let inspected = store.inspect(&stored.dir).await.unwrap();
        let info = match stored.object {
            Object::Payload => inspected.payload,
            Object::Seal => inspected.seal,
        };
        assert_eq!(Some(stored.info), info);
        assert_eq!(stored.info.bytes, stored.dir.as_str().len() as u64);
    }
}

async fn children_are_names_with_an_object_at_any_depth(backend: &dyn Backend) {
    fill(backend).await;
    let store = backend.store();
    let top = ["a", "a!", "a-b", "a.d", "a0", "ab", "metadata.json.d", "payload.jsonl", "\u{e9}"];
    assert_eq!(children(&store, &StorePath::root()).await, top);
    assert_eq!(children(&store, &store_path("a")).await, ["b"]);
    assert_eq!(children(&store, &store_path("a/b")).await, ["c"]);
    assert_eq!(children(&store, &store_path("a/b/c")).await, Vec::<String>::new());
}

async fn names_that_start_with_a_dot_are_hidden_at_any_level(backend: &dyn Backend) {
    for run in [".top/q/r", "p/.mid/r", "p/q/.run", "..x/r", "p/...", "seen/q/r"] {
        backend.tamper(&store_path(run), Object::Payload, Some(b"x")).await;
    }
    let store = backend.store();
    assert_eq!(walked(&store, &StorePath::root()).await, ["seen/q/r/payload.jsonl"]);
    assert_eq!(children(&store, &StorePath::root()).await, ["seen"]);
    assert_eq!(children(&store, &store_path("p")).await, Vec::<String>::new());
}

async fn directories_of_file_systems_and_appliances_are_hidden_at_any_level(backend: &dyn Backend) {
    for run in [
        "lost+found/q/r",
        "p/lost+found/r",
        "p/q/lost+found",
        "@eaDir/r",
        "p/#recycle/r",
        "p/#snapshot/r",
        "$RECYCLE.BIN/r",
        "System Volume Information/r",
        "lost+found.1/q/r",
        "seen/q/r",
    ] {
        backend.tamper(&store_path(run), Object::Payload, Some(b"x")).await;
    }
    let store = backend.store();
    let seen = ["lost+found.1/q/r/payload.jsonl", "seen/q/r/payload.jsonl"];
    assert_eq!(walked(&store, &StorePath::root()).await, seen);
    assert_eq!(children(&store, &StorePath::root()).await, ["lost+found.1", "seen"]);
    assert_eq!(children(&store, &store_path("p")).await, Vec::<String>::new());
    let left: Vec<_> = store.leftovers(&StorePath::root()).try_collect().await.unwrap();
    let left: Vec<String> = left.iter().map(|left| left.run.to_string()).collect();
    assert_eq!(left, ["lost+found.1/q/r", "seen/q/r"]);
}

async fn an_active_attempt_is_not_listed(backend: &dyn Backend) {
    let (store, run) = (backend.store(), store_path("p/run"));
    let mut upload = start(&store, &run, 1).await;
    upload.append(part(&*upload, "a part,")).await.unwrap();
    assert_eq!(walked(&store, &StorePath::root()).await, Vec::<String>::new());
    assert_eq!(children(&store, &StorePath::root()).await, Vec::<String>::new());
    upload.complete(super::bytes("")).await.unwrap();
    assert_eq!(walked(&store, &StorePath::root()).await, ["p/run/payload.jsonl"]);
    assert_eq!(children(&store, &StorePath::root()).await, ["p"]);
    upload.abort().await;
    // The parents stay and are not listed.
    let stays: &[&str] = match backend.whole_payload() {
        WholePayload::Deleted => &[],
        WholePayload::Left => &["p"],
    };
    assert_eq!(children(&store, &StorePath::root()).await, stays);
}

async fn a_missing_directory_is_an_empty_list(backend: &dyn Backend) {
    let store = backend.store();
    for dir in [StorePath::root(), store_path("a"), store_path("a/b/c")] {
        assert_eq!(children(&store, &dir).await, Vec::<String>::new());
        assert_eq!(walked(&store, &dir).await, Vec::<String>::new());
    }
    backend.tamper(&store_path("p"), Object::Payload, Some(b"x")).await;
    let below_an_object = store_path("p/payload.jsonl/below");
    assert_eq!(children(&store, &below_an_object).await, Vec::<String>::new());
    assert_eq!(walked(&store, &below_an_object).await, Vec::<String>::new());
}

async fn children_and_walks_agree(backend: &dyn Backend) {
    fill(backend).await;
    let store = backend.store();
    let mut ahead = vec![StorePath::root()];
    let mut seen = 0;
    while let Some(dir) = ahead.pop() {
        let mut names: Vec<String> = Vec::new();
        for path in walked(&store, &dir).await {
            let rest = store_path(&path).below(&dir).unwrap().to_owned();
            names.extend(rest.split_once('/').map(|(name, _)| name.to_owned()));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(children(&store, &dir).await, names, "{dir}");
        seen += names.len();
        ahead.extend(names.iter().map(|name| dir.join(name)));
    }
    assert_eq!(seen, 15, "every directory was visited");
}
