//! The verdict log: what is logged, withdrawals, batches, and its absence.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hasher, RandomState},
};

use proptest::{
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof},
    strategy::ValueTree,
    test_runner::{RngSeed, TestRunner},
};
use rawsink::{
    ErrorKind, PartitionKey, RunId,
    state::{Change, Event, Evidence, History, Record, Status, replay},
};

#[cfg(feature = "postgres")]
use rawsink::state::{Outcome, PartitionState};

use super::{failed, now, passed};
use rawsink_testkit::{
    sample::{customer, key, run},
    states::StateBackend,
    suites::on_every_state,
};

on_every_state!(
    every_verdict_is_logged_with_its_evidence,
    g13_a_withdrawn_run_loses_authority_to_the_newest_other_run_that_passed,
    a_withdrawn_run_gets_no_verdict_until_it_is_restored,
    a_withdrawal_of_a_run_without_a_record_is_remembered,
    partitions_with_a_restored_run_are_found,
    a_batch_changes_all_records_in_its_order,
    a_verdict_on_a_run_that_is_no_longer_due_is_dropped,
    a_retry_makes_every_run_due_again,
    replaying_the_log_reproduces_every_record,
);

fn withdraw(n: u16) -> Change {
    Change::Withdraw { run_id: run(n), reason: "wrong currency".into() }
}

fn restore(n: u16) -> Change {
    Change::Restore { run_id: run(n) }
}

async fn history(backend: &dyn StateBackend) -> History {
    backend.state().history(&key()).await.unwrap()
}

/// Makes a change and returns the record after it.
async fn changed(backend: &dyn StateBackend, change: &Change) -> Option<Record> {
    backend.state().change(&key(), change, now()).await.unwrap()
}

async fn every_verdict_is_logged_with_its_evidence(backend: &dyn StateBackend) {
    assert_eq!(history(backend).await.entries(), []);
    let mut evidence = Evidence::default();
    evidence.seal_sha256 = Some("ab".repeat(32));
    evidence.seal_bytes = Some(300);
    evidence.seal_writer = Some("cd".repeat(16));
    evidence.payload_sha256 = Some("ef".repeat(32));
    evidence.payload_bytes = Some(4096);
    let state = backend.state();
    let verdict = passed(1).evidence(evidence.clone());
    let record = state.judge(&key(), &verdict, now()).await.unwrap();
    state.judge(&customer("other"), &passed(1), now()).await.unwrap();
    state.judge(&key(), &failed(2, "bad"), now()).await.unwrap();
    let history = history(backend).await;
    let [first, second] = history.entries() else { panic!("{history:?}") };
    assert_eq!(
        (first.event, &first.run_id, &first.evidence),
        (Event::Passed, &Some(run(1)), &evidence)
    );
    assert_eq!((first.attempt, first.judged_at), (record.attempt_count, Some(now())));
    assert_eq!((first.record_count, first.schema_version.as_deref()), (Some(3), Some("v1")));
    assert_eq!(
        (second.event, second.reason.as_deref(), second.attempt),
        (Event::Failed, Some("bad"), 2)
    );
    assert_eq!(history.record().unwrap().authoritative_run(), Some(&run(1)));
}

async fn g13_a_withdrawn_run_loses_authority_to_the_newest_other_run_that_passed(
    backend: &dyn StateBackend,
) {
    let state = backend.state();
    for verdict in [passed(1), passed(2), failed(3, "bad"), passed(4), passed(5)] {
        state.judge(&key(), &verdict, now()).await.unwrap();
    }
    // Withdrawing another run keeps the record.
    let before = state.get(&key()).await.unwrap();
    assert_eq!(changed(backend, &withdraw(4)).await, before);
    for next in [Some(2), Some(1), None] {
        let current = state.get(&key()).await.unwrap().unwrap().current_run_id.unwrap();
        let change = Change::Withdraw { run_id: current, reason: "wrong".into() };
        let record = changed(backend, &change).await.unwrap();
        assert_eq!(record.authoritative_run().cloned(), next.map(run));
        assert_eq!(record.record_count, next.map(|_| 3), "of the run that has authority");
        assert_eq!(record.schema_version.is_some(), next.is_some());
        assert_eq!(record.attempt_count, 5, "a withdrawal is no validation");
    }
    let record = state.get(&key()).await.unwrap().unwrap();
    assert_eq!((record.status, record.current_run_id), (Status::Pending, None));
    let history = history(backend).await;
    assert_eq!(
        history.due(&[1, 2, 3, 4, 5].map(run)),
        Vec::<&RunId>::new(),
        "nothing is left to do"
    );
}

async fn a_withdrawn_run_gets_no_verdict_until_it_is_restored(backend: &dyn StateBackend) {
    let state = backend.state();
    state.judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(changed(backend, &restore(1)).await, None, "it is not withdrawn");
    changed(backend, &withdraw(1)).await.unwrap();
    assert_eq!(changed(backend, &withdraw(1)).await, None, "it is already withdrawn");
    let before = state.get(&key()).await.unwrap();
    for change in [Change::Verdict(passed(1)), Change::VerdictIfDue(failed(1, "bad"))] {
        assert_eq!(changed(backend, &change).await, None);
    }
    let refused = state.judge(&key(), &passed(1), now()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert_eq!(state.get(&key()).await.unwrap(), before);
    assert!(!history(backend).await.is_due(&run(1)));
    assert_eq!(changed(backend, &restore(1)).await, before, "a restore gives no authority");
    assert!(history(backend).await.is_due(&run(1)));
    let record = state.judge(&key(), &passed(1), now()).await.unwrap();
    assert_eq!(record.authoritative_run(), Some(&run(1)));
    assert_eq!(history(backend).await.withdrawal(&run(1)), None);
}

async fn a_withdrawal_of_a_run_without_a_record_is_remembered(backend: &dyn StateBackend) {
    let record = changed(backend, &withdraw(1)).await.unwrap();
    assert_eq!((record.status, record.attempt_count), (Status::Pending, 0));
    let history = history(backend).await;
    let withdrawal = history.withdrawal(&run(1)).unwrap();
    assert_eq!(withdrawal.reason.as_deref(), Some("wrong currency"));
    assert_eq!(history.due(&[run(1), run(2)]), [&run(2)]);
}

async fn partitions_with_a_restored_run_are_found(backend: &dyn StateBackend) {
    let (state, keys) = (backend.state(), ["a", "b", "c"].map(customer));
    assert_eq!(state.with_restored(&keys).await.unwrap(), BTreeSet::new());
    for key in &keys {
        state.judge(key, &passed(1), now()).await.unwrap();
    }
    for (key, change) in [(&keys[0], withdraw(1)), (&keys[1], withdraw(1)), (&keys[1], restore(1))]
    {
        state.change(key, &change, now()).await.unwrap();
    }
    // A verdict since does not matter: the caller reads the log then.
    state.judge(&keys[1], &passed(1), now()).await.unwrap();
    let found = state.with_restored(&keys).await.unwrap();
    assert_eq!(found, BTreeSet::from([keys[1].clone()]));
    assert_eq!(state.with_restored(&[]).await.unwrap(), BTreeSet::new());
}

async fn a_batch_changes_all_records_in_its_order(backend: &dyn StateBackend) {
    let state = backend.state();
    state.judge(&customer("b"), &passed(1), now()).await.unwrap();
    let changes: Vec<(PartitionKey, Change)> = vec![
        (customer("c"), Change::Verdict(passed(1))),
        (customer("a"), Change::Verdict(failed(1, "bad"))),
        (customer("c"), Change::Verdict(failed(2, "worse"))),
        (customer("b"), Change::VerdictIfDue(passed(1))),
        (customer("b"), Change::Verdict(passed(3))),
        (customer("a"), Change::Retry),
    ];
    let outcomes = state.change_many(&changes, now()).await.unwrap();
    let applied: Vec<bool> =
        outcomes.iter().map(|outcome| outcome.as_ref().unwrap().is_some()).collect();
    assert_eq!(applied, [true, true, true, false, true, true]);
    for (id, status, attempts, entries) in
        [("a", Status::Pending, 1, 2), ("b", Status::Success, 2, 2), ("c", Status::Success, 2, 2)]
    {
        let history = state.history(&customer(id)).await.unwrap();
        let record = history.record().unwrap();
        assert_eq!((record.status, record.attempt_count), (status, attempts), "{id}");
        assert_eq!(history.entries().len(), entries, "{id}");
    }
    assert_eq!(outcomes[2].as_ref().unwrap(), &state.get(&customer("c")).await.unwrap());
    assert!(state.change_many(&[], now()).await.unwrap().is_empty());
    let many = vec![(key(), Change::Backfill); 1001];
    assert_eq!(state.change_many(&many, now()).await.unwrap_err().kind(), ErrorKind::Invalid);
}

async fn a_verdict_on_a_run_that_is_no_longer_due_is_dropped(backend: &dyn StateBackend) {
    let state = backend.state();
    let verdict = Change::VerdictIfDue(passed(2));
    assert!(changed(backend, &verdict).await.is_some());
    let before = state.get(&key()).await.unwrap();
    for late in [passed(2), failed(2, "bad"), passed(1), failed(1, "bad")] {
        assert_eq!(changed(backend, &Change::VerdictIfDue(late)).await, None);
    }
    assert_eq!(state.get(&key()).await.unwrap(), before);
    assert_eq!(history(backend).await.entries().len(), 1);
}

async fn a_retry_makes_every_run_due_again(backend: &dyn StateBackend) {
    let state = backend.state();
    for verdict in [failed(1, "bad"), failed(2, "bad")] {
        state.judge(&key(), &verdict, now()).await.unwrap();
    }
    let sealed = [run(1), run(2)];
    assert_eq!(history(backend).await.due(&sealed), Vec::<&RunId>::new());
    changed(backend, &Change::Retry).await.unwrap();
    assert_eq!(history(backend).await.due(&sealed), [&run(1), &run(2)]);
}

fn any_change() -> impl Strategy<Value = Change> {
    let one = 1..5_u16;
    prop_oneof![
        4 => (one.clone(), any::<bool>()).prop_map(|(n, passes)| {
            Change::Verdict(if passes { passed(n) } else { failed(n, "bad") })
        }),
        3 => (one.clone(), any::<bool>()).prop_map(|(n, passes)| {
            Change::VerdictIfDue(if passes { passed(n) } else { failed(n, "bad") })
        }),
        2 => one.clone().prop_map(withdraw),
        2 => one.prop_map(restore),
        1 => Just(Change::Retry),
    ]
}

/// Makes random changes of a few records, in batches. The log of each leads to its record.
async fn replaying_the_log_reproduces_every_record(backend: &dyn StateBackend) {
    let state = backend.state();
    let mut config = ProptestConfig::default();
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().build_hasher().finish());
    }
    let seed = config.rng_seed;
    let mut runner = TestRunner::new(config);
    let ids = ["a", "b", "c"];
    let batch = proptest::collection::vec((0..ids.len(), any_change()), 1..12);
    for _ in 0..25 {
        let drawn = batch.new_tree(&mut runner).unwrap().current();
        let changes: Vec<_> =
            drawn.into_iter().map(|(id, change)| (customer(ids[id]), change)).collect();
        for outcome in state.change_many(&changes, now()).await.unwrap() {
            outcome.unwrap();
        }
        for id in ids {
            let history = state.history(&customer(id)).await.unwrap();
            assert_eq!(
                replay(history.entries()).as_ref(),
                history.record(),
                "PROPTEST_RNG_SEED={seed}: {changes:?}"
            );
            check_authority(&history);
        }
    }
}

/// The plain specification: the run that has authority passed its last validation and is not withdrawn.
fn check_authority(history: &History) {
    let Some(current) = history.record().and_then(Record::authoritative_run) else { return };
    let (mut has_passed, mut is_withdrawn) = (false, false);
    for entry in history.entries().iter().filter(|entry| entry.run_id.as_ref() == Some(current)) {
        match entry.event {
            Event::Passed => has_passed = true,
            Event::Failed => has_passed = false,
            Event::Withdrawn => is_withdrawn = true,
            Event::Restored => is_withdrawn = false,
            Event::Requeued => {}
        }
    }
    assert!(has_passed && !is_withdrawn, "{history:?}");
}

/// Returns what a state does not allow without a log.
#[cfg(feature = "postgres")]
pub(crate) async fn check_without_log(state: &dyn PartitionState) {
    let refused = state.change(&key(), &withdraw(1), now()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    let outcome = Outcome::Failed("bad".into());
    let verdict = rawsink::state::Verdict::new(run(1), outcome);
    state.judge(&key(), &verdict, now()).await.unwrap();
    let history = state.history(&key()).await.unwrap();
    assert!(!history.has_log() && history.entries().is_empty());
    assert_eq!(history.due(&[run(1), run(2)]), [&run(2)], "the record remembers the failure");
}
