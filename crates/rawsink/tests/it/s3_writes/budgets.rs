//! Number of requests of a partition, and waiting times.

use rawsink::{ErrorKind, store::s3::CompleteConditions};

use super::{BOTH, Size, write};
use rawsink_testkit::{
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{key, run},
};

#[tokio::test]
async fn a_partition_stays_within_its_request_budget() {
    for conditions in BOTH {
        let enforced = conditions == CompleteConditions::Enforced;
        let server = S3Server::new(conditions);
        write(&server.sink(), &Size::Small.rows("mine")).await.unwrap();
        assert_eq!(server.requests(), if enforced { 3 } else { 5 }, "{conditions:?}");
        let server = S3Server::new(conditions);
        write(&server.sink(), &Size::Large.rows("mine")).await.unwrap();
        let parts = server.count(Op::Part);
        assert_eq!(parts, 4);
        assert_eq!(server.requests(), parts + if enforced { 7 } else { 9 }, "{conditions:?}");
        assert_eq!(server.waited_s(), 0, "nobody was in the way");
    }
}

#[tokio::test]
async fn an_attempt_without_parts_leaves_no_upload_to_abort() {
    let server = S3Server::default();
    let mut writer = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    writer.write_payload_line(b"{}").await.unwrap();
    writer.abort().await;
    assert_eq!(server.requests(), 1, "the run was listed, and that is all");
}

#[tokio::test]
async fn the_sdk_repeats_no_request_of_the_store() {
    for answer in [Answer::Closed, Answer::Error(503, "SlowDown"), Answer::Html(500)] {
        let server = S3Server::default();
        server.habit(Habit::always(Op::List, Effect::Refused(answer)));
        let error = write(&server.sink(), &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(server.count(Op::List) > 5, "{answer:?}: {}", server.count(Op::List));
        assert_eq!(server.count(Op::List), 1 + server.waits(), "{answer:?}: somebody else did");
    }
}
