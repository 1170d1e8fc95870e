//! Tests of the configuration of a bucket.

use super::*;

fn key() -> AccessKey {
    AccessKey::new(Secret::value("id"), Secret::value("secret"))
}

fn builder() -> S3ConfigBuilder {
    S3Config::builder("https://fsn1.your-objectstorage.com", "landing", "/raw/", key())
}

#[test]
fn values_that_are_not_set_depend_on_the_provider() {
    let config = builder().build().unwrap();
    assert_eq!((config.provider.name, config.region.as_str()), ("Hetzner", "fsn1"));
    assert_eq!((config.prefix(), config.addressing()), ("raw", Addressing::Path));
    assert_eq!(config.uri(), "s3://landing/raw");
    let set = builder().region("other".to_owned()).addressing(Addressing::Virtual);
    let set = set.complete_conditions(CompleteConditions::Enforced).build().unwrap();
    assert_eq!((set.region.as_str(), set.addressing), ("other", Addressing::Virtual));
}

#[test]
fn all_illegal_values_are_reported_with_their_fields() {
    let timing = Timing { leftover_grace: Duration::from_secs(89), ..Timing::default() };
    let stall_timeout = Duration::ZERO;
    let retry =
        RetryConfig { deadline: Duration::from_hours(25), stall_timeout, ..RetryConfig::default() };
    let error = S3Config::builder("ftp://host", "no", "a//b", key())
        .retry(retry)
        .region(String::new())
        .ca_file(PathBuf::from("/nowhere"))
        .part_bytes(1)
        .uploads_in_flight(65)
        .timing(timing)
        .build()
        .unwrap_err();
    for field in [
        "endpoint_url does not start with https://",
        "bucket is \"no\"",
        "prefix is \"a//b\"",
        "region is \"\"",
        "ca_file names a file",
        "part_bytes is 1",
        "uploads_in_flight is 65",
        "leftover_grace is 89 s, must be at least 90 s",
        "retry_deadline is 90000s",
        "stall_timeout is 0ns",
    ] {
        assert!(error.message().contains(field), "no {field:?} in {error}");
    }
}

#[test]
fn an_endpoint_that_could_overwrite_or_leak_is_refused() {
    for (endpoint, text) in [
        ("https://s3.us-west-004.backblazeb2.com", "is refused: Backblaze B2 has no"),
        ("https://me:canary@host", "contains credentials"),
        ("https://host/bucket", "has a path"),
        ("https://me:1/canary@host/..", "has a path"),
        ("https://host/canary/%2e%2e/", "has a path"),
        ("https://host\\canary\\..", "has a path"),
        ("https:host//canary", "has a path"),
        ("https://host?a=/canary", "has a query"),
        ("https://host'/", "starts or ends with a quotation mark"),
    ] {
        let error = S3Config::builder(endpoint, "landing", "raw", key()).build().unwrap_err();
        assert!(error.message().starts_with(&format!("endpoint_url {text}")), "{error}");
        assert!(!error.message().contains("canary"), "{error}");
    }
    let http = |endpoint: &str| S3Config::builder(endpoint, "landing", "raw", key());
    let refused = http("http://minio.example.org").build().unwrap_err();
    assert!(refused.message().starts_with("allow_http is off"), "{refused}");
    assert!(http("http://127.0.0.1:9000").build().is_ok());
    assert!(http("http://127.0.0.1:9000/").build().is_ok());
    assert!(http("http://minio.example.org").allow_http(true).build().is_ok());
}

#[test]
fn addressing_follows_the_bucket_unless_it_was_set() {
    let aws = S3Config::builder("https://s3.amazonaws.com", "landing", "raw", key());
    let preset = aws.clone().build().unwrap().to_builder().bucket("a.b").build().unwrap();
    assert_eq!(preset.addressing, Addressing::Path);
    let set = aws.addressing(Addressing::Path).build().unwrap();
    let moved = set.to_builder().bucket("other").build().unwrap();
    assert_eq!(moved.addressing, Addressing::Path);
}
