//! Concurrent writers of one run, in many orders.

use rawsink::{
    ErrorKind, Result, Sealed,
    store::{Object, s3::CompleteConditions},
};
use tokio::task::JoinSet;

use super::{BOTH, Size, assert_free, place, write};
use rawsink_testkit::{
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{key, read, run},
};

const SEEDS: u64 = 8;

/// A writer's rows and result.
type Ended = (Vec<String>, Result<Sealed>);

/// Lets writers race and returns their results.
async fn race(server: &S3Server, sizes: &[Size]) -> Vec<Ended> {
    let mut writers = JoinSet::new();
    for (n, size) in sizes.iter().enumerate() {
        let (sink, rows) = (server.sink(), size.rows(&format!("writer {n}")));
        writers.spawn(async move {
            let outcome = write(&sink, &rows).await;
            (rows, outcome)
        });
    }
    writers.join_all().await
}

/// Asserts G04, G05 and G06 of a race, and that an unsealed run can be written.
async fn assert_one_truth(server: &S3Server, ended: &[Ended], context: &str) {
    server.behave();
    let told: Vec<_> = ended.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
    assert!(told.len() <= 1, "{} writers were told sealed: {context}", told.len());
    let open_ends = [ErrorKind::Unknown, ErrorKind::Corrupt];
    let open = |outcome: &Result<Sealed>| {
        outcome.as_ref().is_err_and(|error| open_ends.contains(&error.kind()))
    };
    let there = server.sink().inspect(&key(), &run(1)).await.unwrap();
    if there.seal.is_none() {
        assert!(told.is_empty(), "told sealed, and no seal is there: {context}");
        return assert_free(server, context).await;
    }
    let reader = server.sink().open_partition(&key(), &run(1)).await.unwrap();
    let rows = read(&server.sink(), &key(), &run(1)).await;
    match told.first() {
        Some((mine, outcome)) => {
            assert_eq!(reader.seal().unwrap().writer, outcome.as_ref().unwrap().writer);
            assert!(&rows.unwrap() == mine, "other rows than the winner's: {context}");
        }
        None => assert!(
            ended.iter().any(|(_, outcome)| open(outcome)),
            "sealed, and nobody was told: {context}: {ended:?}"
        ),
    }
    let residue = server.residue(&place());
    assert!(residue.contains(&"payload.jsonl".to_owned()), "{residue:?}: {context}");
}

const FIELDS: [&[Size]; 4] = [
    &[Size::Small, Size::Small],
    &[Size::Small, Size::Large],
    &[Size::Large, Size::Large],
    &[Size::Small, Size::Large, Size::Large],
];

#[tokio::test]
async fn g04_at_most_one_racing_writer_seals_and_its_rows_are_stored() {
    let mut sealed = 0;
    for conditions in BOTH {
        for sizes in FIELDS {
            for seed in 1..=SEEDS {
                let server = S3Server::new(conditions);
                server.shuffle(seed);
                let ended = race(&server, sizes).await;
                sealed += ended.iter().filter(|(_, outcome)| outcome.is_ok()).count();
                assert_one_truth(&server, &ended, &format!("{conditions:?} {sizes:?} {seed}"))
                    .await;
            }
        }
    }
    assert!(sealed > 4 * usize::try_from(SEEDS).unwrap(), "{sealed} races had a winner");
}

#[tokio::test]
async fn g04_racing_writers_over_a_leftover_seal_at_most_once() {
    for conditions in BOTH {
        for sizes in FIELDS {
            for seed in 1..=SEEDS {
                let server = S3Server::new(conditions);
                server.tamper(&place(), Object::Payload, Some(b"{}\n"));
                server.shuffle(seed);
                let ended = race(&server, sizes).await;
                assert_one_truth(&server, &ended, &format!("{conditions:?} {sizes:?} {seed}"))
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn g04_lost_replies_let_no_second_writer_win() {
    for seed in 1..=SEEDS {
        for sizes in FIELDS {
            for (op, object) in [
                (Op::Put, Object::Payload),
                (Op::Complete, Object::Payload),
                (Op::Put, Object::Seal),
            ] {
                let server = S3Server::new(CompleteConditions::Ignored);
                server.habit(Habit::once(op, Effect::Lost(Answer::Closed)).on(object.file_name()));
                server.shuffle(seed);
                let ended = race(&server, sizes).await;
                assert_one_truth(&server, &ended, &format!("{op:?} {object:?} {sizes:?} {seed}"))
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn g06_unanswered_requests_give_the_true_result_or_unknown() {
    let mut told = 0;
    for conditions in BOTH {
        for sizes in FIELDS {
            for seed in 1..=2 * SEEDS {
                let server = S3Server::new(conditions);
                if seed % 2 == 0 {
                    server.tamper(&place(), Object::Payload, Some(b"{}\n"));
                }
                server.shuffle(seed);
                server.leave_unanswered(6);
                let ended = race(&server, sizes).await;
                told += ended.iter().filter(|(_, outcome)| outcome.is_ok()).count();
                assert_one_truth(&server, &ended, &format!("{conditions:?} {sizes:?} {seed}"))
                    .await;
            }
        }
    }
    assert!(told > 4 * usize::try_from(SEEDS).unwrap(), "{told} races had a winner");
}

#[tokio::test]
async fn g09_after_a_crash_anywhere_the_next_writer_seals_the_run_or_finds_it_sealed() {
    for conditions in BOTH {
        for size in Size::BOTH {
            for requests in 0..20 {
                let server = S3Server::new(conditions);
                let (sink, rows) = (server.sink(), size.rows("dead"));
                let writer = tokio::spawn(async move { write(&sink, &rows).await });
                while server.requests() < requests && !writer.is_finished() {
                    tokio::task::yield_now().await;
                }
                writer.abort();
                let _ = writer.await;
                let context = format!("{conditions:?} {size:?} {requests}");
                let sealed = server.sink().inspect(&key(), &run(1)).await.unwrap().seal.is_some();
                if sealed {
                    let there = read(&server.sink(), &key(), &run(1)).await.unwrap();
                    assert!(there == size.rows("dead"), "{context}");
                } else {
                    assert_free(&server, &context).await;
                }
            }
        }
    }
}
