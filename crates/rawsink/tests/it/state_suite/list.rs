//! Listing, its order, pages, and lookups.

use std::num::NonZeroUsize;

use rawsink::{
    ErrorKind, PartitionKey,
    partition::Selection,
    state::{Entry, FIND_AT_ONCE, Filter, Outcome, PartitionState, Status, Verdict, latest_before},
};

use super::{failed, now, passed};
use rawsink_testkit::{
    sample::{customer, run},
    states::StateBackend,
    suites::on_every_state,
};

on_every_state!(
    a_list_is_sorted_and_filtered_by_every_field,
    pages_hold_the_list_in_its_order,
    a_page_finds_the_records_as_they_are_when_it_is_read,
    records_of_given_partitions_are_found,
    a_lookup_of_too_many_keys_is_invalid,
    the_latest_earlier_day_of_a_series_has_authority_and_rows,
);

async fn the_latest_earlier_day_of_a_series_has_authority_and_rows(backend: &dyn StateBackend) {
    let state = backend.state();
    let day = |id: &str, day: u8| {
        PartitionKey::new("ads", id, "campaign", &format!("2024-06-{day:02}")).unwrap()
    };
    let rows = |rows| {
        let outcome = Outcome::Passed { schema_version: None, record_count: rows };
        Verdict::new(run(1), outcome)
    };
    for (key, verdict) in [
        (day("1", 1), rows(7)),
        (day("1", 3), rows(9)),
        (day("1", 4), rows(0)),
        (day("1", 5), failed(1, "bad")),
        (day("1", 8), rows(11)),
        (day("2", 6), rows(13)),
    ] {
        state.judge(&key, &verdict, now()).await.unwrap();
    }
    for (wanted, expected) in [(1, None), (2, Some(7)), (3, Some(7)), (7, Some(9)), (9, Some(11))] {
        let found = latest_before(&*state, &day("1", wanted)).await.unwrap();
        let count = found.and_then(|entry| entry.record.record_count);
        assert_eq!(count, expected, "day {wanted}");
    }
}

async fn listed(backend: &dyn StateBackend, filter: &Filter) -> Vec<String> {
    let found = backend.state().list(filter).await.unwrap().into_iter();
    found.map(|entry| entry.unwrap().key.customer_id().to_owned()).collect()
}

async fn a_list_is_sorted_and_filtered_by_every_field(backend: &dyn StateBackend) {
    let state = backend.state();
    let key = |source: &str, id: &str, query: &str, date: &str| {
        PartitionKey::new(source, id, query, date).unwrap()
    };
    for (key, verdict) in [
        (key("google_ads", "3", "campaign", "2024-06-01"), passed(1)),
        (key("google_ads", "1", "campaign", "2024-06-02"), failed(1, "bad")),
        (key("bing", "2", "campaign", "2024-06-03"), passed(1)),
        (key("google_ads", "1-2", "keyword' OR 1=1 --", "2024-06-04"), failed(1, "bad")),
        (key("google_ads", "a", "campaign", "2024-06-05"), passed(1)),
        (key("google_ads", "B", "campaign", "2024-06-05"), passed(1)),
        (key("google_ads", "\u{e9}", "campaign", "2024-06-06"), passed(1)),
    ] {
        state.judge(&key, &verdict, now()).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let day = |text: &str| Some(text.parse().unwrap());
    let status = |status| Filter { status: Some(status), ..Filter::default() };
    let all = Selection::default();
    let cases: [(Filter, &[&str]); 12] = [
        (all.clone().into(), &["2", "1", "1-2", "3", "B", "a", "\u{e9}"]),
        (Selection { source: some("bing"), ..all.clone() }.into(), &["2"]),
        (Selection { source: some("Bing"), ..all.clone() }.into(), &[]),
        (Selection { customer_id: some("1"), ..all.clone() }.into(), &["1"]),
        (Selection { query_name: some("keyword' OR 1=1 --"), ..all.clone() }.into(), &["1-2"]),
        (Selection { since: day("2024-06-05"), ..all.clone() }.into(), &["B", "a", "\u{e9}"]),
        (Selection { until: day("2024-06-02"), ..all.clone() }.into(), &["1", "3"]),
        (
            Selection { since: day("2024-06-02"), until: day("2024-06-03"), ..all.clone() }.into(),
            &["2", "1"],
        ),
        (
            Selection { since: day("2024-06-03"), until: day("2024-06-02"), ..all.clone() }.into(),
            &[],
        ),
        (status(Status::Success), &["2", "3", "B", "a", "\u{e9}"]),
        (status(Status::Pending), &[]),
        (
            Filter {
                partitions: Selection {
                    source: some("google_ads"),
                    until: day("2024-06-02"),
                    ..all.clone()
                },
                ..status(Status::Failed)
            },
            &["1"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(listed(backend, &filter).await, expected, "{filter:?}");
    }
}

/// Returns all records in pages of up to `limit`: those that are well-formed, and the errors of the others.
pub(crate) async fn paged(
    state: &dyn PartitionState,
    filter: &Filter,
    limit: usize,
) -> (Vec<Entry>, Vec<String>) {
    let limit = NonZeroUsize::new(limit).unwrap();
    let (mut entries, mut faults, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = state.list_page(filter, after.as_ref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit.get(), "{page:?}");
        for entry in page.entries {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => faults.push(error.to_string()),
            }
        }
        let Some(next) = page.next else { return (entries, faults) };
        assert_ne!(Some(&next), after.as_ref(), "every page has a new end");
        after = Some(next);
    }
}

async fn pages_hold_the_list_in_its_order(backend: &dyn StateBackend) {
    let state = backend.state();
    assert_eq!(paged(&*state, &Filter::default(), 1).await.0, []);
    for (n, id) in ["2", "10", "1", "1-2", "B", "a", "\u{e9}", "a b", "a!"].into_iter().enumerate()
    {
        let verdict = if n % 3 == 0 { failed(1, "bad") } else { passed(1) };
        for day in ["2024-06-02", "2024-05-31"] {
            let key = PartitionKey::new("ads", id, "q", day).unwrap();
            state.judge(&key, &verdict, now()).await.unwrap();
        }
    }
    let partitions = Selection { since: "2024-06-01".parse().ok(), ..Selection::default() };
    for filter in [
        Filter::default(),
        Filter { status: Some(Status::Success), partitions },
        Selection { source: Some("ads".into()), ..Selection::default() }.into(),
    ] {
        let all: Vec<_> =
            state.list(&filter).await.unwrap().into_iter().map(Result::unwrap).collect();
        assert!(all.len() >= 6);
        for limit in [1, 2, 5, all.len(), all.len() + 1, 1000] {
            assert_eq!(paged(&*state, &filter, limit).await.0, all, "pages of {limit}: {filter:?}");
        }
    }
}

async fn a_page_finds_the_records_as_they_are_when_it_is_read(backend: &dyn StateBackend) {
    let state = backend.state();
    for id in ["1", "2", "3", "4"] {
        state.judge(&customer(id), &passed(1), now()).await.unwrap();
    }
    let success = Filter { status: Some(Status::Success), ..Filter::default() };
    let two = NonZeroUsize::new(2).unwrap();
    let first = state.list_page(&success, None, two).await.unwrap();
    // One before the position and one after it change, and one appears after it.
    state.judge(&customer("2"), &failed(1, "bad"), now()).await.unwrap();
    state.judge(&customer("3"), &failed(1, "bad"), now()).await.unwrap();
    state.judge(&customer("5"), &passed(1), now()).await.unwrap();
    let second = state.list_page(&success, first.next.as_ref(), two).await.unwrap();
    let keys = |page: rawsink::state::Page| -> Vec<_> {
        page.entries.into_iter().map(|entry| entry.unwrap().key).collect()
    };
    assert_eq!(keys(first), ["1", "2"].map(customer));
    assert_eq!(keys(second), ["4", "5"].map(customer));
}

pub(super) async fn found(state: &dyn PartitionState, keys: &[PartitionKey]) -> Vec<Entry> {
    let mut found: Vec<_> =
        state.find(keys).await.unwrap().into_iter().map(Result::unwrap).collect();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

async fn records_of_given_partitions_are_found(backend: &dyn StateBackend) {
    let state = backend.state();
    let wanted = ["10", "2", "3", "30"].map(customer);
    assert_eq!(found(&*state, &wanted).await, []);
    for id in ["1", "2", "3", "10"] {
        state.judge(&customer(id), &passed(1), now()).await.unwrap();
    }
    let entries = found(&*state, &wanted).await;
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
    assert_eq!(keys, ["10", "2", "3"].map(customer));
    assert!(entries.iter().all(|entry| entry.record.current_run_id == Some(run(1))));
    let other_day = PartitionKey::new("google_ads", "1", "campaign", "2024-06-02").unwrap();
    assert_eq!(found(&*state, &[other_day]).await, [], "every component counts");
    assert_eq!(found(&*state, &[]).await, []);
}

async fn a_lookup_of_too_many_keys_is_invalid(backend: &dyn StateBackend) {
    let state = backend.state();
    state.judge(&customer("7"), &passed(1), now()).await.unwrap();
    let mut keys: Vec<_> = (0..FIND_AT_ONCE).map(|id| customer(&id.to_string())).collect();
    assert_eq!(found(&*state, &keys).await.len(), 1);
    keys.push(customer("more"));
    assert_eq!(state.find(&keys).await.unwrap_err().kind(), ErrorKind::Invalid);
}
