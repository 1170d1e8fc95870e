use super::*;

fn run() -> (PartitionKey, RunId) {
    let key = PartitionKey::new("ads", "123", "campaign", "2024-06-01").unwrap();
    (key, "2024-06-02T00:00:00.000Z".parse().unwrap())
}

fn seal() -> Seal {
    Seal {
        format: SEAL_FORMAT,
        writer: "w".into(),
        payload_bytes: 8,
        payload_sha256: "0".repeat(64),
        record_count: 1,
        software: "rawsink".into(),
    }
}

#[test]
fn order_and_numbers_are_kept_exactly() {
    let given =
        br#"{"z":1.10,"big":123456789012345678901234567890,"a":{"y":1e400,"b":"caf\u00e9"}}"#;
    let stored = sealed_document(&Metadata::parse(given).unwrap(), &seal());
    let (metadata, found) = parse_sealed(&stored).unwrap();
    assert_eq!(serde_json::to_vec(&metadata).unwrap(), given);
    assert_eq!(found, Some(seal()));
    assert_eq!(metadata.names().collect::<Vec<_>>(), ["z", "big", "a"]);
}

#[test]
fn a_callers_document_is_one_object_with_distinct_names_and_no_seal() {
    for (bad, text) in [
        ("[]", "not a JSON object"),
        ("", "not a JSON object"),
        ("{\"a\":1} x", "not a JSON object"),
        ("{\"a\":1,\"a\":2}", "twice"),
        ("{\"_seal\":{}}", "_seal"),
    ] {
        let error = Metadata::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(text), "{error}");
    }
    let (key, run) = run();
    assert!(Metadata::for_run(&key, &run).field("_seal", &1).build().is_err());
}

#[test]
fn an_unreadable_stored_document_is_corrupt_and_a_newer_one_unsupported() {
    for (bad, kind) in [
        ("[]", ErrorKind::Corrupt),
        ("{\"a\":", ErrorKind::Corrupt),
        ("{\"_seal\":7}", ErrorKind::Corrupt),
        ("{\"_seal\":{\"format\":1}}", ErrorKind::Corrupt),
        ("{\"_seal\":{\"format\":2}}", ErrorKind::Unsupported),
        ("{\"_seal\":{\"format\":2},\"_seal\":{\"format\":2}}", ErrorKind::Corrupt),
    ] {
        assert_eq!(parse_sealed(bad.as_bytes()).unwrap_err().kind(), kind, "{bad}");
    }
}

#[test]
fn a_seal_block_that_this_software_cannot_have_written_is_corrupt() {
    let wrong = |change: fn(&mut Seal)| {
        let mut seal = seal();
        change(&mut seal);
        let error = parse_sealed(&sealed_document(&Metadata::default(), &seal)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        error.message().to_owned()
    };
    let start = "cannot read the seal block: ";
    for (message, fault) in [
        (
            wrong(|seal| seal.software = "x\u{1b}[2J".into()),
            "software contains a control character",
        ),
        (wrong(|seal| seal.software = "x\n".into()), "software contains a control character"),
        (wrong(|seal| seal.writer = "\u{9b}".into()), "writer contains a control character"),
        (wrong(|seal| seal.software = "x".repeat(256)), "software has 256 bytes, the limit is 255"),
        (wrong(|seal| seal.payload_sha256 = "00".into()), "payload_sha256 is not a SHA-256"),
        (wrong(|seal| seal.payload_sha256 = "A".repeat(64)), "payload_sha256 is not a SHA-256"),
    ] {
        assert_eq!(message, format!("{start}{fault}"));
    }
}

#[test]
fn an_endless_member_is_not_in_the_message() {
    let long = "x".repeat(1 << 20);
    for document in [format!("\"{long}\""), format!("{{\"_seal\":{{\"format\":\"{long}\"}}}}")] {
        let error = parse_sealed(document.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().len() < 200, "{} bytes", error.message().len());
        assert!(error.message().contains(" at line 1 col"), "{error}");
    }
}

#[test]
fn other_softwares_documents_need_no_seal_and_the_last_of_a_repeated_name_has_effect() {
    let (metadata, seal) = parse_sealed(b" {\"record_count\": 3, \"record_count\": 4}\n").unwrap();
    assert_eq!(seal, None);
    assert_eq!(metadata.integer("record_count"), Some(4));
}

#[test]
fn gaps_name_each_missing_or_mistyped_field() {
    let (key, run) = run();
    let complete = Metadata::for_run(&key, &run)
        .extracted_at("2024-06-02T04:05:06Z".parse().unwrap())
        .schema_version("v1")
        .record_count(3)
        .api_version("v21")
        .field("query_signature", "abc")
        .build()
        .unwrap();
    assert_eq!(complete.gaps(), Vec::<String>::new());

    let partial = Metadata::parse(
        br#"{"source":"a","customer_id":1,"extracted_at":"noon","record_count":1.5}"#,
    )
    .unwrap();
    assert_eq!(
        partial.gaps(),
        [
            "customer_id is 1, not a string",
            "query_name is missing",
            "logical_date is missing",
            "run_id is missing",
            "schema_version is missing",
            "api_version is missing",
            "extracted_at is \"noon\", not a time stamp with offset",
            "record_count is 1.5, not an integer",
            "query_hash or query_signature is missing",
        ]
    );
}

#[test]
fn contradictions_are_all_found() {
    let (key, run) = run();
    let wrong = Metadata::parse(
        br#"{"source":"x","customer_id":123,"query_name":"q","logical_date":"2024-6-1","run_id":null,"record_count":3}"#,
    )
    .unwrap();
    // A member that is null counts as missing.
    assert_eq!(wrong.contradictions(&key, &run, 4).len(), 5);
    assert_eq!(Metadata::default().contradictions(&key, &run, 4), Vec::<String>::new());
    let right = Metadata::for_run(&key, &run).record_count(4).build().unwrap();
    assert_eq!(right.contradictions(&key, &run, 4), Vec::<String>::new());
}
