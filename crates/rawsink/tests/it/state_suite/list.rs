//! What is listed, in which order.

use rawsink::{
    PartitionKey,
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
    let none = Filter::default();
    for (filter, expected) in [
        (none.clone(), &["2", "1", "1-2", "3", "B", "a", "\u{e9}"][..]),
        (Filter { source: some("bing"), ..none.clone() }, &["2"]),
        (Filter { source: some("Bing"), ..none.clone() }, &[]),
        (Filter { customer_id: some("1"), ..none.clone() }, &["1"]),
        (Filter { query_name: some("keyword' OR 1=1 --"), ..none.clone() }, &["1-2"]),
        (Filter { since: day("2024-06-05"), ..none.clone() }, &["B", "a", "\u{e9}"]),
        (Filter { until: day("2024-06-02"), ..none.clone() }, &["1", "3"]),
        (
            Filter { since: day("2024-06-02"), until: day("2024-06-03"), ..none.clone() },
            &["2", "1"],
        ),
        (Filter { since: day("2024-06-03"), until: day("2024-06-02"), ..none.clone() }, &[]),
        (Filter { status: Some(Status::Success), ..none.clone() }, &["2", "3", "B", "a", "\u{e9}"]),
        (Filter { status: Some(Status::Pending), ..none.clone() }, &[]),
        (
            Filter {
                source: some("google_ads"),
                status: Some(Status::Failed),
                until: day("2024-06-02"),
                ..none.clone()
            },
            &["1"],
        ),
    ] {
        assert_eq!(listed(database, &filter).await, expected, "{filter:?}");
    }
}
