//! `manifest`: payloads for consumers, and their locations.

use std::{collections::BTreeMap, env, fs, process::Command};

use serde_json::{Value, json};

use crate::{
    landing::{Landing, PARTITION, RUN, answer, lines, run_path},
    parity::bucket,
};

/// A newer run than [`RUN`].
const NEWER: &str = "2024-06-03T00:00:00.000Z";

fn uris(manifest: &[Value]) -> Vec<String> {
    manifest.iter().map(|payload| payload["uri"].as_str().unwrap().to_owned()).collect()
}

fn other(customer: &str) -> String {
    PARTITION.replace("123", customer)
}

#[test]
fn the_manifest_lists_exactly_the_authoritative_payloads() {
    let landing = Landing::new();
    landing.land(RUN, "{\"n\":1}\n{\"n\":2}\n");
    landing.feed(["write", &other("4"), "--run-id", RUN], "{}\n").exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    landing.land(NEWER, "{\"n\":3}\n");
    landing.rawsink(["validate", &run_path(NEWER), "--strict"]).exits(1);
    landing.feed(["write", &other("5"), "--run-id", RUN], "{}\n").exits(0);
    let manifest = landing.rawsink(["manifest"]).exits(0).json();
    let root = landing.dir().canonicalize().unwrap();
    let payload = root.join("data/raw").join(run_path(RUN)).join("payload.jsonl");
    let shown = landing.rawsink(["show", &run_path(RUN), "--json"]).exits(0).json();
    let expected = json!({
        "source": "google_ads", "customer_id": "123", "query_name": "campaign",
        "logical_date": "2024-06-01", "run_id": RUN, "uri": format!("file://{}", payload.display()),
        "bytes": 16, "rows": 2, "sha256": shown[0]["seal"]["payload_sha256"],
    });
    assert_eq!(manifest[0], expected);
    assert_eq!(manifest.len(), 2, "{manifest:?}");
    let uris_only = landing.rawsink(["manifest", "--format", "uri"]).exits(0);
    assert_eq!(uris_only.stdout.lines().collect::<Vec<_>>(), uris(&manifest));
    let one = landing.rawsink(["manifest", "google_ads/customer_id=4"]).exits(0).json();
    assert_eq!(one, manifest[1..]);
    for none in [&["--since", "2024-06-02"][..], &["--query", "other"], &["bing"]] {
        let args = [&["manifest"], none].concat();
        assert_eq!(landing.rawsink(args).exits(0).stdout, "");
    }
}

#[test]
fn an_unreadable_run_is_named_and_hides_no_other() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    landing.feed(["write", &other("4"), "--run-id", RUN], "{}\n").exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    fs::remove_file(landing.metadata(RUN)).unwrap();
    let answer = landing.rawsink(["manifest"]).exits(5);
    assert_eq!(answer.json().len(), 1);
    answer.says(&[
        &format!("error[Corrupt]: {}: ", run_path(RUN)),
        "error[Corrupt]: not all payloads could be listed: 1 error, see above",
        "the run that has authority in the state cannot be read",
    ]);
    // No object is read: the state alone determines the list.
    let answer = landing.rawsink(["manifest", "--format", "uri"]).exits(0);
    assert_eq!(answer.stdout.lines().count(), 2);
}

/// Asserts that DuckDB counts the validated rows in the payloads of the manifest.
fn counted_by_duckdb(landing: &Landing) {
    let mut expected = BTreeMap::new();
    for (customer, rows) in [("1", 3), ("2", 0), ("3", 20_000), ("caf\u{e9} 100%+1", 7)] {
        let text = lines(rows, |row| format!("{{\"row\":{row},\"name\":\"caf\u{e9}\"}}"));
        let args = ["write", &other(customer), "--run-id", RUN, "--allow-empty"];
        landing.feed(args, text).exits(0);
        expected.insert(customer.to_owned(), rows);
    }
    landing.rawsink(["validate", "--all"]).exits(0);
    // A newer run without a verdict is not listed.
    landing.feed(["write", &other("1"), "--run-id", NEWER], "{}\n").exits(0);
    let manifest = landing.rawsink(["manifest"]).exits(0);
    landing.file("manifest.jsonl", &manifest.stdout);
    let manifest = manifest.json();
    let name = "RAWSINK_TEST_DUCKDB";
    let python = env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make parity`"));
    let mut count: Command = landing.command_of(python);
    count.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/duckdb/count.py"));
    count.arg("manifest.jsonl");
    let counted = answer(count, b"").exits(0).json();
    let states = landing.rawsink(["state", "list", "--json"]).exits(0).json();
    assert_eq!((manifest.len(), states.len()), (4, 4));
    for (payload, state) in manifest.iter().zip(&states) {
        let rows = &counted[0][payload["uri"].as_str().unwrap()];
        assert_eq!(rows, &state["record_count"], "{payload}");
        assert_eq!(rows, &payload["rows"], "{payload}");
        assert_eq!(*rows, expected[payload["customer_id"].as_str().unwrap()], "{payload}");
    }
}

#[test]
#[ignore = "parity: needs DuckDB"]
fn duckdb_counts_the_validated_rows_on_disk() {
    counted_by_duckdb(&Landing::new());
}

#[test]
#[ignore = "parity: needs DuckDB and an object storage server"]
fn duckdb_counts_the_validated_rows_in_a_bucket() {
    counted_by_duckdb(&bucket());
}
