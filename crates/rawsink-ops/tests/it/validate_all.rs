//! Validation of every due run: concurrent, interrupted, within a request budget.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, PartitionKey, RawSink, Result, RunId,
    partition::Selection,
    runtime::Runtime,
    sink::{LandedPartition, SinkOptions, Unlisted},
    state::{Change, Filter, MemoryState, PartitionState, Record, SqliteState, Status},
    store::{MemoryStore, Object, Reading},
    validate::Rules,
};
use rawsink_ops::validate::{self, Event, Shard, Stop, Work};
use tempfile::TempDir;

use rawsink_testkit::{
    backend::{Backend, Meddling, Memory},
    databases::Database,
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{customer, key, path, payload, rows, run, seal, store_path},
    suites::on_every_database,
};

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

on_every_database!(
    every_due_run_is_validated_once_oldest_first,
    the_next_call_validates_only_the_interrupted_rest,
    g14_concurrent_hosts_lose_no_update_with_or_without_shards,
    a_run_validated_by_another_host_is_not_validated_again,
    a_part_that_is_validated_again_costs_no_second_verdict,
);

fn work() -> Work {
    Work {
        partitions: Selection::default(),
        shard: Shard::WHOLE,
        rules: Rules::default(),
        jobs: NonZeroUsize::new(3).unwrap(),
        stop: Stop::default(),
    }
}

/// Whether a run passed, or why there is no verdict.
type Outcome = Result<bool, ErrorKind>;

/// The results of one call.
#[derive(Debug, Default)]
struct Told {
    compared: usize,
    judged: Vec<(PartitionKey, RunId, Outcome)>,
    /// Customers with runs that cannot get authority, and the newest of these runs.
    blocked: Vec<(String, RunId)>,
    unlisted: Vec<Unlisted>,
    end: Option<Error>,
}

impl Told {
    /// Returns the runs of each customer with their results, in validation order.
    fn by_customer(&self) -> BTreeMap<&str, Vec<(&str, Outcome)>> {
        let mut told = BTreeMap::<_, Vec<_>>::new();
        for (key, run, outcome) in &self.judged {
            told.entry(key.customer_id()).or_default().push((run.as_str(), *outcome));
        }
        told
    }
}

async fn judge(sink: &RawSink, state: &Arc<dyn PartitionState>, work: &Work) -> Told {
    told_by(validate::all(sink, state, work)).await
}

async fn told_by(mut events: BoxStream<'static, Result<Event>>) -> Told {
    let mut told = Told::default();
    while let Some(event) = events.next().await {
        assert!(told.end.is_none(), "an error ends the stream");
        match event {
            Ok(Event::Compared(partitions)) => told.compared += partitions,
            Ok(Event::Validated(judged)) => {
                let outcome = judged.outcome.map(|validation| validation.passed());
                told.judged.push((judged.key, judged.run, outcome.map_err(|error| error.kind())));
            }
            Ok(Event::Blocked(blocked)) => {
                told.blocked.push((blocked.key.customer_id().to_owned(), blocked.newest));
            }
            Ok(Event::Unlisted(hidden)) => told.unlisted.push(hidden),
            Err(error) => told.end = Some(error),
        }
    }
    told
}

fn state_of(database: &dyn Database) -> Arc<dyn PartitionState> {
    Arc::from(database.patient_state())
}

/// Stores a run that fails: its metadata names another customer.
async fn put_bad(backend: &dyn Backend, key: &PartitionKey, run: &RunId) {
    backend.tamper(&path(key, run), Object::Payload, Some(b"{}\n")).await;
    let metadata = br#"{"customer_id":"somebody else"}"#;
    backend.tamper(&path(key, run), Object::Seal, Some(metadata)).await;
}

async fn records(state: &dyn PartitionState) -> Vec<(String, Record)> {
    let all = state.list(&Filter::default()).await.unwrap().into_iter();
    all.map(|entry| entry.unwrap())
        .map(|entry| (entry.key.customer_id().to_owned(), entry.record))
        .collect()
}

async fn every_due_run_is_validated_once_oldest_first(database: &dyn Database) {
    let (backend, state) = (Memory::default(), state_of(database));
    let sink = RawSink::new(backend.store());
    for (id, good, bad) in [
        ("good", &[1, 2][..], &[][..]),
        ("newest-bad", &[1], &[2, 3]),
        ("all-bad", &[], &[1, 2]),
        ("recovered", &[2], &[1]),
    ] {
        for n in good {
            seal(&sink, &customer(id), &run(*n), &rows("a", 2)).await.unwrap();
        }
        for n in bad {
            put_bad(&backend, &customer(id), &run(*n)).await;
        }
    }
    // An unsealed run is not validated.
    backend.tamper(&path(&customer("open"), &run(1)), Object::Payload, Some(b"{}\n")).await;
    backend.tamper(&path(&customer("good"), &run(9)), Object::Payload, Some(b"{}\n")).await;
    let told = judge(&sink, &state, &work()).await;
    assert_eq!((told.compared, told.end.is_none()), (5, true));
    let (one, two, three) = (run(1), run(2), run(3));
    let (one, two, three) = (one.as_str(), two.as_str(), three.as_str());
    let expected = BTreeMap::from([
        ("all-bad", vec![(one, Ok(false)), (two, Ok(false))]),
        ("good", vec![(one, Ok(true)), (two, Ok(true))]),
        ("newest-bad", vec![(one, Ok(true)), (two, Ok(false)), (three, Ok(false))]),
        ("recovered", vec![(one, Ok(false)), (two, Ok(true))]),
    ]);
    assert_eq!(told.by_customer(), expected);
    let first = records(&*state).await;
    let authority = |record: &Record| record.authoritative_run().map(ToString::to_string);
    let shown: Vec<_> = first.iter().map(|(id, record)| (id.as_str(), authority(record))).collect();
    let some = |run: &str| Some(run.to_owned());
    assert_eq!(
        shown,
        [
            ("all-bad", None),
            ("good", some(two)),
            ("newest-bad", some(one)),
            ("recovered", some(two))
        ]
    );
    let again = judge(&sink, &state, &work()).await;
    assert_eq!((again.compared, again.judged.len()), (5, 0), "nothing waits");
    assert_eq!(records(&*state).await, first, "no attempt is counted for nothing");
    // A newer run is due, and one that an operator reset.
    seal(&sink, &customer("all-bad"), &run(4), &rows("b", 1)).await.unwrap();
    put_bad(&backend, &customer("late"), &run(1)).await;
    judge(&sink, &state, &work()).await;
    state.change(&customer("late"), &Change::Retry, now()).await.unwrap();
    let last = judge(&sink, &state, &work()).await;
    assert_eq!(last.by_customer(), BTreeMap::from([("late", vec![(one, Ok(false))])]));
    let record = state.get(&customer("all-bad")).await.unwrap().unwrap();
    assert_eq!((record.status, record.attempt_count), (Status::Success, 3));
}

/// Seals one run for each of `customers` customers.
async fn land(sink: &RawSink, customers: u32) {
    for id in 0..customers {
        seal(sink, &customer(&id.to_string()), &run(1), &rows("a", 1)).await.unwrap();
    }
}

async fn a_part_that_is_validated_again_costs_no_second_verdict(database: &dyn Database) {
    let (backend, state) = (Memory::default(), state_of(database));
    let sink = RawSink::new(backend.store());
    land(&sink, 4).await;
    let landed: Vec<_> = sink.landed(&Selection::default()).try_collect().await.unwrap();
    // A run that is sealed after the listing belongs to the next one.
    seal(&sink, &customer("0"), &run(2), &rows("b", 1)).await.unwrap();
    let part = async |partitions: &[LandedPartition]| {
        let listed: Vec<_> = partitions.iter().cloned().map(Ok).collect();
        let told =
            told_by(validate::of_landed(&sink, &state, stream::iter(listed).boxed(), &work()))
                .await;
        assert!(told.end.is_none(), "{:?}", told.end);
        let judged = told.judged.into_iter().map(|(key, run, outcome)| {
            assert_eq!((run, outcome), (self::run(1), Ok(true)));
            key.customer_id().to_owned()
        });
        (told.compared, judged.collect::<BTreeSet<_>>())
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(part(&landed[..2]).await, (2, names(&["0", "1"])));
    assert_eq!(part(&landed).await, (4, names(&["2", "3"])));
    assert_eq!(part(&landed).await, (4, names(&[])));
    for (customer, record) in records(&*state).await {
        assert_eq!(record.attempt_count, 1, "{customer}");
    }
}

#[tokio::test]
async fn runs_that_a_run_of_the_future_keeps_from_authority_are_reported() {
    let (backend, state) = (Memory::default(), Arc::new(MemoryState::new()));
    let sink = RawSink::new(backend.store());
    let future: RunId = "2999-01-01T00:00:00.000Z".parse().unwrap();
    let options = SinkOptions::default().max_run_ahead(Duration::MAX);
    let careless = RawSink::with(Arc::new(backend.store()), options, Runtime::default());
    let shared: Arc<dyn PartitionState> = state.clone();
    for id in ["blocked", "judged", "withdrawn"] {
        seal(&careless, &customer(id), &future, &rows("f", 1)).await.unwrap();
        judge(&sink, &shared, &work()).await;
        seal(&sink, &customer(id), &run(1), &rows("a", 2)).await.unwrap();
    }
    // A verdict changes nothing.
    rawsink::validate::run(&sink, &*state, &customer("judged"), &run(1), Rules::default())
        .await
        .unwrap();
    let withdrawal = Change::Withdraw { run_id: run(1), reason: "no".into() };
    state.change(&customer("withdrawn"), &withdrawal, now()).await.unwrap();
    let told = judge(&sink, &shared, &work()).await;
    assert_eq!(told.blocked, [("blocked".to_owned(), run(1)), ("judged".to_owned(), run(1))]);
    assert_eq!(told.judged, []);
    let withdrawal = Change::Withdraw { run_id: future, reason: "wrong clock".into() };
    state.change(&customer("blocked"), &withdrawal, now()).await.unwrap();
    let told = judge(&sink, &shared, &work()).await;
    assert_eq!(told.blocked, [("judged".to_owned(), run(1))]);
    assert_eq!(told.judged, [(customer("blocked"), run(1), Ok(true))]);
}

async fn the_next_call_validates_only_the_interrupted_rest(database: &dyn Database) {
    let (sink, state) = (RawSink::new(MemoryStore::new()), state_of(database));
    land(&sink, 2_000).await;
    let work = work();
    let mut events = validate::all(&sink, &state, &work);
    let mut told_before = BTreeSet::new();
    while let Some(event) = events.next().await {
        if let Event::Validated(judged) = event.unwrap() {
            told_before.insert(judged.key.customer_id().to_owned());
            work.stop.stop();
        }
    }
    assert!(!told_before.is_empty() && told_before.len() < 2_000, "{}", told_before.len());
    let recorded = records(&*state).await;
    let recorded: BTreeSet<String> = recorded.into_iter().map(|(id, _)| id).collect();
    assert_eq!(recorded, told_before, "everything that is recorded is reported, nothing else");
    let told = judge(&sink, &state, &self::work()).await;
    assert_eq!(told.judged.len() + told_before.len(), 2_000);
    for (id, record) in records(&*state).await {
        assert_eq!((record.status, record.attempt_count), (Status::Success, 1), "{id}");
    }
}

async fn g14_concurrent_hosts_lose_no_update_with_or_without_shards(database: &dyn Database) {
    let sink = RawSink::new(MemoryStore::new());
    land(&sink, 40).await;
    let (one, other) = (state_of(database), state_of(database));
    let half = |text: &str| Work { shard: text.parse().unwrap(), ..work() };
    let (first, second) = (half("1/2"), half("2/2"));
    let (one_told, other_told) =
        tokio::join!(judge(&sink, &one, &first), judge(&sink, &other, &second));
    assert_eq!(one_told.judged.len() + other_told.judged.len(), 40, "nobody repeats another's");
    assert_eq!(one_told.compared + other_told.compared, 40);
    for (id, record) in records(&*one).await {
        assert_eq!(record.attempt_count, 1, "{id}");
    }
    // The same work twice in parallel: each run gets one verdict, reported by the host that recorded it.
    for id in 0..40 {
        seal(&sink, &customer(&id.to_string()), &run(2), &rows("b", 1)).await.unwrap();
    }
    let (all, same) = (work(), work());
    let (one_told, other_told) =
        tokio::join!(judge(&sink, &one, &all), judge(&sink, &other, &same));
    assert_eq!(one_told.judged.len() + other_told.judged.len(), 40);
    for (id, record) in records(&*one).await {
        assert_eq!(record.attempt_count, 2, "{id}");
    }
}

async fn a_run_validated_by_another_host_is_not_validated_again(database: &dyn Database) {
    let (sink, slow) = (RawSink::new(MemoryStore::new()), state_of(database));
    land(&sink, 40).await;
    let mut events = validate::all(&sink, &slow, &work());
    let compared = events.next().await.unwrap().unwrap();
    assert!(matches!(compared, Event::Compared(40)), "{compared:?}");
    let told = judge(&sink, &state_of(database), &work()).await;
    let rest: Vec<_> = events.collect().await;
    assert_eq!(told.judged.len() + rest.len(), 40, "each verdict is reported by one host");
    for (id, record) in records(&*slow).await {
        assert_eq!(record.attempt_count, 1, "{id}");
    }
}

/// Returns a state in its own file.
fn sqlite(folder: &TempDir) -> Arc<dyn PartitionState> {
    Arc::new(SqliteState::new(folder.path().join("state.db")))
}

/// Stores a run that newer software sealed: no verdict is possible.
async fn put_newer(backend: &dyn Backend, id: &str) {
    backend.tamper(&path(&customer(id), &run(1)), Object::Payload, Some(b"{}\n")).await;
    let metadata = br#"{"_seal":{"format":2}}"#;
    backend.tamper(&path(&customer(id), &run(1)), Object::Seal, Some(metadata)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_run_blocks_no_other() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let (sink, state) = (RawSink::new(backend.store()), sqlite(&folder));
    land(&sink, 30).await;
    put_newer(&backend, "10x").await;
    seal(&sink, &customer("10x"), &run(2), &rows("a", 1)).await.unwrap();
    let told = judge(&sink, &state, &work()).await;
    assert_eq!((told.judged.len(), told.end.is_none()), (32, true));
    let (one, two) = (run(1), run(2));
    let of_customer = told.by_customer().remove("10x").unwrap();
    let expected =
        BTreeMap::from([(one.as_str(), Err(ErrorKind::Unsupported)), (two.as_str(), Ok(true))]);
    assert_eq!(of_customer.into_iter().collect::<BTreeMap<_, _>>(), expected);
    let record = state.get(&customer("10x")).await.unwrap().unwrap();
    assert_eq!(record.authoritative_run(), Some(&two));
    assert_eq!(judge(&sink, &state, &work()).await.judged.len(), 0, "it is superseded");
    put_newer(&backend, "last").await;
    for _ in 0..2 {
        let told = judge(&sink, &state, &work()).await;
        assert_eq!(told.judged.len(), 1, "a run without a verdict is tried again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_stops_the_work() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let (writer, state) = (RawSink::new(backend.store()), sqlite(&folder));
    // The disk cannot read some payloads.
    let unreadable = rows("unreadable", 2);
    for id in 0..60 {
        seal(&writer, &customer(&format!("{id:03}")), &run(1), &unreadable).await.unwrap();
    }
    let bytes = payload(&unreadable).len() as u64;
    let sink = RawSink::new(Meddling::with_readings(backend.store(), move |object, reading| {
        if object == Object::Seal || reading.bytes != bytes {
            return reading;
        }
        let error = Error::new(ErrorKind::Unavailable, "input/output error");
        Reading { chunks: stream::once(async move { Err(error) }).boxed(), ..reading }
    }));
    let told = judge(&sink, &state, &work()).await;
    let (judged, jobs) = (told.judged.len(), work().jobs.get());
    assert!((20..20 + jobs).contains(&judged), "{judged} were judged");
    let end = told.end.unwrap();
    assert_eq!(end.kind(), ErrorKind::Unavailable);
    assert!(end.message().contains("20 consecutive runs"), "{end}");
    // A success in between shows that the runs are broken, not the store.
    for id in (0..60).step_by(10) {
        seal(&writer, &customer(&format!("{id:03}x")), &run(1), &rows("a", 1)).await.unwrap();
    }
    let one = Work { jobs: NonZeroUsize::MIN, ..work() };
    let told = judge(&sink, &state, &one).await;
    assert_eq!((told.judged.len(), told.end.is_none()), (66, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_record_is_reported_and_its_run_is_not_read() {
    let (server, folder) = (S3Server::default(), TempDir::new().unwrap());
    let (sink, state) = (server.sink(), sqlite(&folder));
    seal(&sink, &key(), &run(1), &rows("a", 1)).await.unwrap();
    judge(&sink, &state, &work()).await;
    let file = format!("sqlite:{}", folder.path().join("state.db").display());
    let mut database = <sqlx::SqliteConnection as sqlx::Connection>::connect(&file).await.unwrap();
    sqlx::query("UPDATE partition_state SET current_run_id = ''")
        .execute(&mut database)
        .await
        .unwrap();
    let before = server.count(Op::Get);
    let told = judge(&sink, &state, &work()).await;
    assert_eq!(told.judged, [(key(), run(1), Err(ErrorKind::Corrupt))]);
    assert_eq!(server.count(Op::Get), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_listing_stops_the_work_after_the_listed_runs() {
    let (server, folder) = (S3Server::default(), TempDir::new().unwrap());
    let state = sqlite(&folder);
    for id in 0..1010 {
        let place = path(&customer(&format!("{id:04}")), &run(1));
        server.tamper(&place, Object::Payload, Some(b"{}\n"));
    }
    let denied = Effect::Refused(Answer::Error(403, "AccessDenied"));
    server.habit(Habit::always(Op::List, denied).skipping(1));
    let told = judge(&server.sink(), &state, &work()).await;
    let [end] = &told.unlisted[..] else { panic!("{told:?}") };
    assert_eq!((end.error.kind(), end.place.as_ref()), (ErrorKind::Denied, None));
    assert_eq!((told.compared, told.end.is_none()), (999, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_cannot_be_listed_block_no_other_and_are_all_reported() {
    let (backend, folder) = (Memory::default(), TempDir::new().unwrap());
    let (sink, state) = (RawSink::new(backend.store()), sqlite(&folder));
    land(&sink, 60).await;
    // More than make an outage, one after the other.
    let hidden: Vec<_> =
        (10..40).map(|id| store_path(&format!("google_ads/customer_id={id}"))).collect();
    let partly = RawSink::new(Meddling::hiding(backend.store(), hidden.clone()));
    let told = judge(&partly, &state, &work()).await;
    assert_eq!((told.compared, told.judged.len(), told.end.is_none()), (30, 30, true));
    let places: Vec<_> =
        told.unlisted.iter().map(|hidden| hidden.place.as_ref().unwrap().store_path()).collect();
    assert_eq!(places, hidden);
    let again = judge(&partly, &state, &work()).await;
    assert_eq!((again.judged.len(), again.unlisted.len()), (0, 30));
    assert_eq!(judge(&sink, &state, &work()).await.judged.len(), 30, "they stayed due");
}

/// A gateway answers with an error page: after 20 runs in a row that is an outage, and no run failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_in_place_of_payloads_are_no_failures() {
    let (server, folder) = (S3Server::default(), TempDir::new().unwrap());
    let state = sqlite(&folder);
    land(&server.sink(), 40).await;
    let page = Answer::Page { bytes: 35, etag: None };
    server.habit(Habit::always(Op::Get, Effect::Refused(page)).on("payload.jsonl"));
    let told = judge(&server.sink(), &state, &work()).await;
    let kinds: BTreeSet<String> =
        told.judged.iter().map(|(_, _, outcome)| format!("{outcome:?}")).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Err(Unavailable)"]);
    assert_eq!(told.end.unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(records(&*state).await, []);
    server.behave();
    let told = judge(&server.sink(), &state, &work()).await;
    assert!(told.judged.iter().all(|(_, _, outcome)| *outcome == Ok(true)), "{told:?}");
    assert_eq!(told.judged.len(), 40);
}

fn put_bad_on(server: &S3Server, id: &str) {
    server.tamper(&path(&customer(id), &run(1)), Object::Payload, Some(b"{}\n"));
    server.tamper(&path(&customer(id), &run(1)), Object::Seal, Some(b"{\"customer_id\":\"x\"}"));
}

/// The budget: one listing in total, and the seal and rows of each due run; of one that fails also a
/// HEAD of both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_partitions_cost_one_listing_and_reads_of_due_runs() {
    const WAITING: usize = 50;
    let (server, folder) = (S3Server::default(), TempDir::new().unwrap());
    let state = sqlite(&folder);
    state.init().await.unwrap();
    let file = format!("sqlite:{}", folder.path().join("state.db").display());
    let mut database = <sqlx::SqliteConnection as sqlx::Connection>::connect(&file).await.unwrap();
    for id in 0..1000 {
        put_bad_on(&server, &format!("{id:03}"));
    }
    let judged = format!(
        "WITH RECURSIVE n (id) AS (SELECT {WAITING} UNION ALL SELECT id + 1 FROM n WHERE id < 999) \
         INSERT INTO partition_state (source, customer_id, query_name, logical_date, status, current_run_id, updated_at) \
         SELECT 'google_ads', printf('%03d', id), 'campaign', '2024-06-01', 'success', '{}', '' FROM n",
        run(1)
    );
    sqlx::query(sqlx::AssertSqlSafe(judged)).execute(&mut database).await.unwrap();
    let told = judge(&server.sink(), &state, &work()).await;
    assert_eq!((told.compared, told.judged.len()), (1000, WAITING));
    let lists = server.count(Op::List);
    assert!(lists <= 2000_usize.div_ceil(1000) + 1, "{lists} listings of 2,000 objects");
    assert_eq!(server.count(Op::Get), 2 * WAITING, "seal and payload of each");
    assert_eq!(server.count(Op::Head), 2 * WAITING, "each failure is confirmed");
    assert_eq!(server.requests(), 4 * WAITING + lists);
    judge(&server.sink(), &state, &work()).await;
    assert_eq!(server.requests(), 4 * WAITING + 2 * lists, "nothing waits, nothing is read");
}

#[tokio::test]
async fn runs_that_can_never_be_validated_do_not_hide_the_others() {
    let (backend, shared) = (Memory::default(), Arc::new(MemoryState::new()));
    let state: Arc<dyn PartitionState> = shared;
    for id in 100..140 {
        let id = id.to_string();
        seal(&RawSink::new(backend.store()), &customer(&id), &run(1), &rows("long", 1))
            .await
            .unwrap();
        if id.ends_with('0') {
            put_newer(&backend, &id).await;
        }
    }
    let short = ["{}".to_owned()];
    seal(&RawSink::new(backend.store()), &customer("200"), &run(1), &short).await.unwrap();
    let options = SinkOptions::default().max_row_bytes(10);
    let sink = RawSink::with(Arc::new(backend.store()), options, Runtime::default());
    let told = judge(&sink, &state, &work()).await;
    assert!(told.end.is_none(), "{:?}", told.end);
    let kinds = |kind| told.judged.iter().filter(|(.., outcome)| *outcome == Err(kind)).count();
    assert_eq!((kinds(ErrorKind::Invalid), kinds(ErrorKind::Unsupported)), (36, 4));
    assert_eq!(told.judged.last().unwrap().2, Ok(true));
}
