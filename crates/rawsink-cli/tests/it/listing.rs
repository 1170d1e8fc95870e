//! Finding and comparing runs: short paths, misspelt ones, long listings, differences.

use serde_json::json;

use crate::landing::{Landing, PARTITION, RUN, lines, run_path};

const SHORT: &str = "google_ads/123/campaign/2024-06-01";
const LATER: &str = "2024-06-03T00:00:00.000Z";

#[test]
fn a_path_without_labels_names_the_same_partition_in_every_command() {
    let landing = Landing::new();
    let short_run = &format!("{SHORT}/{RUN}");
    landing.feed(["write", short_run, "--then-validate"], "{\"a\":1}\n").exits(0);
    assert!(landing.payload(RUN).exists(), "{:?}", landing.files());
    assert_eq!(landing.rawsink(["read", SHORT, "--current"]).exits(0).stdout, "{\"a\":1}\n");
    let below = landing.rawsink(["list", "google_ads/123"]).exits(0).stdout;
    assert_eq!(below, "google_ads/customer_id=123/query_name=campaign\n");
    landing.rawsink(["state", "show", SHORT]).exits(0);
    landing.rawsink(["verify", short_run]).exits(0);
    landing.rawsink(["scrub", "google_ads/123/campaign"]).exits(0);
    let absolute = landing.dir().join("data/raw").join(short_run);
    landing.rawsink(["show", absolute.to_str().unwrap()]).exits(0);
    // A misspelt label would be another customer.
    let misspelt = "google_ads/customer=123/campaign/2024-06-01";
    let refused = landing.feed(["write", misspelt], "{}\n").exits(2);
    let line = refused.one_error("Invalid");
    assert!(
        line.contains("expected \"customer_id=\"") && line.contains("nothing was sealed"),
        "{line}"
    );
}

#[test]
fn a_misspelt_path_is_met_with_the_most_similar_one() {
    let landing = Landing::new();
    landing.land(RUN, "{}\n");
    let query = "did you mean google_ads/customer_id=123/query_name=campaign?";
    for (path, hint) in
        [("gogle_ads", "did you mean google_ads?"), ("google_ads/123/campagin/2024-06-01", query)]
    {
        landing.rawsink(["list", path]).exits(0).says(&["no runs exist", hint]);
    }
    let misspelt = "google_ads/123/campagin/2024-06-01";
    for choice in ["--latest", "--current"] {
        let read = landing.rawsink(["read", misspelt, choice, "--json"]).exits(3);
        assert!(read.stderr.contains(&format!("\"hint\":\"{query}\"")), "{read:#?}");
    }
    // Other customers and days are no mistake.
    for path in ["facebook", "google_ads/124", "google_ads/123/campaign/2024-06-02"] {
        let other = landing.rawsink(["list", path]).exits(0);
        assert!(!other.stderr.contains("did you mean"), "{other:#?}");
    }
    // The partition exists, and the run does not: all run ids are alike.
    let missing = landing.rawsink(["read", &run_path(LATER)]).exits(3);
    assert!(missing.stderr.contains("to see its runs"), "{missing:#?}");
}

#[test]
fn a_long_listing_has_size_rows_age_and_authority() {
    let landing = Landing::new();
    landing.land(RUN, lines(3, |n| format!("{{\"n\":{n}}}")));
    landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
    landing.land(LATER, "{}\n");
    let open = landing.run_dir("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("payload.jsonl"), "{}\n{}\n").unwrap();
    let text = landing.rawsink(["list", "-l"]).exits(0).stdout;
    let fields: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let shown: Vec<_> = fields.iter().map(|row| (row[0], row[1], row[2], row[3], row[5])).collect();
    let paths = [RUN, LATER, "open"].map(run_path);
    assert_eq!(
        shown,
        [
            (&*paths[0], "sealed", "24", "3", "current"),
            (&*paths[1], "sealed", "3", "1", "-"),
            (&*paths[2], "unsealed", "6", "-", "-"),
        ]
    );
    assert!(fields.iter().all(|row| row[4].parse::<jiff::Timestamp>().is_ok()), "{text}");
    let rows = landing.rawsink(["list", SHORT, "-l", "--json"]).exits(0).json();
    let members = ["run_id", "sealed", "payload_bytes", "rows", "current"];
    let first: Vec<_> = members.iter().map(|name| rows[0][name].clone()).collect();
    assert_eq!(first, [json!(RUN), json!(true), json!(24), json!(3), json!(true)]);
    // Who looks for the reason of a missing authority finds it.
    landing.rawsink(["state", "withdraw", &paths[0], "--reason", "wrong currency"]).exits(0);
    let withdrawn = landing.rawsink(["list", "-l"]).exits(0).stdout;
    assert!(withdrawn.lines().next().unwrap().ends_with("\twithdrawn"), "{withdrawn}");
    let refused = landing.rawsink(["read", PARTITION, "--current"]).exits(3);
    let why = format!("the status is pending, and run {RUN} was withdrawn: wrong currency");
    refused.says(&[&why]);
    // A damaged run does not hide the others.
    crate::landing::replace(landing.metadata(RUN), "no JSON");
    let damaged = landing.rawsink(["list", "-l"]).exits(5);
    assert_eq!(damaged.stdout.lines().count(), 2, "{damaged:#?}");
}

#[test]
fn a_difference_counts_and_prints_the_rows_of_one_run_alone() {
    let landing = Landing::new();
    landing.land(RUN, "{\"a\":1}\n{\"a\":2}\n{\"a\":2}\n{\"b\":1}\n");
    landing.land(LATER, "{\"b\":1}\n{\"a\":2}\n{\"c\":1}\n{\"c\":1}\n{\"a\":1}\n");
    let [from, to] = [RUN, LATER].map(run_path);
    let counts = format!("from {from}: 4 rows\nto {to}: 5 rows\n2 rows added, 1 row removed\n");
    assert_eq!(landing.rawsink(["diff", &from, &to]).exits(1).stdout, counts);
    let changed = landing.rawsink(["diff", &from, &to, "--rows"]).exits(1);
    assert_eq!(changed.stdout, "-{\"a\":2}\n+{\"c\":1}\n+{\"c\":1}\n");
    assert_eq!(changed.stderr, counts);
    let object = &landing.rawsink(["diff", &from, SHORT, "--latest", "--json"]).exits(1).json()[0];
    assert_eq!((&object["added"], &object["removed"]), (&json!(2), &json!(1)));
    landing.rawsink(["diff", &from, &from]).exits(0);
    let unnamed = landing.rawsink(["diff", SHORT, SHORT, "--latest"]).exits(2);
    assert!(unnamed.one_error("Invalid").contains("FROM must name a run"), "{unnamed:#?}");
    let reordered = "2024-06-04T00:00:00.000Z";
    landing.land(reordered, "{\"b\":1}\n{\"a\":2}\n{\"a\":2}\n{\"a\":1}\n");
    let same = landing.rawsink(["diff", &from, &run_path(reordered)]).exits(0).stdout;
    assert!(
        same.ends_with("0 rows added, 0 rows removed; the same rows in another order\n"),
        "{same}"
    );
    // Bytes that were not sealed are not compared.
    crate::landing::replace(landing.payload(LATER), "{\"b\":1}\n");
    landing.rawsink(["diff", &from, &to]).exits(5);
    landing.rawsink(["diff", PARTITION, &to]).exits(2).says(&["FROM must name a run"]);
}
