//! What is listed, in which order.

use rawsink::{
    PartitionKey,
    key::Selection,
    state::{Filter, Status},
};

use super::{failed, now, passed};
use crate::databases::{Database, on_every_database};

on_every_database!(a_list_is_sorted_and_filtered_by_every_field_of_the_filter);

async fn listed(database: &dyn Database, filter: &Filter) -> Vec<String> {
    let found = database.state().list(filter).await.unwrap().into_iter();
    found.map(|entry| entry.unwrap().key.customer_id().to_owned()).collect()
}

async fn a_list_is_sorted_and_filtered_by_every_field_of_the_filter(database: &dyn Database) {
    let state = database.state();
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
        assert_eq!(listed(database, &filter).await, expected, "{filter:?}");
    }
}
