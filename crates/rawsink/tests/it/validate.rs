//! Verdicts and their effect on the state.

use rawsink::{
    Error, ErrorKind, Metadata, RawSink,
    runtime::Runtime,
    sink::SinkOptions,
    state::{MemoryState, PartitionState, Record, Status},
    store::{FaultyStore, InjectedFault, Object, Operation, Side, When},
    validate::{self, Examination, Gaps, HazardPolicy, Missing, Rules, Validation},
};

use rawsink_testkit::{
    backend::{Backend, Memory, on_every_store},
    sample::{key, path, rows, run, seal},
};

on_every_store!(
    g12_sealing_and_reading_change_no_state,
    a_complete_and_correct_run_passes,
    g11_a_partition_of_another_writer_passes_with_warnings,
    each_fault_of_a_run_is_named_and_recorded,
    a_missing_or_unsealed_run_gets_no_verdict_unless_requested,
    a_newer_seal_is_an_error_and_nothing_is_recorded,
    g13_a_run_validated_late_gains_no_authority,
    rows_of_other_readers_are_judged_by_the_same_rules,
);

/// What another reader passes on leads to the judgement of the library's own reader.
async fn rows_of_other_readers_are_judged_by_the_same_rules(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    let cases: [(&[u8], &str); 4] = [
        (b"{}\n{\"a\":1}\n", r#"{"record_count":2,"schema_version":"v3"}"#),
        (b"{}\n[1]\nno\n", r#"{"record_count":3,"run_id":"other"}"#),
        (b"{\"a\":1e400}\n", "{}"),
        (b"", r#"{"record_count":"none"}"#),
    ];
    for (n, (payload, metadata)) in (1..).zip(cases) {
        put(backend, n, payload, metadata).await;
        for rules in [RECORD, STRICT, Rules { hazards: HazardPolicy::Refuse, ..RECORD }] {
            let ours = validate::judge(&sink, &key(), &run(n), rules).await.unwrap();
            let limit = sink.max_row_bytes();
            let mut examination = Examination::new(&key(), &run(n), rules, limit);
            examination.metadata(&Metadata::parse(metadata.as_bytes()).unwrap());
            let rows = payload.strip_suffix(b"\n").map(|rows| rows.split(|byte| *byte == b'\n'));
            rows.into_iter().flatten().for_each(|row| examination.row(row));
            let theirs = examination.finish();
            assert_eq!(theirs.verdict.outcome, ours.verdict.outcome, "{metadata}");
            assert_eq!((theirs.faults, theirs.warnings), (ours.faults, ours.warnings));
            assert_eq!((theirs.hazards, theirs.rows), (ours.hazards, ours.rows));
        }
    }
}

struct Court {
    sink: RawSink,
    state: MemoryState,
}

impl Court {
    fn over(backend: &dyn Backend) -> Self {
        Self::with(RawSink::new(backend.store()))
    }

    fn with(sink: RawSink) -> Self {
        Self { sink, state: MemoryState::new() }
    }

    async fn judge(&self, n: u16, rules: Rules) -> Result<Validation, Error> {
        validate::run(&self.sink, &self.state, &key(), &run(n), rules).await
    }

    async fn record(&self) -> Option<Record> {
        self.state.get(&key()).await.unwrap()
    }
}

const STRICT: Rules =
    Rules { gaps: Gaps::Refuse, hazards: HazardPolicy::Warn, missing: Missing::Error };
const RECORD: Rules =
    Rules { gaps: Gaps::Warn, hazards: HazardPolicy::Warn, missing: Missing::Record };

/// Stores `run(n)` as other software would seal it.
async fn put(backend: &dyn Backend, n: u16, payload: &[u8], metadata: &str) {
    let place = path(&key(), &run(n));
    backend.tamper(&place, Object::Payload, Some(payload)).await;
    backend.tamper(&place, Object::Seal, Some(metadata.as_bytes())).await;
}

async fn g12_sealing_and_reading_change_no_state(backend: &dyn Backend) {
    let court = Court::over(backend);
    seal(&court.sink, &key(), &run(1), &rows("a", 3)).await.unwrap();
    rawsink_testkit::sample::read(&court.sink, &key(), &run(1)).await.unwrap();
    assert_eq!(court.record().await, None);
    let judged = court.judge(1, Rules::default()).await.unwrap().state;
    seal(&court.sink, &key(), &run(2), &rows("b", 3)).await.unwrap();
    assert_eq!(court.record().await, Some(judged));
}

async fn a_complete_and_correct_run_passes(backend: &dyn Backend) {
    let court = Court::over(backend);
    seal(&court.sink, &key(), &run(1), &rows("a", 2000)).await.unwrap();
    let judged = court.judge(1, STRICT).await.unwrap();
    assert!(judged.passed());
    assert_eq!((judged.faults.len(), judged.warnings.len(), judged.rows), (0, 0, 2000));
    let state = judged.state;
    assert_eq!((state.status, &state.current_run_id), (Status::Success, &Some(run(1))));
    assert_eq!((state.record_count, state.schema_version.as_deref()), (Some(2000), Some("v1")));
    assert_eq!((state.error_message.as_deref(), state.attempt_count), (None, 1));
    assert_eq!(court.record().await, Some(state));
}

async fn g11_a_partition_of_another_writer_passes_with_warnings(backend: &dyn Backend) {
    let court = Court::over(backend);
    put(backend, 1, b"{}\n{\"a\":1}\r\n", r#"{"record_count":2,"customer_id":"1234567890"}"#).await;
    let judged = court.judge(1, Rules::default()).await.unwrap();
    assert!(judged.passed());
    assert_eq!(judged.warnings.len(), 8, "{:?}", judged.warnings);
    assert_eq!((judged.state.status, judged.state.schema_version), (Status::Success, None));
    let judged = court.judge(1, STRICT).await.unwrap();
    assert_eq!((judged.faults.len(), judged.warnings.len()), (8, 0));
    assert!(judged.faults.contains(&"schema_version is missing".to_owned()));
    assert_eq!(court.record().await.unwrap().status, Status::Failed);
}

async fn each_fault_of_a_run_is_named_and_recorded(backend: &dyn Backend) {
    let court = Court::over(backend);
    let many: String = (0..30).map(|n| if n % 2 == 0 { "{}\n" } else { "[]\n" }).collect();
    for (n, (payload, metadata, says, faults)) in [
        ("{}\n[1]\n", "{}", "line 2 is not a JSON object", 1),
        ("{}\n\n{}\n", "{}", "line 2 is blank", 1),
        ("{}\n{\"a\":", "{}", "line 2 is not valid JSON", 1),
        ("{}\n", r#"{"customer_id":"1"}"#, "customer_id \"1\"", 1),
        ("{}\n", r#"{"run_id":"r","source":"s"}"#, "run_id \"r\"", 2),
        (
            "{}\n",
            r#"{"record_count":2}"#,
            "the payload has 1 rows, metadata.json has record_count 2",
            1,
        ),
        ("{}\n", r#"{"record_count":"1"}"#, "record_count \"1\"", 1),
        ("{}\n", "[]", "metadata.json is not a JSON object", 1),
        ("{}\n", r#"{"_seal":{"format":1}}"#, "cannot read the seal block", 1),
        (&many, "{}", "line 20 is not a JSON object; and 5 more", 11),
    ]
    .into_iter()
    .enumerate()
    {
        put(backend, 1, payload.as_bytes(), metadata).await;
        let judged = court.judge(1, Rules::default()).await.unwrap();
        assert!(!judged.passed());
        assert_eq!(judged.faults.len(), faults, "{:?}", judged.faults);
        let record = court.record().await.unwrap();
        assert_eq!((record.status, record.attempt_count), (Status::Failed, n as u64 + 1));
        let message = record.error_message.unwrap();
        assert!(
            message.starts_with(&format!("run {}: ", run(1))) && message.contains(says),
            "{message}"
        );
        assert_eq!(record.current_run_id, None);
    }
}

async fn a_missing_or_unsealed_run_gets_no_verdict_unless_requested(backend: &dyn Backend) {
    let court = Court::over(backend);
    backend.tamper(&path(&key(), &run(2)), Object::Payload, Some(b"{}\n")).await;
    for (n, kind) in [(1, ErrorKind::NotFound), (2, ErrorKind::NotSealed)] {
        assert_eq!(court.judge(n, Rules::default()).await.unwrap_err().kind(), kind);
        assert_eq!(court.judge(n, STRICT).await.unwrap_err().kind(), kind);
    }
    assert_eq!(court.record().await, None);
    for (n, says) in [(1, "the run does not exist"), (2, "is not sealed")] {
        let judged = court.judge(n, RECORD).await.unwrap();
        assert_eq!((judged.faults.len(), judged.rows), (1, 0));
        assert!(judged.state.error_message.unwrap().contains(says));
        assert_eq!(
            (judged.state.status, judged.state.attempt_count),
            (Status::Failed, u64::from(n))
        );
    }
}

async fn a_newer_seal_is_an_error_and_nothing_is_recorded(backend: &dyn Backend) {
    let court = Court::over(backend);
    put(backend, 1, b"{}\n", r#"{"_seal":{"format":2}}"#).await;
    for rules in [Rules::default(), STRICT, RECORD] {
        assert_eq!(court.judge(1, rules).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(court.record().await, None);
}

async fn g13_a_run_validated_late_gains_no_authority(backend: &dyn Backend) {
    let court = Court::over(backend);
    for n in 1..=3 {
        seal(&court.sink, &key(), &run(n), &rows("a", usize::from(n))).await.unwrap();
    }
    let mut expected = Vec::new();
    for (n, tamper, current) in
        [(2, false, 2), (1, false, 2), (1, true, 2), (3, true, 2), (3, false, 2)]
    {
        let place = path(&key(), &run(n));
        if tamper {
            backend.tamper(&place, Object::Payload, Some(b"{}")).await;
        }
        let judged = court.judge(n, Rules::default()).await.unwrap();
        assert_eq!(judged.passed(), !tamper && n != 3);
        assert_eq!(judged.state.authoritative_run(), Some(&run(current)));
        assert_eq!(judged.state.record_count, Some(2));
        expected.push(judged.state.attempt_count);
    }
    assert_eq!(expected, [1, 2, 3, 4, 5]);
    // If the authoritative run fails, an older success takes over.
    backend.tamper(&path(&key(), &run(2)), Object::Payload, Some(b"{}")).await;
    let judged = court.judge(2, Rules::default()).await.unwrap().state;
    assert_eq!((judged.status, judged.current_run_id), (Status::Failed, Some(run(2))));
    put(backend, 1, b"{}\n", "{}").await;
    let judged = court.judge(1, Rules::default()).await.unwrap().state;
    assert_eq!((judged.status, judged.current_run_id), (Status::Success, Some(run(1))));
}

#[tokio::test]
async fn g10_a_changed_byte_fails_and_names_both_checksums() {
    let backend = Memory::default();
    let court = Court::over(&backend);
    let written = rows("a", 3);
    seal(&court.sink, &key(), &run(1), &written).await.unwrap();
    let other = rows("b", 3);
    let changed = rawsink_testkit::sample::payload(&other);
    backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(&changed)).await;
    let judged = court.judge(1, Rules::default()).await.unwrap();
    assert_eq!(judged.faults.len(), 1);
    assert!(judged.faults[0].contains("SHA-256"), "{:?}", judged.faults);
}

#[tokio::test]
async fn a_row_over_the_validators_limit_gives_no_verdict() {
    let backend = Memory::default();
    let options = SinkOptions::default().max_row_bytes(20);
    let court = Court::with(RawSink::with(backend.store().0, options, Runtime::default()));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    for payload in [
        "{}\n{}\n{\"a\":\"0123456789abcdef\"}\n{}\n".to_string(),
        format!("{{}}\n{long}\n{{}}\n{{}}\n"),
    ] {
        put(&backend, 1, payload.as_bytes(), r#"{"record_count":4}"#).await;
        let error = court.judge(1, Rules::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.setting(), Some("max_row_bytes"), "{error}");
        assert_eq!(court.record().await, None);
    }
}

#[tokio::test]
async fn a_store_error_gives_no_verdict() {
    let backend = Memory::default();
    seal(&RawSink::new(backend.store()), &key(), &run(1), &rows("a", 3)).await.unwrap();
    for operation in [Operation::Read, Operation::Chunk, Operation::Sync] {
        for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
            let fault = InjectedFault { operation, side: Side::Before, kind, when: When::Always };
            let court = Court::with(RawSink::new(FaultyStore::new(backend.store(), [fault], 0)));
            for rules in [Rules::default(), RECORD] {
                let error = court.judge(1, rules).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{operation:?}");
            }
            assert_eq!(court.record().await, None, "{operation:?}");
        }
    }
}
