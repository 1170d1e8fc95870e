//! Scrubs: exactly the damaged and lost runs are found.

mod drawn; // random damage, compared with a model
mod selected; // samples, shards and resumed scrubs
mod stated; // authority, withdrawals, malformed records, and what is recorded

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, PartitionKey, RawSink, Result, RunId,
    layout::Place,
    partition::Selection,
    sink::LandedPartition,
    state::{Entry, Filter, MemoryState, PartitionState},
    store::{FaultyStore, InjectedFault, Object, Operation, Reading, Side, When},
    validate::{self, Rules},
};
use rawsink_ops::scrub::{
    self, Condition, DamageKind, Event, Recorded, Recording, ResumePoint, Scope, Shard, Stop, Work,
};

use rawsink_testkit::{
    backend::{Backend, Meddling, Memory, on_every_store},
    sample::{customer, key, path, payload, rows, run, seal},
};

on_every_store!(
    g20_each_kind_of_damage_is_found,
    runs_of_other_software_are_compared_with_what_was_validated,
    a_part_of_a_listing_is_read_alone,
);

fn now() -> Timestamp {
    "2024-06-04T00:00:00Z".parse().unwrap()
}

fn work() -> Work {
    Work {
        partitions: Selection::default(),
        shard: Shard::WHOLE,
        scope: Scope::Sealed,
        sample: None,
        after: None,
        recording: Recording::Nothing,
        jobs: NonZeroUsize::new(3).unwrap(),
        stop: Stop::default(),
    }
}

fn current() -> Work {
    Work { scope: Scope::Current, ..work() }
}

/// The events of one scrub.
#[derive(Default)]
struct Told {
    selected: usize,
    sampled: usize,
    /// The runs in the order of their results: path and condition, or kind of error.
    read: Vec<(String, String)>,
    /// Details of damaged runs.
    details: BTreeMap<String, String>,
    recorded: usize,
    unusable: Vec<Error>,
    end: Option<Error>,
    resume: ResumePoint,
}

impl Told {
    /// Returns the condition of each run; each run is read once.
    fn conditions(&self) -> BTreeMap<String, String> {
        let conditions: BTreeMap<_, _> = self.read.iter().cloned().collect();
        assert_eq!(conditions.len(), self.read.len(), "a run was read twice: {:?}", self.read);
        conditions
    }

    /// Returns the conditions of runs that are not intact, by customer.
    fn damaged(&self) -> BTreeMap<String, String> {
        let damaged = self.read.iter().filter(|(_, condition)| condition != "intact");
        let customer = |path: &str| {
            let place = Place::parse(path, "").unwrap();
            place.partition().unwrap().customer_id().to_owned()
        };
        damaged.map(|(path, condition)| (customer(path), condition.clone())).collect()
    }

    fn add(&mut self, event: Event) {
        let read = match event {
            Event::Selected { runs, sampled } => {
                self.selected += runs;
                self.sampled += sampled;
                return;
            }
            Event::UnusableRecord(error) | Event::Unlisted(error) => {
                return self.unusable.push(error);
            }
            Event::Read(read) => read,
        };
        self.resume.add(&read);
        let path = Place::of_run(&read.key, &read.run).to_string();
        let condition = match &read.outcome {
            Ok(Condition::Intact) => "intact".to_owned(),
            Ok(Condition::Erased) => "erased".to_owned(),
            Ok(Condition::Damaged(damage)) => {
                self.details.insert(path.clone(), damage.detail.clone());
                self.recorded += usize::from(matches!(damage.recorded, Recorded::Yes));
                let authority = if damage.has_authority { " with authority" } else { "" };
                format!("{}{authority}", damage.kind.as_str())
            }
            Err(error) => {
                assert_eq!(error.place(), Some(path.as_str()));
                error.kind().to_string()
            }
        };
        self.read.push((path, condition));
    }
}

/// Scrubs, and stops while the n-th chunk of all payloads is read.
async fn scrubbed_until(
    sink: &RawSink,
    state: &Arc<dyn PartitionState>,
    work: &Work,
    chunks: usize,
) -> Told {
    let (read, stop) = (AtomicUsize::new(0), work.stop.clone());
    let progress = move |_| {
        if read.fetch_add(1, Ordering::SeqCst) + 1 >= chunks {
            stop.stop();
        }
    };
    told_by(scrub::all(sink, state, work, Arc::new(progress))).await
}

async fn told_by(mut events: BoxStream<'static, Result<Event>>) -> Told {
    let mut told = Told::default();
    while let Some(event) = events.next().await {
        assert!(told.end.is_none(), "an error ends the stream");
        match event {
            Ok(event) => told.add(event),
            Err(error) => told.end = Some(error),
        }
    }
    told
}

async fn scrubbed(sink: &RawSink, state: &Arc<dyn PartitionState>, work: &Work) -> Told {
    scrubbed_until(sink, state, work, usize::MAX).await
}

/// Seals a run and gives it authority.
async fn land(sink: &RawSink, state: &dyn PartitionState, key: &PartitionKey, run: &RunId) {
    seal(sink, key, run, &rows("a", 3)).await.unwrap();
    validated(sink, state, key, run).await;
}

async fn validated(sink: &RawSink, state: &dyn PartitionState, key: &PartitionKey, run: &RunId) {
    let validation = validate::run(sink, state, key, run, Rules::default()).await.unwrap();
    assert!(validation.passed(), "{validation:?}");
}

fn texts<const N: usize>(expected: [(&str, &str); N]) -> BTreeMap<String, String> {
    let texts = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    texts.into_iter().collect()
}

async fn g20_each_kind_of_damage_is_found(backend: &dyn Backend) {
    let (sink, memory) = (RawSink::new(backend.store()), MemoryState::new());
    let state: Arc<dyn PartitionState> = Arc::new(memory);
    let ids =
        ["intact", "flipped", "cut", "longer", "bare", "garbage", "unsealed", "other", "gone"];
    for id in ids {
        land(&sink, &*state, &customer(id), &run(1)).await;
        assert_eq!(scrubbed(&sink, &state, &work()).await.damaged(), texts([]), "{id}");
    }
    let place = |id: &str| path(&customer(id), &run(1));
    let whole = payload(&rows("a", 3));
    let mut flipped = whole.clone();
    flipped[15] ^= 1;
    let longer = [&whole[..], b"{}\n"].concat();
    for (id, object, content) in [
        ("flipped", Object::Payload, Some(&flipped[..])),
        ("cut", Object::Payload, Some(&whole[..whole.len() - 1])),
        ("longer", Object::Payload, Some(&longer)),
        ("bare", Object::Payload, None),
        ("garbage", Object::Seal, Some(b"{\"source\": ")),
        ("unsealed", Object::Seal, None),
        ("other", Object::Seal, None),
        ("gone", Object::Seal, None),
        ("gone", Object::Payload, None),
    ] {
        backend.tamper(&place(id), object, content).await;
    }
    // The same run again, as long as before, with other bytes.
    seal(&sink, &customer("other"), &run(1), &rows("b", 3)).await.unwrap();
    let before = records(&*state).await;
    let mut expected = texts([
        ("bare", "payload_missing with authority"),
        ("cut", "payload_differs with authority"),
        ("flipped", "payload_differs with authority"),
        ("garbage", "seal_unreadable with authority"),
        ("longer", "payload_differs with authority"),
        ("other", "seal_replaced with authority"),
        ("unsealed", "lost with authority"),
    ]);
    let told = scrubbed(&sink, &state, &work()).await;
    assert_eq!((told.damaged(), told.read.len()), (expected.clone(), ids.len() - 1));
    for (id, detail) in [
        ("flipped", "the payload has SHA-256 "),
        ("cut", " bytes, expected "),
        ("bare", "the run is sealed, but its payload is missing"),
        ("unsealed", "the run has a payload but is not sealed"),
        ("other", "metadata.json is not the one that was validated"),
    ] {
        let told = &told.details[place(id).as_str()];
        assert!(told.contains(detail), "{id}: {told}");
    }
    // Only the state knows of a run without any file.
    expected.insert("gone".to_owned(), "lost with authority".to_owned());
    let told = scrubbed(&sink, &state, &current()).await;
    assert_eq!((told.damaged(), told.read.len()), (expected, ids.len()));
    assert_eq!(told.details[place("gone").as_str()], "the run does not exist");
    assert_eq!(records(&*state).await, before, "nothing is recorded unless asked for");
}

async fn a_part_of_a_listing_is_read_alone(backend: &dyn Backend) {
    let (sink, memory) = (RawSink::new(backend.store()), MemoryState::new());
    let state: Arc<dyn PartitionState> = Arc::new(memory);
    for id in ["elsewhere", "flipped", "gone", "intact"] {
        land(&sink, &*state, &customer(id), &run(1)).await;
        if id != "intact" {
            let place = path(&customer(id), &run(1));
            backend.tamper(&place, Object::Payload, Some(b"{}\n")).await;
        }
    }
    let landed: Vec<_> = sink.landed(&Selection::default()).try_collect().await.unwrap();
    for object in [Object::Seal, Object::Payload] {
        backend.tamper(&path(&customer("gone"), &run(1)), object, None).await;
    }
    let part = async |partitions: Vec<LandedPartition>| {
        let listed = stream::iter(partitions.into_iter().map(Ok)).boxed();
        let told =
            told_by(scrub::of_landed(&sink, &state, listed, &work(), Arc::new(|_| {}))).await;
        (told.damaged(), told.read.len())
    };
    let expected =
        texts([("flipped", "payload_differs with authority"), ("gone", "lost with authority")]);
    assert_eq!(part(landed[1..].to_vec()).await, (expected.clone(), 3));
    // A caller who knows no runs reads those that have authority.
    let bare = landed[1..].iter().map(|landed| LandedPartition { runs: vec![], ..landed.clone() });
    assert_eq!(part(bare.collect()).await, (expected, 3));
}

async fn records(state: &dyn PartitionState) -> Vec<Entry> {
    let entries = state.list(&Filter::default()).await.unwrap();
    entries.into_iter().map(Result::unwrap).collect()
}

async fn runs_of_other_software_are_compared_with_what_was_validated(backend: &dyn Backend) {
    let (sink, memory) = (RawSink::new(backend.store()), MemoryState::new());
    let state: Arc<dyn PartitionState> = Arc::new(memory);
    let place = path(&key(), &run(1));
    backend.tamper(&place, Object::Payload, Some(b"{\"a\":1}\n")).await;
    backend.tamper(&place, Object::Seal, Some(b"{\"record_count\":1}")).await;
    let condition = async |work: Work| scrubbed(&sink, &state, &work).await.conditions();
    let is = |text: &str| texts([(place.as_str(), text)]);
    assert_eq!(condition(work()).await, is("intact"));
    assert_eq!(condition(current()).await, texts([]), "no run has authority");
    validated(&sink, &*state, &key(), &run(1)).await;
    assert_eq!(condition(current()).await, is("intact"));
    backend.tamper(&place, Object::Payload, Some(b"{\"a\":2}\n")).await;
    assert_eq!(condition(work()).await, is("payload_differs with authority"));
    assert_eq!(condition(current()).await, is("payload_differs with authority"));
    // Without a validation only the number of rows is known.
    let state: Arc<dyn PartitionState> = Arc::new(MemoryState::new());
    let condition = async || scrubbed(&sink, &state, &work()).await.conditions();
    assert_eq!(condition().await, is("intact"));
    backend.tamper(&place, Object::Payload, Some(b"{}\n{}\n")).await;
    assert_eq!(condition().await, is("payload_differs"));
}

/// Answers the first reading of an object with other bytes of the same length, as bad memory does.
fn proxied(backend: &Memory, wanted: Object) -> RawSink {
    let is_first = Arc::new(AtomicBool::new(true));
    let meddling = Meddling::with_readings(backend.store(), move |object, reading| {
        if object == wanted && is_first.swap(false, Ordering::SeqCst) {
            let garbage = Bytes::from(vec![b'<'; usize::try_from(reading.bytes).unwrap()]);
            let chunks = stream::once(std::future::ready(Ok(garbage))).boxed();
            return Reading { chunks, ..reading };
        }
        reading
    });
    RawSink::new(meddling)
}

#[tokio::test]
async fn a_difference_that_the_second_reading_does_not_show_is_no_damage() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    land(&sink, &state, &key(), &run(1)).await;
    let state: Arc<dyn PartitionState> = Arc::new(state);
    for object in [Object::Payload, Object::Seal] {
        for work in [work(), current()] {
            let told = scrubbed(&proxied(&backend, object), &state, &work).await;
            assert_eq!(told.conditions(), texts([(path(&key(), &run(1)).as_str(), "intact")]));
        }
    }
    // The same reading, made wrong for good.
    backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"<html>login</html>")).await;
    let told = scrubbed(&sink, &state, &work()).await;
    assert_eq!(told.damaged().len(), 1);
}

#[tokio::test]
async fn an_outage_stops_the_scrub_and_is_no_damage() {
    let (backend, state) = (Memory::default(), MemoryState::new());
    let sink = RawSink::new(backend.store());
    for id in 0..60 {
        land(&sink, &state, &customer(&format!("{id:02}")), &run(1)).await;
    }
    let state: Arc<dyn PartitionState> = Arc::new(state);
    for work in [work(), current()] {
        // Seal and payload of the first ten runs can be read.
        let faults = (21..=200).map(|nth| InjectedFault {
            operation: Operation::Read,
            side: Side::Before,
            kind: ErrorKind::Unavailable,
            when: When::Nth(nth),
        });
        let broken = RawSink::new(FaultyStore::new(backend.store(), faults, 0));
        let told = scrubbed(&broken, &state, &work).await;
        let unread = told.damaged();
        assert!(unread.values().all(|condition| condition == "Unavailable"), "{unread:?}");
        assert!((20..=20 + work.jobs.get()).contains(&unread.len()), "{}", unread.len());
        let end = told.end.unwrap();
        assert_eq!(end.kind(), ErrorKind::Unavailable);
        assert!(end.message().contains("20 consecutive runs"), "{end}");
        // The rest, which begins before the first run that could not be read.
        let after = told.resume.after().unwrap();
        let after = Some((after.partition().unwrap(), after.run().unwrap()));
        let rest = scrubbed(&sink, &state, &Work { after, ..work }).await;
        let rest = rest.conditions();
        let first = unread.keys().next().unwrap();
        assert!(rest.keys().any(|path| path.contains(&format!("customer_id={first}/"))));
        assert!(rest.values().all(|condition| condition == "intact"));
        let before: Vec<_> = told.read.iter().filter(|(_, text)| text == "intact").collect();
        let all: BTreeSet<_> =
            before.into_iter().map(|(path, _)| path).chain(rest.keys()).collect();
        assert_eq!(all.len(), 60);
    }
}

#[test]
fn every_kind_of_damage_has_its_name_in_json() {
    for kind in DamageKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
