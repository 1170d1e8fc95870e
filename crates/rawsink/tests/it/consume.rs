//! Consumers see only authoritative runs.

use rawsink::{
    ErrorKind, RawSink,
    consume::{Authority, CurrentPayload, current_run, inspect_current, open_current},
    state::{Change, MemoryState, Outcome, PartitionState, Record, Status, Verdict},
    store::{Object, Operation, Store},
    validate::{self, Rules},
};

use rawsink_testkit::{
    backend::{Backend, Directory, Memory, on_every_store},
    sample::{customer, key, path, read_all, rows, run, seal},
};

on_every_store!(
    g15_a_consumer_sees_only_the_authoritative_run,
    a_consumer_without_authority_gets_the_status,
    an_unreadable_authoritative_run_is_corrupt,
    a_superseded_run_can_be_read_until_it_fails_or_is_withdrawn,
    g19_a_run_sealed_again_after_its_validation_is_corrupt,
    g19_a_run_of_other_software_is_bound_to_its_validated_payload,
    g19_without_a_log_the_number_of_rows_is_compared,
    g19_a_withdrawn_run_is_not_read_even_if_the_record_names_it,
    g19_an_inspection_finds_other_metadata_and_other_lengths,
    g19_an_inspection_of_other_software_s_run_has_the_validated_digest,
    g12_a_consumer_writes_nothing,
);

async fn judge(sink: &RawSink, state: &MemoryState, n: u16) -> bool {
    validate::run(sink, state, &key(), &run(n), Rules::default()).await.unwrap().passed()
}

async fn consumed(sink: &RawSink, state: &MemoryState) -> Result<Vec<String>, ErrorKind> {
    let mut reader = open_current(sink, state, &key()).await.map_err(|error| error.kind())?;
    read_all(&mut reader).await.map_err(|error| error.kind())
}

async fn g15_a_consumer_sees_only_the_authoritative_run(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    for n in 1..=3 {
        seal(&sink, &key(), &run(n), &rows(&format!("run {n}"), usize::from(n))).await.unwrap();
    }
    backend.tamper(&path(&key(), &run(4)), Object::Payload, Some(b"{}\n")).await;
    assert!(judge(&sink, &state, 2).await);
    // Newer runs exist, sealed and unsealed, without a verdict.
    assert_eq!(consumed(&sink, &state).await, Ok(rows("run 2", 2)));
    assert_eq!(current_run(&state, &key()).await.unwrap(), run(2));
    assert!(judge(&sink, &state, 3).await);
    assert!(judge(&sink, &state, 1).await);
    assert_eq!(consumed(&sink, &state).await, Ok(rows("run 3", 3)));
    assert_eq!(current_run(&state, &customer("1")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn a_consumer_without_authority_gets_the_status(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    let refused = open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.message().contains("pending"), "{refused}");
    let failed = Verdict::new(run(1), Outcome::Failed("bad".into()));
    state.judge(&key(), &failed, "2024-06-04T00:00:00Z".parse().unwrap()).await.unwrap();
    let refused = open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.message().contains("failed"), "{refused}");
    // A run that has failed since is no longer read.
    assert!(judge(&sink, &state, 1).await);
    state.judge(&key(), &failed, "2024-06-05T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(consumed(&sink, &state).await, Err(ErrorKind::NotFound));
}

async fn a_superseded_run_can_be_read_until_it_fails_or_is_withdrawn(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    for n in 1..=3 {
        seal(&sink, &key(), &run(n), &rows("a", usize::from(n))).await.unwrap();
    }
    let authority = async |n: u16| {
        let history = state.history(&key()).await.unwrap();
        let found = Authority::of_run(&key(), &run(n), &history);
        found.map(|found| (found.run, found.record_count)).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.place(), Some(path(&key(), &run(n)).as_str()));
            error.message().to_owned()
        })
    };
    let missing = |message: &str| Err(message.to_owned());
    assert_eq!(authority(1).await, missing("this run never had authority"));
    assert!(judge(&sink, &state, 1).await);
    assert_eq!(authority(1).await, Ok((run(1), Some(1))));
    assert!(judge(&sink, &state, 2).await);
    assert_eq!(authority(1).await, Ok((run(1), Some(1))));
    assert_eq!(authority(2).await, Ok((run(2), Some(2))));
    assert_eq!(authority(3).await, missing("this run never had authority"));
    let now = "2024-06-04T00:00:00Z".parse().unwrap();
    let failed = Verdict::new(run(1), Outcome::Failed("bad".into()));
    state.judge(&key(), &failed, now).await.unwrap();
    assert_eq!(authority(1).await, missing("the newest verdict on this run is failed"));
    let withdrawal = Change::Withdraw { run_id: run(1), reason: "no".into() };
    state.change(&key(), &withdrawal, now).await.unwrap();
    assert_eq!(authority(1).await, missing("an operator withdrew this run"));
}

async fn an_unreadable_authoritative_run_is_corrupt(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    let place = path(&key(), &run(1));
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&sink, &state, 1).await);
    backend.tamper(&place, Object::Seal, None).await;
    for gone in ["the seal", "the payload too"] {
        let refused = open_current(&sink, &state, &key()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{gone}");
        assert_eq!(refused.place(), Some(place.as_str()));
        backend.tamper(&place, Object::Payload, None).await;
    }
}

async fn g19_a_run_sealed_again_after_its_validation_is_corrupt(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    let place = path(&key(), &run(1));
    seal(&sink, &key(), &run(1), &rows("validated", 2)).await.unwrap();
    assert!(judge(&sink, &state, 1).await);
    assert_eq!(consumed(&sink, &state).await, Ok(rows("validated", 2)));
    // The seal is lost, and the same run is written again with other rows.
    backend.tamper(&place, Object::Seal, None).await;
    seal(&sink, &key(), &run(1), &rows("not validated", 2)).await.unwrap();
    let refused = open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.place()), (ErrorKind::Corrupt, Some(place.as_str())));
    assert!(refused.message().contains("not the one that was validated"), "{refused}");
    // A person may validate the new bytes.
    assert!(judge(&sink, &state, 1).await);
    assert_eq!(consumed(&sink, &state).await, Ok(rows("not validated", 2)));
}

async fn g19_a_run_of_other_software_is_bound_to_its_validated_payload(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(b"{\"a\":1}\n")).await;
    backend.tamper(&place, Object::Seal, Some(b"{}")).await;
    assert!(judge(&sink, &state, 1).await);
    assert_eq!(consumed(&sink, &state).await, Ok(vec!["{\"a\":1}".to_owned()]));
    backend.tamper(&place, Object::Payload, Some(b"{\"a\":2}\n")).await;
    assert_eq!(consumed(&sink, &state).await, Err(ErrorKind::Corrupt));
}

async fn g19_without_a_log_the_number_of_rows_is_compared(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    for (count, expected) in [(2, Ok(rows("a", 2))), (3, Err(ErrorKind::Corrupt))] {
        let success = Record {
            status: Status::Success,
            current_run_id: Some(run(1)),
            record_count: Some(count),
            ..Record::pending()
        };
        state.set_record(&key(), success);
        assert_eq!(consumed(&sink, &state).await, expected, "the state has {count} rows");
    }
}

async fn g19_a_withdrawn_run_is_not_read_even_if_the_record_names_it(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&sink, &state, 1).await);
    let success = state.get(&key()).await.unwrap().unwrap();
    let withdraw = Change::Withdraw { run_id: run(1), reason: "wrong".into() };
    let now = "2024-06-04T00:00:00Z".parse().unwrap();
    state.change(&key(), &withdraw, now).await.unwrap();
    assert_eq!(consumed(&sink, &state).await, Err(ErrorKind::NotFound));
    // An old program, or other software, records a success all the same.
    state.set_record(&key(), success);
    assert_eq!(consumed(&sink, &state).await, Err(ErrorKind::Corrupt));
}

async fn inspected(sink: &RawSink, state: &MemoryState) -> Result<CurrentPayload, ErrorKind> {
    let history = state.history(&key()).await.unwrap();
    let authority = Authority::of(&key(), &history).map_err(|error| error.kind())?;
    let inspected = inspect_current(sink, &key(), &authority).await;
    inspected.map_err(|error| {
        assert_eq!(error.place(), Some(path(&key(), &run(1)).as_str()), "{error}");
        error.kind()
    })
}

async fn g19_an_inspection_finds_other_metadata_and_other_lengths(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    let place = path(&key(), &run(1));
    let sealed = seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap().payload;
    assert!(judge(&sink, &state, 1).await);
    let expected = CurrentPayload {
        bytes: sealed.payload_bytes,
        record_count: Some(2),
        sha256: Some(sealed.payload_sha256),
    };
    assert_eq!(inspected(&sink, &state).await, Ok(expected.clone()));
    // Without a log the seal alone tells what the payload must be.
    let unlogged = Authority { run: run(1), record_count: Some(2), passed: None };
    assert_eq!(inspect_current(&sink, &key(), &unlogged).await.unwrap(), expected);
    let other = Authority { record_count: Some(3), ..unlogged.clone() };
    let refused = inspect_current(&sink, &key(), &other).await.unwrap_err();
    assert!(refused.message().contains("record_count 2, the state 3"), "{refused}");
    backend.tamper(&place, Object::Payload, Some(b"{}\n")).await;
    assert_eq!(inspected(&sink, &state).await, Err(ErrorKind::Corrupt));
    let refused = inspect_current(&sink, &key(), &unlogged).await.unwrap_err();
    assert!(refused.message().contains("has 3 bytes, the sealed one had"), "{refused}");
    backend.tamper(&place, Object::Payload, None).await;
    assert_eq!(inspected(&sink, &state).await, Err(ErrorKind::Corrupt));
    backend.tamper(&place, Object::Seal, None).await;
    assert_eq!(inspected(&sink, &state).await, Err(ErrorKind::Corrupt));
    // The same run again: the rows have the same length, the seal is another.
    seal(&sink, &key(), &run(1), &rows("b", 2)).await.unwrap();
    assert_eq!(inspected(&sink, &state).await, Err(ErrorKind::Corrupt));
}

async fn g19_an_inspection_of_other_software_s_run_has_the_validated_digest(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(b"{}\n")).await;
    backend.tamper(&place, Object::Seal, Some(b"{}")).await;
    assert!(judge(&sink, &state, 1).await);
    let validated = state.history(&key()).await.unwrap();
    let evidence = &validated.passed(&run(1)).unwrap().evidence;
    assert!(evidence.payload_sha256.is_some());
    let expected =
        CurrentPayload { bytes: 3, record_count: Some(1), sha256: evidence.payload_sha256.clone() };
    assert_eq!(inspected(&sink, &state).await, Ok(expected));
    backend.tamper(&place, Object::Payload, Some(b"{}\n{}\n")).await;
    assert_eq!(inspected(&sink, &state).await, Err(ErrorKind::Corrupt));
}

async fn g12_a_consumer_writes_nothing(backend: &dyn Backend) {
    let state = MemoryState::new();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&sink, &state, 1).await);
    let before = backend.residue(&path(&key(), &run(1))).await;
    let record = state.get(&key()).await.unwrap();
    consumed(&sink, &state).await.unwrap();
    assert_eq!(state.get(&key()).await.unwrap(), record);
    assert_eq!(backend.residue(&path(&key(), &run(1))).await, before);
}

#[tokio::test]
async fn g15_consumers_see_the_same_on_every_store() {
    let written = rows("a", 5000);
    let mut seen = Vec::new();
    for backend in [Box::new(Memory::default()) as Box<dyn Backend>, Box::new(Directory::default())]
    {
        let state = MemoryState::new();
        let sink = RawSink::new(backend.store());
        seal(&sink, &key(), &run(1), &written).await.unwrap();
        assert!(judge(&sink, &state, 1).await);
        let mut reader = open_current(&sink, &state, &key()).await.unwrap();
        let rows = read_all(&mut reader).await.unwrap();
        let metadata = reader.metadata().clone();
        seen.push((
            rows,
            metadata,
            reader.summary().cloned(),
            state.get(&key()).await.unwrap().map(|record| {
                (record.status, record.current_run_id, record.schema_version, record.record_count)
            }),
        ));
    }
    assert_eq!(seen[0].0, written);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_consumer_lists_nothing() {
    let backend = Memory::default();
    let state = MemoryState::new();
    let plain = RawSink::new(backend.store());
    seal(&plain, &key(), &run(1), &rows("a", 2)).await.unwrap();
    assert!(judge(&plain, &state, 1).await);
    let store = rawsink::store::FaultyStore::new(backend.store(), [], 0);
    consumed(&RawSink::new(store.clone()), &state).await.unwrap();
    let calls = store.calls();
    assert!(!calls.contains(&Operation::Children) && !calls.contains(&Operation::Walk));
    assert_eq!(calls.iter().filter(|call| **call == Operation::Read).count(), 2);
    assert!(store.inspect(&path(&key(), &run(1))).await.unwrap().seal.is_some());
}
