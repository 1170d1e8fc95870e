//! Repairs: the bytes that were sealed or validated, or nothing.

use std::{
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rawsink::{
    ErrorKind, RawSink, Result, RunId,
    consume::open_current,
    layout::Place,
    state::{Change, MemoryState, PartitionState},
    store::{FaultyStore, InjectedFault, Object, Operation, Side, When},
    validate::{self, Rules},
};
use rawsink_ops::{
    clean::{CleanPolicy, Payloads, execute, plan},
    copy::{self, CopyFault, CopyOutcome, Progress, RepairOutcome},
};

use super::{STORES, both, copied, foreign, many_rows, on, stored};
use rawsink_testkit::{
    backend::{Backend, Meddling, Memory},
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{customer, key, path, read, rows, run, seal},
};

/// A backup, its damaged copy, and the state that validated the copy.
struct Pair {
    backup: Memory,
    damaged: Box<dyn Backend>,
    state: MemoryState,
}

impl Pair {
    /// Seals a run in the backup and copies it.
    async fn new(damaged: Box<dyn Backend>) -> Self {
        Self::of_rows(damaged, &many_rows()).await
    }

    async fn of_rows(damaged: Box<dyn Backend>, rows: &[String]) -> Self {
        let pair = Self { backup: Memory::default(), damaged, state: MemoryState::new() };
        seal(&pair.from(), &key(), &run(1), rows).await.unwrap();
        copied(&pair.from(), &pair.to()).await.unwrap();
        pair
    }

    /// The same for a run that other software sealed.
    async fn foreign(damaged: Box<dyn Backend>) -> Self {
        let pair = Self { backup: Memory::default(), damaged, state: MemoryState::new() };
        foreign(&pair.backup, b"{\"record_count\":2}").await;
        copied(&pair.from(), &pair.to()).await.unwrap();
        pair
    }

    fn from(&self) -> RawSink {
        RawSink::new(self.backup.store())
    }

    fn to(&self) -> RawSink {
        RawSink::new(self.damaged.store())
    }

    /// Validates the copy.
    async fn validated(self) -> Self {
        let (to, rules) = (self.to(), Rules::default());
        let judged = validate::run(&to, &self.state, &key(), &run(1), rules).await.unwrap();
        assert!(judged.passed(), "{judged:?}");
        self
    }

    async fn tamper(&self, object: Object, content: Option<&[u8]>) {
        self.damaged.tamper(&path(&key(), &run(1)), object, content).await;
    }

    async fn plan(&self) -> Result<RepairOutcome> {
        let (from, to) = (self.from(), self.to());
        copy::plan_repair(&from, &to, &self.state, &key(), &run(1), &on()).await
    }

    async fn repair(&self) -> Result<RepairOutcome> {
        self.repair_in(&self.to()).await
    }

    async fn repair_in(&self, to: &RawSink) -> Result<RepairOutcome> {
        copy::repair_run(&self.from(), to, &self.state, &key(), &run(1), &on()).await
    }

    async fn stored(&self) -> [Option<Bytes>; 2] {
        both(&self.damaged.store()).await
    }

    async fn assert_equal(&self, context: &str) {
        assert!(both(&self.backup.store()).await == self.stored().await, "{context}");
        let mut names = self.damaged.residue(&path(&key(), &run(1))).await;
        names.retain(|name| name != "./");
        names.sort_unstable();
        assert_eq!(names, ["metadata.json", "payload.jsonl"], "{context}");
        assert_eq!(self.repair().await.unwrap(), RepairOutcome::Intact, "{context}");
    }

    /// Asserts that neither plan nor repair does anything, with this kind of error.
    async fn assert_refused(&self, kind: ErrorKind, says: &str) -> rawsink::Error {
        let before = self.stored().await;
        let refused = self.plan().await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.message().contains(says), "{refused}");
        assert_eq!(self.repair().await.unwrap_err().kind(), kind);
        assert!(self.stored().await == before, "{says}");
        refused
    }
}

/// The payload with a flipped byte, cut, with one more row, empty, and none.
fn damaged_payloads(payload: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut flipped = payload.to_vec();
    flipped[payload.len() / 2] ^= 1;
    let longer = [payload, b"{}\n"].concat();
    vec![Some(flipped), Some(payload[..7].to_vec()), Some(longer), Some(Vec::new()), None]
}

fn damage(outcome: &RepairOutcome) -> (bool, bool, u64) {
    let damage = outcome.damage().unwrap_or_else(|| panic!("{outcome:?}"));
    (damage.seal.is_some(), damage.payload.is_some(), damage.bytes)
}

#[tokio::test]
async fn g03_a_damaged_payload_is_planned_then_repaired_on_every_store() {
    for (name, fresh) in STORES {
        let payload = stored(&Pair::new(fresh()).await.backup.store(), Object::Payload).await;
        let payload = payload.unwrap();
        for (n, damaged) in damaged_payloads(&payload).iter().enumerate() {
            let (pair, context) = (Pair::new(fresh()).await, format!("{name}, damage {n}"));
            assert_eq!(pair.plan().await.unwrap(), RepairOutcome::Intact, "{context}");
            pair.tamper(Object::Payload, damaged.as_deref()).await;
            let before = pair.stored().await;
            let planned = pair.plan().await.unwrap();
            assert!(matches!(planned, RepairOutcome::Damaged(_)), "{context}: {planned:?}");
            assert_eq!(damage(&planned), (false, true, payload.len() as u64), "{context}");
            assert!(pair.stored().await == before, "{context}: a plan changes nothing");
            let repaired = pair.repair().await.unwrap();
            assert_eq!(repaired.damage(), planned.damage(), "{context}");
            assert_eq!(repaired.name(), "repaired", "{context}");
            pair.assert_equal(&context).await;
        }
    }
}

#[tokio::test]
async fn g03_an_edited_seal_is_repaired_with_the_evidence_of_the_verdict_log() {
    for (name, fresh) in STORES {
        let long = vec![b' '; 5 << 20];
        for edited in [&b"{}"[..], b"", b"\xff\x00", b"{\"record_count\":99}", &long[..]] {
            let pair = Pair::new(fresh()).await.validated().await;
            pair.tamper(Object::Seal, Some(edited)).await;
            let planned = pair.plan().await.unwrap();
            let seal = stored(&pair.backup.store(), Object::Seal).await.unwrap();
            assert_eq!(damage(&planned), (true, false, seal.len() as u64), "{name}");
            assert_eq!(pair.repair().await.unwrap().name(), "repaired", "{name}");
            pair.assert_equal(name).await;
            let mut current = open_current(&pair.to(), &pair.state, &key()).await.unwrap();
            current.drain().await.unwrap();
        }
    }
}

#[tokio::test]
async fn g03_seal_and_payload_are_repaired_together() {
    for (name, fresh) in STORES {
        let pair = Pair::new(fresh()).await.validated().await;
        pair.tamper(Object::Seal, Some(b"{}")).await;
        pair.tamper(Object::Payload, Some(b"{}\n")).await;
        let repaired = pair.repair().await.unwrap();
        let (seal, payload, _) = damage(&repaired);
        assert!(seal && payload, "{name}: {repaired:?}");
        pair.assert_equal(name).await;
    }
}

#[tokio::test]
async fn g03_an_edited_seal_without_evidence_is_refused() {
    let pair = Pair::new(Box::new(Memory::default())).await;
    pair.tamper(Object::Seal, Some(b"{}")).await;
    let refused = pair.assert_refused(ErrorKind::Corrupt, "does not show which one").await;
    assert_eq!(CopyFault::of(&refused), Some(CopyFault::NoEvidence));
}

#[tokio::test]
async fn g03_a_different_run_of_the_same_name_is_refused() {
    // The destination's run was validated.
    let pair = Pair::new(Box::new(Memory::default())).await.validated().await;
    let place = path(&key(), &run(1));
    let other = Memory::default();
    seal(&RawSink::new(other.store()), &key(), &run(1), &rows("other", 3)).await.unwrap();
    for object in [Object::Payload, Object::Seal] {
        let bytes = stored(&other.store(), object).await;
        pair.backup.tamper(&place, object, bytes.as_deref()).await;
    }
    let refused =
        pair.assert_refused(ErrorKind::Corrupt, "the destination's is the validated").await;
    assert_eq!(CopyFault::of(&refused), None);
    // Neither was.
    pair.tamper(Object::Seal, Some(b"{}")).await;
    pair.assert_refused(ErrorKind::Corrupt, "neither one").await;
}

#[tokio::test]
async fn a_lost_seal_is_copied_byte_for_byte_and_the_run_is_again_what_was_validated() {
    for (name, fresh) in STORES {
        for payload in ["kept", "damaged", "lost"] {
            let pair = Pair::new(fresh()).await.validated().await;
            pair.tamper(Object::Seal, None).await;
            match payload {
                "damaged" => pair.tamper(Object::Payload, Some(b"{}\n")).await,
                "lost" => pair.tamper(Object::Payload, None).await,
                _ => {}
            }
            let context = format!("{name}, the payload is {payload}");
            let before = pair.stored().await;
            assert_eq!(pair.repair().await.unwrap(), RepairOutcome::Missing, "{context}");
            assert!(pair.stored().await == before, "{context}: a repair copies nothing");
            let lost = open_current(&pair.to(), &pair.state, &key()).await.unwrap_err();
            assert_eq!(lost.kind(), ErrorKind::Corrupt, "{context}");
            let outcome = copied(&pair.from(), &pair.to()).await.unwrap();
            assert_eq!(outcome, CopyOutcome::Copied, "{context}");
            pair.assert_equal(&context).await;
            let mut current = open_current(&pair.to(), &pair.state, &key()).await.unwrap();
            current.drain().await.unwrap();
        }
    }
}

#[tokio::test]
async fn g03_a_damaged_source_is_refused_and_nothing_changes() {
    let intact = Pair::new(Box::new(Memory::default())).await;
    let payload = stored(&intact.backup.store(), Object::Payload).await.unwrap();
    for damaged in damaged_payloads(&payload) {
        let pair = Pair::new(Box::new(Memory::default())).await;
        pair.tamper(Object::Payload, None).await;
        let place = path(&key(), &run(1));
        pair.backup.tamper(&place, Object::Payload, damaged.as_deref()).await;
        pair.assert_refused(ErrorKind::Corrupt, "the source is damaged").await;
    }
    let pair = Pair::new(Box::new(Memory::default())).await;
    pair.tamper(Object::Payload, None).await;
    let place = path(&key(), &run(1));
    pair.backup.tamper(&place, Object::Seal, Some(b"[]")).await;
    pair.assert_refused(ErrorKind::Corrupt, "the source is damaged").await;
    pair.backup.tamper(&place, Object::Seal, None).await;
    pair.assert_refused(ErrorKind::NotSealed, "not sealed").await;
}

#[tokio::test]
async fn g11_a_foreign_payload_is_repaired_only_if_something_covers_it() {
    let other = &b"{\"n\":1}\r\n{\"n\":3}"[..];
    // A missing payload cannot be the right one.
    let pair = Pair::foreign(Box::new(Memory::default())).await;
    pair.tamper(Object::Payload, None).await;
    assert_eq!(pair.repair().await.unwrap().name(), "repaired");
    pair.assert_equal("missing").await;
    // Of two that differ, the validated one is right.
    pair.tamper(Object::Payload, Some(other)).await;
    let refused = pair.assert_refused(ErrorKind::Corrupt, "nothing shows which one").await;
    assert_eq!(CopyFault::of(&refused), Some(CopyFault::NoEvidence));
    let pair = Pair::foreign(Box::new(Memory::default())).await.validated().await;
    pair.tamper(Object::Payload, Some(other)).await;
    assert_eq!(pair.repair().await.unwrap().name(), "repaired");
    pair.assert_equal("validated").await;
    pair.backup.tamper(&path(&key(), &run(1)), Object::Payload, Some(other)).await;
    pair.assert_refused(ErrorKind::Corrupt, "its payload is not the validated one").await;
}

#[tokio::test]
async fn a_withdrawn_run_is_not_repaired() {
    let pair = Pair::new(Box::new(Memory::default())).await.validated().await;
    let withdraw = Change::Withdraw { run_id: run(1), reason: "erased".to_owned() };
    let now = "2024-06-02T05:00:00Z".parse().unwrap();
    pair.state.change(&key(), &withdraw, now).await.unwrap();
    assert_eq!(pair.repair().await.unwrap(), RepairOutcome::Intact);
    pair.tamper(Object::Payload, None).await;
    assert_eq!(pair.plan().await.unwrap(), RepairOutcome::Withdrawn);
    assert_eq!(pair.repair().await.unwrap(), RepairOutcome::Withdrawn);
    assert_eq!(pair.stored().await[0], None);
    // Nothing says that it is missing: a copy would land erased data again.
    pair.tamper(Object::Seal, None).await;
    assert_eq!(pair.repair().await.unwrap(), RepairOutcome::Withdrawn);
    pair.tamper(Object::Seal, Some(b"{}")).await;
    assert_eq!(pair.repair().await.unwrap(), RepairOutcome::Withdrawn);
}

#[tokio::test]
async fn a_payload_is_repaired_without_any_state() {
    let pair = Pair::new(Box::new(Memory::default())).await;
    let missing = tempfile::tempdir().unwrap();
    let state = rawsink::state::SqliteState::new(missing.path().join("state.db"));
    pair.tamper(Object::Payload, None).await;
    let (from, to) = (pair.from(), pair.to());
    let repaired = copy::repair_run(&from, &to, &state, &key(), &run(1), &on()).await.unwrap();
    assert_eq!(repaired.name(), "repaired");
    pair.assert_equal("repaired").await;
    assert!(!missing.path().join("state.db").exists());
}

/// A fault before and after every call of the destination.
#[tokio::test]
async fn a_repair_succeeds_when_rerun_after_any_fault() {
    let mut failed = 0;
    for (name, fresh) in STORES {
        for operation in Operation::ALL {
            for side in [Side::Before, Side::After] {
                for nth in 1..20 {
                    let pair = Pair::of_rows(fresh(), &rows("a", 3)).await.validated().await;
                    pair.tamper(Object::Seal, Some(b"{}")).await;
                    pair.tamper(Object::Payload, Some(b"{}\n")).await;
                    let (kind, when) = (ErrorKind::Unavailable, When::Nth(nth));
                    let fault = InjectedFault { operation, side, kind, when };
                    let faulty = FaultyStore::new(pair.damaged.store(), [fault], 0);
                    let outcome = pair.repair_in(&RawSink::new(faulty.clone())).await;
                    if faulty.injected() == 0 {
                        break;
                    }
                    let context = format!("{name} {fault:?}: {outcome:?}");
                    failed += u32::from(outcome.is_err());
                    pair.repair().await.unwrap_or_else(|error| panic!("{context}, {error}"));
                    pair.assert_equal(&context).await;
                }
            }
        }
    }
    assert!(failed > 20, "{failed} repairs failed");
}

#[tokio::test]
async fn a_source_that_breaks_between_the_check_and_the_repair_changes_nothing() {
    for (name, fresh) in STORES {
        let pair = Pair::new(fresh()).await;
        pair.tamper(Object::Payload, Some(b"{}\n")).await;
        let before = pair.stored().await;
        let reads = AtomicU64::new(0);
        let breaking = Meddling::with_readings(pair.backup.store(), move |object, mut reading| {
            // The first reading is the check.
            let is_payload = object == Object::Payload;
            if is_payload && reads.fetch_add(1, Ordering::Relaxed) == 1 {
                let blank = |chunk: Bytes| Bytes::from(vec![b' '; chunk.len()]);
                reading.chunks = reading.chunks.map_ok(blank).boxed();
            }
            reading
        });
        let from = RawSink::new(breaking);
        let (to, state) = (pair.to(), &pair.state);
        let refused = copy::repair_run(&from, &to, state, &key(), &run(1), &on()).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        assert!(pair.stored().await == before, "{name}");
        pair.repair().await.unwrap();
        pair.assert_equal(name).await;
    }
}

#[tokio::test]
async fn a_run_that_still_differs_after_its_repair_is_corrupt() {
    let pair = Pair::new(Box::new(Memory::default())).await;
    pair.tamper(Object::Payload, None).await;
    let lying = Meddling::with_readings(pair.damaged.store(), |object, mut reading| {
        if object == Object::Payload {
            let garbage = vec![b'x'; usize::try_from(reading.bytes).unwrap()];
            reading.chunks = stream::iter([Ok(Bytes::from(garbage))]).boxed();
        }
        reading
    });
    let differs = pair.repair_in(&RawSink::new(lying)).await.unwrap_err();
    assert_eq!(differs.kind(), ErrorKind::Corrupt, "{differs}");
}

#[tokio::test]
async fn a_stopped_repair_changes_nothing() {
    for (name, fresh) in STORES {
        let pair = Pair::new(fresh()).await;
        pair.tamper(Object::Payload, Some(b"{}\n")).await;
        let before = pair.stored().await;
        let stop: Progress = Arc::new(|_| ControlFlow::Break(()));
        let (from, to) = (pair.from(), pair.to());
        let stopped = copy::repair_run(&from, &to, &pair.state, &key(), &run(1), &stop).await;
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Closed, "{name}");
        assert!(pair.stored().await == before, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_repairs_leave_the_right_bytes() {
    for (name, fresh) in STORES {
        for _ in 0..5 {
            let pair = Arc::new(Pair::new(fresh()).await.validated().await);
            pair.tamper(Object::Seal, Some(b"{}")).await;
            pair.tamper(Object::Payload, Some(b"{}\n")).await;
            let repairs: Vec<_> = (0..4)
                .map(|_| {
                    let pair = pair.clone();
                    tokio::spawn(async move { pair.repair().await })
                })
                .collect();
            for repair in repairs {
                match repair.await.unwrap() {
                    Ok(RepairOutcome::Repaired(_) | RepairOutcome::Intact) => {}
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    outcome => panic!("{name}: {outcome:?}"),
                }
            }
            pair.assert_equal(name).await;
        }
    }
}

#[tokio::test]
async fn many_runs_are_planned_and_repaired_and_one_error_stops_no_other() {
    let (backup, damaged) = (Memory::default(), Memory::default());
    let (from, to) = (RawSink::new(backup.store()), RawSink::new(damaged.store()));
    let place = |n: u16| (customer(&format!("{n}")), run(n));
    for n in 1..=6 {
        let (key, run) = place(n);
        seal(&from, &key, &run, &rows("a", 5)).await.unwrap();
        if n < 6 {
            copy::run(&from, &to, &key, &run, &on()).await.unwrap();
        }
    }
    let at = |n: u16| path(&place(n).0, &place(n).1);
    damaged.tamper(&at(2), Object::Payload, None).await;
    damaged.tamper(&at(3), Object::Payload, Some(b"{}\n")).await;
    damaged.tamper(&at(4), Object::Seal, Some(b"{}")).await;
    let state: Arc<dyn PartitionState> = Arc::new(MemoryState::new());
    let jobs = NonZeroUsize::new(3).unwrap();
    let planned =
        copy::plan_repairs(&from, &to, &state, from.runs_below(&Place::top()), jobs, on());
    let repaired = |planned| {
        let done = if planned { "damaged" } else { "repaired" };
        [(1, "intact"), (2, done), (3, done), (4, "Corrupt"), (5, "intact"), (6, "missing")]
            .map(|(n, name)| (run(n), name))
    };
    assert_eq!(outcomes(planned).await, repaired(true));
    for again in [false, true] {
        let runs = from.runs_below(&Place::top());
        let done = outcomes(copy::repair_runs(&from, &to, &state, runs, jobs, on())).await;
        if !again {
            assert_eq!(done, repaired(false));
            continue;
        }
        let intact = done.iter().filter(|(_, name)| *name == "intact").count();
        assert_eq!(intact, 4, "a second repair is a no-op: {done:?}");
    }
    let stop: Progress = Arc::new(|_| ControlFlow::Break(()));
    let runs = from.runs_below(&Place::top());
    let none = copy::repair_runs(&from, &to, &state, runs, jobs, stop).count().await;
    assert_eq!(none, 0, "after a stop no run is started");
}

async fn outcomes(
    done: stream::BoxStream<'static, Result<copy::Processed<RepairOutcome>>>,
) -> Vec<(RunId, &'static str)> {
    let done: Vec<_> = done.try_collect().await.unwrap();
    let name = |done: copy::Processed<RepairOutcome>| {
        let name = done.outcome.map_or_else(|error| error.kind().name(), |outcome| outcome.name());
        (done.run.run_id, name)
    };
    let mut names: Vec<_> = done.into_iter().map(name).collect();
    names.sort_unstable();
    names
}

/// A restore whose abort is refused leaves its upload in a sealed run, as a crash does.
#[tokio::test]
async fn an_upload_that_a_crashed_repair_left_in_a_sealed_run_is_cleaned() {
    let server = S3Server::default();
    let (backup, sink) = (Memory::default(), server.sink());
    let source = RawSink::new(backup.store());
    seal(&source, &key(), &run(1), &many_rows()).await.unwrap();
    copied(&source, &sink).await.unwrap();
    server.tamper(&path(&key(), &run(1)), Object::Payload, None);
    server.habit(Habit::always(Op::Part, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    server.habit(Habit::always(Op::Abort, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    let state: Arc<dyn PartitionState> = Arc::new(MemoryState::new());
    let failed = copy::repair_run(&source, &sink, &*state, &key(), &run(1), &on()).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(server.residue(&path(&key(), &run(1))), ["metadata.json", "upload"]);
    server.behave();
    server.pass_hours(25);
    let older_than = std::time::Duration::from_hours(24);
    let policy = CleanPolicy { older_than, payloads: Payloads::UnderLock };
    let planned: Vec<_> =
        plan(&sink, &state, &Place::top(), policy).unwrap().try_collect().await.unwrap();
    assert_eq!(planned.len(), 1, "{planned:?}");
    assert_eq!(execute(&sink, &planned[0]).await.unwrap().unwrap().name(), "removed");
    assert_eq!(server.residue(&path(&key(), &run(1))), ["metadata.json"]);
    copy::repair_run(&source, &sink, &*state, &key(), &run(1), &on()).await.unwrap();
    assert_eq!(read(&sink, &key(), &run(1)).await.unwrap(), many_rows());
    assert_eq!(server.residue(&path(&key(), &run(1))), ["metadata.json", "payload.jsonl"]);
}
