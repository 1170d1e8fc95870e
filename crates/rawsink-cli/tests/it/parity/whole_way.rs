//! The commands as on a directory; the bucket's content, checked without them.

use std::fs;

use serde_json::Value;

use super::{Client, assert_sealed, bucket, payload_of, rows, seal_of};
use crate::landing::{Landing, PARTITION, RUN, run_path};

#[test]
#[ignore = "parity: needs an object storage server"]
fn every_command_works_as_in_a_directory() {
    let (object, directory) = (bucket(), Landing::new());
    for landing in [&object, &directory] {
        let write = ["write", PARTITION, "--run-id", RUN, "--extracted-at", "2024-06-02T00:00:00Z"];
        landing.feed(write, "{\"n\":1}\n{\"n\":2}\n").exits(0);
        landing.feed(write, "{\"n\":3}\n").exits(3).one_error("AlreadySealed");
        assert_eq!(
            landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout,
            "{\"n\":1}\n{\"n\":2}\n"
        );
        landing.rawsink(["verify", PARTITION, "--latest"]).exits(0);
        landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
        landing.rawsink(["read", PARTITION, "--current"]).exits(0);
        landing.rawsink(["read", &run_path("nobody")]).exits(3);
    }
    for args in [
        &["list"][..],
        &["list", "google_ads"],
        &["list", PARTITION],
        &["list", "--runs"],
        &["state", "list"],
    ] {
        assert_eq!(
            object.rawsink(args).exits(0).stdout,
            directory.rawsink(args).exits(0).stdout,
            "{args:?}"
        );
    }
    let shown = |landing: &Landing| {
        landing.rawsink(["show", PARTITION, "--latest", "--json"]).json()[0].clone()
    };
    let (object, directory) = (shown(&object), shown(&directory));
    assert_eq!(object["metadata"], directory["metadata"]);
    for sum in ["payload_bytes", "payload_sha256", "record_count"] {
        assert_eq!(object["seal"][sum], directory["seal"][sum], "{sum}");
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g03_finalize_creates_both_objects_and_they_are_never_rewritten() {
    for (mib, text) in [(0, "{\"n\":1}\n".to_owned()), (12, rows("large", 12))] {
        let landing = bucket();
        landing.file("rows.jsonl", &text);
        let write = ["write", PARTITION, "rows.jsonl", "--run-id", RUN];
        landing.rawsink(write).exits(0);
        let client = Client::of(&landing);
        assert_eq!(client.keys(), [seal_of(RUN), payload_of(RUN)]);
        assert!(client.get(&payload_of(RUN)) == text, "the payload of {mib} MiB is another");
        let stored: Value = serde_json::from_str(&client.get(&seal_of(RUN))).unwrap();
        assert_eq!(stored["_seal"]["payload_bytes"], text.len());
        let shown = landing.rawsink(["show", PARTITION, "--latest", "--json"]).exits(0).json();
        assert_eq!(shown[0]["seal"], stored["_seal"]);
        assert_eq!(shown[0]["metadata"]["run_id"], stored["run_id"]);
        assert_sealed(&landing, RUN, &text);

        let seen = || [payload_of(RUN), seal_of(RUN)].map(|key| identity(&client, &key));
        let before = seen();
        landing.rawsink(write).exits(3).one_error("AlreadySealed");
        landing.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(3);
        assert_eq!(seen(), before, "an object of {mib} MiB was touched");
    }
}

/// Returns the headers that change when an object is rewritten, even with the same bytes.
fn identity(client: &Client, key: &str) -> [Option<String>; 3] {
    let headers = client.head(key).unwrap();
    ["etag", "last-modified", "x-amz-meta-rawsink-writer"].map(|name| headers.get(name).cloned())
}

/// The payload carries the writer's token; without it a writer cannot identify its own.
#[test]
#[ignore = "parity: needs an object storage server"]
fn user_metadata_is_kept_on_a_single_put_and_on_a_multipart_upload() {
    for (mib, text) in [(0, "{}\n".to_owned()), (12, rows("large", 12))] {
        let landing = bucket();
        landing.file("rows.jsonl", &text);
        landing.rawsink(["write", PARTITION, "rows.jsonl", "--run-id", RUN]).exits(0);
        let client = Client::of(&landing);
        let stored: Value = serde_json::from_str(&client.get(&seal_of(RUN))).unwrap();
        let token = stored["_seal"]["writer"].as_str().unwrap();
        assert_eq!(token.len(), 32, "{stored}");
        let headers = client.head(&payload_of(RUN)).unwrap();
        assert_eq!(headers["x-amz-meta-rawsink-writer"], token, "{mib} MiB: {headers:?}");
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_payload_of_a_hundred_parts_is_complete() {
    let landing = bucket();
    let text = rows("large", 505);
    assert!(text.len() > 99 * (5 << 20), "{} bytes are fewer parts", text.len());
    landing.file("rows.jsonl", text);
    landing.rawsink(["write", PARTITION, "rows.jsonl", "--run-id", RUN]).exits(0);
    landing.rawsink(["verify", PARTITION, "--latest"]).exits(0);
    landing.shell(&format!("rawsink read {PARTITION} --latest | cmp - rows.jsonl")).exits(0);
    assert_eq!(Client::of(&landing).open_uploads(&payload_of(RUN)), 0);
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g09_an_empty_payload_replaces_a_leftover() {
    let (landing, left) = (bucket(), "{\"left\":1}\n");
    let client = Client::of(&landing);
    assert_eq!(client.put(&payload_of(RUN), left), "200");
    let listed = landing.rawsink(["list", PARTITION]).exits(0).stdout;
    assert_eq!(listed, format!("{}\tunsealed\t{} bytes\n", run_path(RUN), left.len()));
    landing.feed(["write", PARTITION, "--run-id", RUN, "--allow-empty"], "").exits(0);
    assert_sealed(&landing, RUN, "");
    assert_eq!(client.get(&payload_of(RUN)), "");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn unusual_names_round_trip_unchanged() {
    let landing = bucket();
    let partition = "api:x/customer_id=a b+c%2F/query_name=d=e#f/logical_date=2024-06-01";
    landing.feed(["write", partition, "--run-id", "ré:1"], "{}\n").exits(0);
    assert_eq!(landing.rawsink(["read", partition, "--latest"]).exits(0).stdout, "{}\n");
    let listed = landing.rawsink(["list", partition]).exits(0).stdout;
    assert_eq!(listed, format!("{partition}/run_id=ré:1\tsealed\t3 bytes\n"));
    assert_eq!(landing.rawsink(["list"]).exits(0).stdout, "api:x\n");
    let keys =
        ["metadata.json", "payload.jsonl"].map(|name| format!("{partition}/run_id=ré:1/{name}"));
    assert_eq!(Client::of(&landing).keys(), keys);
}

/// Writes a few partitions of several runs, small, large and empty ones.
fn fill(landing: &Landing) {
    let second = PARTITION.replace("123", "9 é");
    for (partition, run, text) in [
        (PARTITION, "2024-06-02T00:00:00.000Z", "{\"n\":1.10}\r\n{\"é\":\"\\u00e9\"}".to_owned()),
        (PARTITION, "2024-06-03T00:00:00.000Z", rows("large", 6)),
        (&second, "run+1", "{}\n".to_owned()),
        (&second, "run 2", String::new()),
    ] {
        let write = ["write", partition, "--run-id", run, "--allow-empty", "--set", "team=data"];
        let at = ["--extracted-at", "2024-06-02T00:00:00Z"];
        landing.feed([&write[..], &at].concat(), text).exits(0);
    }
}

/// Sets the tokens of all seals below a directory to the same value.
fn forget_tokens(seals: &[String], dir: &std::path::Path) {
    for seal in seals {
        let text = fs::read_to_string(dir.join(seal)).unwrap();
        let token = super::client::between(&text, "\"writer\":\"", "\"")[0];
        assert_eq!(token.len(), 32, "{text}");
        fs::write(dir.join(seal), text.replace(token, "token")).unwrap();
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g15_a_mirrored_bucket_equals_a_directory_except_for_tokens() {
    let (object, directory) = (bucket(), Landing::new());
    for landing in [&object, &directory] {
        fill(landing);
    }
    let client = Client::of(&object);
    let mirror = directory.dir().join("mirror");
    client.mirror(&mirror);
    let keys = client.keys();
    let seals: Vec<String> =
        keys.into_iter().filter(|key| key.ends_with("/metadata.json")).collect();
    assert_eq!(seals.len(), 4);
    let differing = directory.shell("diff -rq data/raw mirror").exits(1).stdout;
    assert_eq!(differing.lines().count(), 4, "{differing}");
    assert!(differing.lines().all(|line| line.contains("/metadata.json and ")), "{differing}");
    for dir in [directory.dir().join("data/raw"), mirror] {
        forget_tokens(&seals, &dir);
    }
    assert_eq!(directory.shell("diff -r data/raw mirror").exits(0).stdout, "");
}
