//! The manifest: exactly the validated runs, in order, even if the state changes meanwhile.

use std::{num::NonZeroUsize, sync::Arc};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, PartitionKey, RawSink, Result,
    partition::Selection,
    state::{Change, Filter, MemoryState, Outcome, PartitionState, Record, Status, Verdict},
    store::{MemoryStore, Object, Reading},
    validate::{self, Rules},
};
use rawsink_ops::manifest::{Event, Payload, Reader, Work, payloads};
use rawsink_testkit::{
    backend::{Backend, Meddling, Memory, on_every_store},
    databases::{Database, Sqlite, WITHOUT_A_KEY},
    sample::{customer, path, rows, run, seal},
    states::StateBackend,
    suites::on_every_database,
};

on_every_store!(a_manifest_lists_only_runs_that_are_as_they_were_validated);

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn work() -> Work {
    Work {
        partitions: Selection::default(),
        root_uri: "file:///raw".into(),
        reader: None,
        jobs: NonZeroUsize::new(3).unwrap(),
    }
}

/// Returns the payloads and refusals by customer, and the error at the end.
async fn listed(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
) -> (Vec<Result<Payload>>, Option<Error>) {
    let (mut told, mut end) = (Vec::new(), None);
    let mut events = payloads(sink, state, work);
    while let Some(event) = events.next().await {
        assert!(end.is_none(), "an error ends the stream");
        match event {
            Ok(Event::Listed(payload)) => told.push(Ok(*payload)),
            Ok(Event::Refused(error)) => told.push(Err(error)),
            Err(error) => end = Some(error),
        }
    }
    (told, end)
}

async fn validate(sink: &RawSink, state: &dyn PartitionState, key: &PartitionKey) {
    let validated = validate::run(sink, state, key, &run(1), Rules::default()).await.unwrap();
    assert!(validated.passed());
}

/// Records a success, as other software does.
fn success(run_number: u16, record_count: u64) -> Record {
    Record {
        status: Status::Success,
        current_run_id: Some(run(run_number)),
        record_count: Some(record_count),
        ..Record::pending()
    }
}

/// The customers of one partition each.
const CASES: [&str; 9] = [
    "1 fine",
    "2 longer",
    "3 no payload",
    "4 no seal",
    "5 other seal",
    "6 withdrawn",
    "7 no run",
    "8 other count",
    "9 other software",
];

/// Why cases 2 to 8 are refused.
const SAYS: [&str; 7] = [
    "the payload has 9 bytes, the validated one had",
    "its payload is missing",
    "the run has a payload but is not sealed",
    "metadata.json is not the one that was validated",
    "was withdrawn by an operator",
    "status success without current_run_id",
    "the seal has record_count 2, the state 3",
];

/// Lands and validates a partition for each case, and then does to it what its name says.
async fn land_cases(backend: &dyn Backend, state: &MemoryState) {
    let sink = RawSink::new(backend.store());
    let place = |id: &str| path(&customer(id), &run(1));
    for id in CASES {
        if id == "9 other software" {
            backend.tamper(&place(id), Object::Payload, Some(b"{}\n")).await;
            backend.tamper(&place(id), Object::Seal, Some(b"{}")).await;
        } else {
            seal(&sink, &customer(id), &run(1), &rows("a", 2)).await.unwrap();
        }
        validate(&sink, state, &customer(id)).await;
    }
    backend.tamper(&place("2 longer"), Object::Payload, Some(b"{}\n{}\n{}\n")).await;
    backend.tamper(&place("3 no payload"), Object::Payload, None).await;
    backend.tamper(&place("4 no seal"), Object::Seal, None).await;
    backend.tamper(&place("5 other seal"), Object::Seal, Some(b"{\"record_count\":2}")).await;
    let withdraw = Change::Withdraw { run_id: run(1), reason: "wrong".into() };
    state.change(&customer("6 withdrawn"), &withdraw, now()).await.unwrap();
    state.set_record(&customer("6 withdrawn"), success(1, 2));
    let nameless = Record { current_run_id: None, ..success(1, 2) };
    state.set_record(&customer("7 no run"), nameless);
    state.set_record(&customer("8 other count"), success(1, 3));
    // Neither a failure nor a pending record is listed or reported.
    let failed = Verdict::new(run(1), Outcome::Failed("bad".into()));
    state.judge(&customer("failed"), &failed, now()).await.unwrap();
    state.set_record(&customer("pending"), Record::pending());
}

async fn a_manifest_lists_only_runs_that_are_as_they_were_validated(backend: &dyn Backend) {
    let (state, sink) = (MemoryState::new(), RawSink::new(backend.store()));
    land_cases(backend, &state).await;
    let (told, end) = listed(&sink, &(Arc::new(state) as Arc<dyn PartitionState>), &work()).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(told.len(), CASES.len());
    let (fine, place) = (told[0].as_ref().unwrap(), path(&customer("1 fine"), &run(1)));
    let (_, sealed) = sink.metadata(&customer("1 fine"), &run(1)).await.unwrap();
    let sealed = sealed.unwrap();
    let shown = |payload: &Payload| (payload.bytes, payload.rows, payload.sha256.clone());
    assert_eq!(shown(fine), (sealed.payload_bytes, Some(2), Some(sealed.payload_sha256)));
    assert_eq!(fine.uri, format!("file:///raw/{place}/payload.jsonl"));
    for ((told, id), says) in told[1..8].iter().zip(&CASES[1..8]).zip(SAYS) {
        let refused = told.as_ref().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{id}: {refused}");
        assert!(refused.message().contains(says), "{id}: {refused}");
        assert!(refused.place().is_some_and(|place| place.contains(id)), "{id}: {refused}");
    }
    let (bytes, rows, sha256) = shown(told[8].as_ref().unwrap());
    assert_eq!((bytes, rows, sha256.is_some()), (3, Some(1), true), "the log has its digest");
}

on_every_database!(
    more_partitions_than_one_page_are_listed_in_order,
    a_run_that_loses_authority_meanwhile_is_not_listed,
);

/// Seals and records more partitions than one page holds. Returns them sorted.
async fn many(sink: &RawSink, state: &dyn PartitionState) -> Vec<PartitionKey> {
    let mut keys: Vec<_> = (0..2_100).map(|n| customer(&n.to_string())).collect();
    for key in &keys {
        seal(sink, key, &run(1), &[]).await.unwrap();
    }
    let outcome = Outcome::Passed { schema_version: None, record_count: 0 };
    let passed = Change::Verdict(Verdict::new(run(1), outcome));
    for some in keys.chunks(500) {
        let changes: Vec<_> = some.iter().map(|key| (key.clone(), passed.clone())).collect();
        state.change_many(&changes, now()).await.unwrap();
    }
    keys.sort();
    keys
}

fn customers(keys: &[PartitionKey]) -> Vec<&str> {
    keys.iter().map(PartitionKey::customer_id).collect()
}

async fn more_partitions_than_one_page_are_listed_in_order(database: &dyn Database) {
    let (sink, state) = (RawSink::new(MemoryStore::new()), Arc::from(database.patient_state()));
    let keys = many(&sink, &*state).await;
    let (told, end) = listed(&sink, &state, &work()).await;
    assert!(end.is_none(), "{end:?}");
    let told: Vec<_> = told.into_iter().map(Result::unwrap).collect();
    let ids: Vec<&str> = told.iter().map(|payload| payload.customer_id.as_str()).collect();
    assert_eq!(ids, customers(&keys));
}

async fn a_run_that_loses_authority_meanwhile_is_not_listed(database: &dyn Database) {
    let (sink, state): (_, Arc<dyn PartitionState>) =
        (RawSink::new(MemoryStore::new()), Arc::from(database.patient_state()));
    let keys = many(&sink, &*state).await;
    let mut events = payloads(&sink, &state, &work());
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        match event.unwrap() {
            Event::Listed(payload) => told.push(payload.customer_id),
            Event::Refused(error) => panic!("{error}"),
        }
        if told.len() == 1 {
            let failed = Verdict::new(run(1), Outcome::Failed("bad".into()));
            state.judge(keys.last().unwrap(), &failed, now()).await.unwrap();
        }
    }
    assert_eq!(told, customers(&keys[..keys.len() - 1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_transaction_is_open_while_the_store_is_read() {
    let database = Sqlite::new();
    let state: Arc<dyn PartitionState> = Arc::from(database.patient_state());
    let sink = RawSink::new(MemoryStore::new());
    let keys = many(&sink, &*state).await;
    let mut other = database.connect().await;
    // With many checks under way, the next batch is read long before they end.
    let work = Work { jobs: NonZeroUsize::new(64).unwrap(), ..work() };
    let mut events = payloads(&sink, &state, &work);
    let mut count = 0;
    while let Some(event) = events.next().await {
        assert!(matches!(event, Ok(Event::Listed(_))));
        count += 1;
        // Nobody polls the stream now. This waits for readers, but not for ever.
        other.execute("BEGIN EXCLUSIVE; ROLLBACK").await;
    }
    assert_eq!(count, keys.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_record_is_reported_and_two_records_of_one_partition_are_one_line() {
    let database = Sqlite::new();
    database.execute(WITHOUT_A_KEY).await;
    let state: Arc<dyn PartitionState> = Arc::from(database.patient_state());
    let sink = RawSink::new(MemoryStore::new());
    for id in ["1", "2"] {
        seal(&sink, &customer(id), &run(1), &rows("a", 1)).await.unwrap();
    }
    for (id, count) in [("1", "1"), ("1", "1"), ("2", "-1"), ("3/4", "1")] {
        let insert = format!(
            "INSERT INTO partition_state VALUES ('google_ads', '{id}', 'campaign', '2024-06-01', \
            'success', '{}', 'v1', {count}, NULL, NULL, 1)",
            run(1)
        );
        database.execute(&insert).await;
    }
    assert_eq!(state.list(&Filter::default()).await.unwrap().len(), 4);
    let (told, end) = listed(&sink, &state, &work()).await;
    assert!(end.is_none(), "{end:?}");
    let (fine, refused): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    assert_eq!(fine.len(), 1);
    let kinds: Vec<_> = refused.into_iter().map(|told| told.unwrap_err().kind()).collect();
    assert_eq!(kinds, [ErrorKind::Corrupt; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_stops_in_an_outage() {
    let backend = Memory::default();
    let state: Arc<dyn PartitionState> = Arc::new(MemoryState::new());
    let sink = RawSink::new(backend.store());
    for id in 0..60 {
        let key = customer(&format!("{id:02}"));
        seal(&sink, &key, &run(1), &rows("a", 1)).await.unwrap();
        validate(&sink, &*state, &key).await;
    }
    let broken = Meddling::with_readings(backend.store(), |_, reading| {
        let fault = Error::new(ErrorKind::Unavailable, "the server does not respond");
        Reading { chunks: stream::iter([Err(fault)]).boxed(), ..reading }
    });
    let (told, end) = listed(&RawSink::new(broken), &state, &work()).await;
    assert!((20..20 + work().jobs.get()).contains(&told.len()), "{} were checked", told.len());
    assert!(told.iter().all(Result::is_err));
    let end = end.unwrap();
    assert!(end.message().contains("20 consecutive runs"), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_a_reader_cannot_open_are_refused_and_are_no_outage() {
    let (sink, state): (_, Arc<dyn PartitionState>) =
        (RawSink::new(MemoryStore::new()), Arc::new(MemoryState::new()));
    for id in (0..25).map(|n| format!("{n:02}*")).chain(["plain".to_owned()]) {
        seal(&sink, &customer(&id), &run(1), &rows("a", 1)).await.unwrap();
        validate(&sink, &*state, &customer(&id)).await;
    }
    let spark = Work { reader: Some(Reader::Spark), ..work() };
    let (told, end) = listed(&sink, &state, &spark).await;
    assert!(end.is_none(), "{end:?}");
    let (fine, refused) = (told.last().unwrap(), &told[..told.len() - 1]);
    assert_eq!((fine.as_ref().unwrap().customer_id.as_str(), refused.len()), ("plain", 25));
    for refused in refused {
        let refused = refused.as_ref().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.place().is_some(), "{refused}");
    }
}
