//! Wrong keys and buckets; secrets from files.

use std::fs;

use super::{bucket, var};
use crate::landing::{PARTITION, RUN};

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_wrong_key_and_a_missing_bucket_are_named_and_no_secret_is_shown() {
    let wrong = bucket().with("RAW_SINK_SECRET_ACCESS_KEY", "canary-secret");
    let answer = wrong.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(4);
    assert!(answer.one_error("Denied").contains("[request "), "{answer:?}");
    assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    let missing = bucket().with("RAW_SINK_BUCKET", "no-such-bucket");
    let run = format!("{PARTITION}/run_id={RUN}");
    for answer in [
        missing.feed(["write", &run], "{}\n"),
        // The reply to a HEAD does not name the missing bucket.
        missing.rawsink(["show", &run]),
        missing.rawsink(["validate", &run]),
    ] {
        let answer = answer.exits(2);
        let message = answer.one_error("Invalid");
        assert!(message.contains("NoSuchBucket"), "{message}");
        assert!(
            message.contains(&format!("no-such-bucket at {}", var("RAW_SINK_ENDPOINT_URL"))),
            "{message}"
        );
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g17_secrets_are_read_from_files_and_never_printed() {
    let landing = bucket();
    let secret =
        fs::canonicalize(landing.file("secret", var("RAW_SINK_SECRET_ACCESS_KEY") + "\n")).unwrap();
    let landing = landing
        .with("RAW_SINK_SECRET_ACCESS_KEY", "")
        .with("RAW_SINK_SECRET_ACCESS_KEY_FILE", secret.to_str().unwrap());
    landing.land(RUN, "{}\n");
    for args in [
        &["config"][..],
        &["config", "--json"],
        &["list", "--runs"],
        &["show", PARTITION, "--latest"],
    ] {
        let answer = landing.rawsink(args).exits(0);
        assert!(!format!("{answer:?}").contains(&var("RAW_SINK_SECRET_ACCESS_KEY")), "{answer:?}");
    }
}
