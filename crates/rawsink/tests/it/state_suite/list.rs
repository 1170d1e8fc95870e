//! Listing, its order, and lookups.

use rawsink::{
    ErrorKind, PartitionKey,
    partition::Selection,
    state::{Entry, FIND_AT_ONCE, Filter, PartitionState, Status},
};

use super::{failed, now, passed};
use rawsink_testkit::{
    sample::{customer, run},
    states::StateBackend,
    suites::on_every_state,
};

on_every_state!(
    a_list_is_sorted_and_filtered_by_every_field,
    records_of_given_partitions_are_found,
    a_lookup_of_too_many_keys_is_invalid,
);

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
