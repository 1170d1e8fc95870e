//! `manifest`: payloads for consumers, and their locations.

use std::{collections::BTreeMap, env, process::Command};

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
fn g19_a_run_that_is_not_the_validated_one_is_named_and_hides_no_other() {
    let landing = Landing::new();
    landing.land(RUN, "{\"n\":1}\n");
    landing.feed(["write", &other("4"), "--run-id", RUN], "{}\n").exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    let next_step = format!("run \"rawsink coverage {PARTITION} --plan\" to see the next step");
    let run = run_path(RUN);
    for (damage, says) in [
        (
            "rm {payload}; printf '{}\\n' > {payload}",
            "the payload has 3 bytes, the validated one had 8",
        ),
        ("rm {payload}", "its payload is missing"),
        ("rm {metadata}; echo {} > {metadata}", "metadata.json is not the one that was validated"),
        ("rm {metadata}", "the run that has authority in the state cannot be read"),
    ] {
        let damage = damage
            .replace("{payload}", &format!("'{}'", landing.payload(RUN).display()))
            .replace("{metadata}", &format!("'{}'", landing.metadata(RUN).display()));
        landing.shell(&damage).exits(0);
        for format in ["json", "uri"] {
            let answer = landing.rawsink(["manifest", "--format", format]).exits(5);
            assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
            answer.says(&[
                &format!("error[Corrupt]: {run}: "),
                says,
                &next_step,
                "1 payload listed, 1 refused",
                "error[Corrupt]: not all payloads could be listed: 1 error, see above",
            ]);
        }
    }
}

#[test]
fn empty_payloads_are_counted_and_left_out_on_request() {
    let landing = Landing::new();
    landing.land(RUN, "{\"n\":1}\n");
    landing.feed(["write", &other("4"), "--run-id", RUN, "--allow-empty"], "").exits(0);
    landing.rawsink(["validate", "--all"]).exits(0);
    let all = landing.rawsink(["manifest"]).exits(0).says(&["2 payloads listed, 1 of them empty"]);
    assert_eq!(all.json()[1]["bytes"], 0);
    let some = landing.rawsink(["manifest", "--skip-empty"]).exits(0);
    assert_eq!(some.json(), all.json()[..1]);
    some.says(&["1 payload listed, 1 empty left out"]);
}

#[test]
fn uris_are_written_for_a_reader_or_refused() {
    let landing = Landing::new();
    for customer in ["a*b", "plain"] {
        landing.feed(["write", &other(customer), "--run-id", RUN], "{}\n").exits(0);
    }
    landing.rawsink(["validate", "--all"]).exits(0);
    let root = landing.dir().canonicalize().unwrap().join("data/raw");
    let path = |customer: &str| {
        let run = run_path(RUN).replace("123", customer);
        root.join(run).join("payload.jsonl").display().to_string()
    };
    let plain = landing.rawsink(["manifest"]).exits(0);
    assert_eq!(uris(&plain.json())[0], format!("file://{}", path("a*b")));
    plain.says(&["warning: 1 URI with characters that readers treat as a pattern or decode"]);
    for format in ["json", "uri"] {
        let args = ["manifest", "--for", "polars", "--format", format];
        let polars = landing.rawsink(args).exits(0);
        assert!(polars.stdout.contains(&path("a[*]b")), "{polars:?}");
        assert!(polars.stdout.contains(&path("plain")), "{polars:?}");
        assert!(!polars.stderr.contains("warning"), "{polars:?}");
    }
    let spark = landing.rawsink(["manifest", "--for", "spark", "--format", "uri"]).exits(2);
    assert_eq!(spark.stdout, format!("file://{}\n", path("plain")));
    let refused = run_path(RUN).replace("123", "a*b");
    spark.says(&[
        &format!("error[Invalid]: {refused}: Spark cannot open"),
        &format!("hint: run \"rawsink read '{}' --current\"", other("a*b")),
        "1 payload listed, 1 refused",
    ]);
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
