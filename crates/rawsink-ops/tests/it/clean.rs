//! Leftovers of crashed writers: deleted by age, and live writers lose nothing.

mod bucket; // uploads and payloads over a server that may misbehave
mod racing; // live writers during a permanent cleanup

use std::{
    fs::{self, File},
    time::Duration,
};

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use rawsink::{
    Error, ErrorKind, RawSink,
    layout::Place,
    runtime::{FixedClock, Runtime},
    sink::SinkOptions,
    store::{Discarded, FaultyStore, InjectedFault, LeftoverKind, Object, Operation, Side, When},
};
use rawsink_ops::clean::{
    CleanPolicy, Fate, LEAST_AGE_WITHOUT_LOCK, Payloads, Planned, execute, plan,
};

use rawsink_testkit::{
    backend::{Backend, Directory},
    sample::{key, path, rows, run, seal},
    states::no_state,
};

const HOUR: Duration = Duration::from_hours(1);

fn older_than(older_than: Duration) -> CleanPolicy {
    CleanPolicy { older_than, ..CleanPolicy::default() }
}

async fn planned(sink: &RawSink, rules: CleanPolicy) -> (Vec<Planned>, Vec<Error>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let mut plan = plan(sink, &no_state(), &Place::top(), rules).unwrap();
    while let Some(planned) = plan.next().await {
        match planned {
            Ok(planned) => found.push(planned),
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

/// Executes a plan; returns the kind and result of each leftover.
async fn cleaned(sink: &RawSink, rules: CleanPolicy) -> Vec<(LeftoverKind, Discarded)> {
    let (found, errors) = planned(sink, rules).await;
    assert!(errors.is_empty(), "{errors:?}");
    let mut done = Vec::new();
    for planned in &found {
        if let Some(outcome) = execute(sink, planned).await.unwrap() {
            done.push((planned.leftover.found.kind, outcome));
        }
    }
    done
}

fn fates(found: &[Planned]) -> Vec<Fate> {
    found.iter().map(|planned| planned.fate).collect()
}

/// Returns a sink over a directory at a given time.
fn sink_at(backend: &Directory, now: Timestamp) -> RawSink {
    let runtime = Runtime { clock: std::sync::Arc::new(FixedClock(now)), ..Runtime::default() };
    RawSink::with(backend.store().0, SinkOptions::default(), runtime)
}

/// Sets a file's modification time.
fn touch(backend: &Directory, n: u16, name: &str, time: Timestamp) {
    let file = backend.at(&path(&key(), &run(n))).join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let file = File::options().append(true).create(true).open(file).unwrap();
    let since = Duration::try_from(time.as_duration()).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + since).unwrap();
}

#[tokio::test]
async fn leftovers_younger_than_the_age_are_kept() {
    let (backend, now) = (Directory::default(), "2024-06-09T12:00:00Z".parse().unwrap());
    let ago = |seconds| now - SignedDuration::from_secs(seconds);
    touch(&backend, 1, "payload.jsonl", ago(86_400));
    touch(&backend, 2, "payload.jsonl", ago(86_399));
    touch(&backend, 3, ".payload.jsonl.00000000000000000000000000000001", ago(100_000));
    touch(&backend, 4, ".metadata.json.00000000000000000000000000000001", ago(10));
    // With a slow clock nothing is old.
    touch(&backend, 5, "payload.jsonl", now + SignedDuration::from_hours(99));
    let sink = sink_at(&backend, now);
    let (found, errors) = planned(&sink, CleanPolicy::default()).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(fates(&found), [Fate::Remove, Fate::Young, Fate::Remove, Fate::Young, Fate::Young]);
    let ages: Vec<u64> = found.iter().map(|planned| planned.age.as_secs()).collect();
    assert_eq!(ages, [86_400, 86_399, 100_000, 10, 0]);
    for planned in &found {
        let outcome = execute(&sink, planned).await.unwrap();
        let removed = (planned.fate == Fate::Remove).then_some(Discarded::Removed);
        assert_eq!(outcome, removed, "{planned:?}");
    }
    let (found, _) = planned(&sink, CleanPolicy::default()).await;
    assert_eq!(fates(&found), [Fate::Young; 3]);
    assert_eq!(sink.list_partitions(&key()).await.unwrap(), [run(2), run(5)]);
}

#[tokio::test]
async fn a_directory_allows_any_age_because_locks_show_live_writers() {
    let backend = Directory::default();
    let sink = RawSink::new(backend.store());
    backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"left")).await;
    let mut writer = sink.write_partition(&key(), &run(2)).await.unwrap();
    writer.write_payload_line(b"{}").await.unwrap();
    let done = cleaned(&sink, older_than(Duration::ZERO)).await;
    assert_eq!(
        done,
        [(LeftoverKind::Payload, Discarded::Removed), (LeftoverKind::Staging, Discarded::InUse)]
    );
    writer.finalize(rawsink_testkit::sample::metadata(&key(), &run(2))).await.unwrap();
}

#[tokio::test]
async fn files_outside_the_layout_are_skipped() {
    let backend = Directory::default();
    let sink = RawSink::new(backend.store());
    for place in ["google_ads", "google_ads/customer_id=1/query_name=q", "other/tree/of/five/run"] {
        let dir = backend.root().join(place);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("payload.jsonl"), "x").unwrap();
    }
    assert_eq!(planned(&sink, older_than(Duration::ZERO)).await.0, []);
}

#[tokio::test]
async fn an_error_hides_one_leftover_and_no_other() {
    let backend = Directory::default();
    for n in 1..=4 {
        backend.tamper(&path(&key(), &run(n)), Object::Payload, Some(b"left")).await;
    }
    let fault = |operation| InjectedFault {
        operation,
        side: Side::Before,
        kind: ErrorKind::Denied,
        when: When::Nth(2),
    };
    let faults = [fault(Operation::Leftovers), fault(Operation::Discard)];
    let sink = RawSink::new(FaultyStore::new(backend.store(), faults, 0));
    let (found, errors) = planned(&sink, older_than(Duration::ZERO)).await;
    assert_eq!((found.len(), errors.len()), (3, 1));
    let mut failed = 0;
    for planned in &found {
        match execute(&sink, planned).await {
            Ok(outcome) => assert_eq!(outcome, Some(Discarded::Removed)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Denied);
                assert!(error.to_string().contains(run(3).as_str()), "{error}");
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 1);
    assert_eq!(cleaned(&sink, older_than(Duration::ZERO)).await.len(), 2);
}

#[tokio::test]
async fn without_locks_an_age_below_an_hour_is_refused() {
    let server = rawsink_testkit::s3_server::S3Server::default();
    let least = older_than(LEAST_AGE_WITHOUT_LOCK);
    assert!(plan(&server.sink(), &no_state(), &Place::top(), least).is_ok());
    let younger = older_than(Duration::from_secs(3599));
    let refused = plan(&server.sink(), &no_state(), &Place::top(), younger).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(server.requests(), 0, "nothing is asked before");
}

#[tokio::test]
async fn a_sealed_run_is_no_leftover_at_any_age() {
    let backend = Directory::default();
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 3)).await.unwrap();
    let rules = CleanPolicy { older_than: Duration::ZERO, payloads: Payloads::Everywhere };
    assert_eq!(planned(&sink, rules).await.0, []);
}
