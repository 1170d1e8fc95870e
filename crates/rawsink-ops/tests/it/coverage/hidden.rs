//! Parts of the storage that cannot be listed: nothing is said of them but that.

use rawsink::{
    ErrorKind, PartitionKey, RawSink, RunId,
    state::PartitionState,
    validate::{self, Rules},
};
use rawsink_ops::coverage::{Coverage, Scope, Standing, coverage};

use super::{cell_texts, page};
use rawsink_testkit::{
    backend::{Backend, Meddling, Memory},
    databases::Sqlite,
    sample::{path, rows, run, seal, store_path},
    states::StateBackend,
};

/// Three customers with two days each, all validated.
async fn validated(sink: &RawSink, state: &dyn PartitionState) {
    for customer in ["1", "2", "3"] {
        for day in ["2024-06-01", "2024-06-02"] {
            let key = key(customer, day);
            seal(sink, &key, &run(1), &rows("a", 1)).await.unwrap();
            validate::run(sink, state, &key, &run(1), Rules::default()).await.unwrap();
        }
    }
}

fn key(customer: &str, day: &str) -> PartitionKey {
    PartitionKey::new("ads", customer, "q", day).unwrap()
}

fn standings(coverage: &Coverage) -> Vec<String> {
    let cells = coverage.cells().flat_map(|(series, cells)| {
        cells.map(move |cell| format!("{} {} {}", series.customer_id, cell.day, cell.standing))
    });
    cells.collect()
}

#[tokio::test]
async fn g20_a_part_that_cannot_be_listed_is_neither_lost_nor_missing() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (sink, state) = (RawSink::new(backend.store()), database.state());
    validated(&sink, &*state).await;
    // A second run that needs no verdict is hidden: the partition is not known completely.
    let day = key("3", "2024-06-01");
    seal(&sink, &day, &run(0), &rows("old", 1)).await.unwrap();
    let hidden = [store_path("ads/customer_id=2"), path(&day, &run(0))];
    let partly = RawSink::new(Meddling::hiding(backend.store(), hidden));
    let covered = coverage(&partly, &*state, &Scope::default()).await.unwrap();
    assert_eq!(
        standings(&covered),
        [
            "1 2024-06-01 validated",
            "1 2024-06-02 validated",
            "2 2024-06-01 unreadable",
            "2 2024-06-02 unreadable",
            "3 2024-06-01 unreadable",
            "3 2024-06-02 validated",
        ]
    );
    let tally = covered.tally();
    assert_eq!((tally.validated, tally.unreadable, tally.lost, tally.missing), (3, 3, 0, 0));
    let kinds: Vec<ErrorKind> = covered.faults().iter().map(rawsink::Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::Denied, ErrorKind::Denied]);
    assert_eq!(covered.hidden().len(), 2);
    let newest: RunId = "2025-01-01T00:00:00.000Z".parse().unwrap();
    assert_eq!(covered.steps(&newest).count(), 0, "a person has to make it readable");
    page::assert_page_matches(&covered, &cell_texts(&covered));
    let told = cell_texts(&coverage(&sink, &*state, &Scope::default()).await.unwrap());
    assert!(told.values().all(|text| text.starts_with("validated ")), "{told:?}");
}

#[tokio::test]
async fn a_hidden_part_that_nobody_expects_is_no_fault() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (sink, state) = (RawSink::new(backend.store()), database.state());
    validated(&sink, &*state).await;
    let hidden = [store_path("ads/customer_id=2")];
    let partly = RawSink::new(Meddling::hiding(backend.store(), hidden));
    let customers = ["1", "3"].map(str::to_owned).into();
    let scope = Scope { customers, ..Scope::default() };
    let covered = coverage(&partly, &*state, &scope).await.unwrap();
    assert!(covered.faults().is_empty() && covered.hidden().is_empty());
    assert_eq!(covered.tally().validated, 4);
    let hidden = covered.cells().flat_map(|(_, cells)| cells);
    assert!(hidden.into_iter().all(|cell| cell.standing != Standing::Unreadable));
}
