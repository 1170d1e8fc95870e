//! Requests of a listing.

use rawsink::{PartitionKey, state::Change, store::Object};
use rawsink_ops::coverage::{Scope, coverage};

use rawsink_testkit::{
    databases::Sqlite,
    s3_server::{Op, S3Server},
    sample::{path, run},
    states::StateBackend,
};

#[tokio::test]
async fn ten_thousand_partitions_cost_one_request_per_thousand_objects() {
    let server = S3Server::default();
    for customer in 0..100 {
        for day in 1..=25 {
            for query in ["a", "b", "c", "d"] {
                let day = format!("2024-05-{day:02}");
                let key = PartitionKey::new("ads", &customer.to_string(), query, &day).unwrap();
                server.tamper(&path(&key, &run(1)), Object::Payload, Some(b""));
                server.tamper(&path(&key, &run(1)), Object::Seal, Some(b"{}"));
            }
        }
    }
    let database = Sqlite::new();
    let known = PartitionKey::new("ads", "7", "a", "2024-05-26").unwrap();
    let now = "2024-06-01T00:00:00Z".parse().unwrap();
    database.state().change(&known, &Change::Backfill, now).await.unwrap();
    let covered = coverage(&server.sink(), &*database.state(), &Scope::default()).await.unwrap();
    let tally = covered.tally();
    assert_eq!((tally.sealed, tally.missing), (10_000, 400), "the last day is nowhere");
    assert_eq!(server.requests(), 20, "20,000 objects, 1,000 a page");
    assert_eq!(server.count(Op::List), 20);
}
