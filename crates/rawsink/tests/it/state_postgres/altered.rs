//! Tables changed while a state that has inspected them is in use.

use std::sync::Arc;

use rawsink::state::{Change, Filter, PartitionState};
use tokio::task::JoinSet;

use super::{now, passed};
use rawsink_testkit::{
    databases::{ALL_TEXT, Database, Postgres},
    sample::{customer, key},
    states::StateBackend,
};

#[tokio::test]
#[ignore = "parity: needs a PostgreSQL server"]
async fn a_changed_table_is_inspected_again() {
    let database = Postgres::new().await;
    let drop = "DROP TABLE partition_state";
    let other = format!("{drop}; {ALL_TEXT}");
    let changes = [
        // The change of the table, and the attempts known afterwards.
        ("ALTER TABLE partition_state ALTER logical_date TYPE text", 1),
        ("ALTER TABLE partition_state ALTER logical_date TYPE date USING logical_date::date", 2),
        ("ALTER TABLE partition_state ALTER source TYPE varchar(30)", 3),
        (&other, 0),
        (drop, 0),
        (database.contract(), 0),
    ];
    // Each is used in one way only: the others would share what one notices.
    let states: [Box<dyn PartitionState>; 4] = std::array::from_fn(|_| database.patient_state());
    let [gets, finds, lists, changes_it] = &states;
    gets.judge(&key(), &passed(1), now()).await.unwrap();
    for state in &states {
        assert_eq!(state.get(&key()).await.unwrap().unwrap().attempt_count, 1);
    }
    for (change, known) in changes {
        if change == database.contract() {
            database.execute(drop).await;
        }
        database.execute(change).await;
        let found = gets.get(&key()).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        assert_eq!(found.map_or(0, |record| record.attempt_count), known, "{change}");
        let there = usize::from(known > 0);
        let found = finds.find(&[key()]).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        assert_eq!(found.len(), there, "{change}");
        let found = lists.list(&Filter::default()).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("{change}: {error}")).len(), there);
        let record = changes_it.judge(&key(), &passed(1), now()).await;
        let record = record.unwrap_or_else(|error| panic!("{change}: {error}"));
        assert_eq!(record.attempt_count, known + 1, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "parity: needs a PostgreSQL server"]
async fn g14_a_table_that_loses_its_key_loses_no_update() {
    let database = Postgres::new().await;
    let states: Vec<Arc<dyn PartitionState>> =
        (0..8).map(|_| Arc::from(database.patient_state())).collect();
    for state in &states {
        state.change(&key(), &Change::Backfill, now()).await.unwrap();
    }
    database.execute("ALTER TABLE partition_state DROP CONSTRAINT partition_state_pkey").await;
    for id in 0..20 {
        let mut hosts = JoinSet::new();
        for state in &states {
            let (state, key) = (Arc::clone(state), customer(&format!("new-{id}")));
            hosts.spawn(async move { state.judge(&key, &passed(1), now()).await.unwrap() });
        }
        hosts.join_all().await;
    }
    let mut attempts = Vec::new();
    for entry in states[0].list(&Filter::default()).await.unwrap() {
        attempts.push(entry.unwrap().record.attempt_count);
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [[0].as_slice(), &[8; 20]].concat(), "one record each, and all attempts");
}
