//! Slow requests, and changes meanwhile.

use rawsink::{ErrorKind, store::Object};

use super::{Size, another_puts_a_payload, assert_free, assert_sealed, outcome, place, write};
use rawsink_testkit::{
    log::Log,
    s3_server::{Answer, Effect, Habit, Objects, Op, S3Server, key_of},
};

/// Opens a rival's upload of the run.
fn another_opens_an_upload(objects: &mut Objects) {
    let id = objects.open_upload(&key_of(&place(), Object::Payload));
    // By a gateway with a clock one hour ahead.
    objects.uploads.get_mut(&id).unwrap().initiated += 3_600_000;
}

#[tokio::test]
async fn g05_a_check_older_than_the_seal_deadline_is_repeated() {
    for size in Size::BOTH {
        let server = S3Server::default();
        server.habit(Habit::once(Op::Uploads, Effect::Slow(61)).skipping(match size {
            Size::Small => 0,
            Size::Large => 1,
        }));
        let rows = size.rows("mine");
        let sealed = write(&server.sink(), &rows).await.unwrap();
        let checks = if size == Size::Small { 2 } else { 3 };
        assert_eq!(server.count(Op::Uploads), checks, "{size:?}");
        assert_sealed(&server, &sealed, &rows, "checked twice").await;
    }
}

#[tokio::test]
async fn g05_a_payload_replaced_during_a_slow_check_is_not_sealed() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Uploads, Effect::Slow(61)));
    let effect = Effect::After(another_puts_a_payload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    server.habit(Habit::once(Op::Uploads, effect));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Conflict));
    assert_free(&server, "replaced").await;
}

/// Returns a server that accepts the seal and replies only after the grace.
fn replies_late() -> S3Server {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Put, Effect::Lost(Answer::Closed)).on(Object::Seal.file_name()));
    server.habit(Habit::once(Op::Get, Effect::Slow(91)).on(Object::Seal.file_name()));
    server
}

#[tokio::test]
async fn g05_evidence_after_the_grace_needs_one_more_check() {
    let (server, rows) = (replies_late(), Size::Small.rows("mine"));
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_eq!(server.count(Op::Uploads), 2);
    assert_sealed(&server, &sealed, &rows, "late").await;
}

#[tokio::test]
async fn g05_late_evidence_is_corrupt_if_the_payload_was_replaced() {
    let server = replies_late();
    let effect = Effect::After(another_puts_a_payload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Corrupt));
}

#[tokio::test]
async fn g05_late_evidence_is_unknown_if_a_rival_may_replace_the_payload() {
    let server = replies_late();
    let effect = Effect::After(another_opens_an_upload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Unknown));
}

#[tokio::test]
async fn g06_a_rival_after_an_ambiguous_seal_is_unknown_and_not_aborted() {
    let server = S3Server::default();
    let lost = Effect::Refused(Answer::Closed);
    server.habit(Habit::once(Op::Put, lost).on(Object::Seal.file_name()));
    server.habit(Habit::once(Op::Get, Effect::Slow(61)).on(Object::Seal.file_name()));
    let effect = Effect::After(another_opens_an_upload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Unknown));
    assert_eq!((server.count(Op::Abort), server.count(Op::Create)), (0, 0));
    assert_eq!(server.count(Op::Put), 2, "the payload, and the seal once");
}

#[tokio::test]
async fn g09_an_upload_from_a_gateway_with_a_fast_clock_is_still_aborted() {
    for size in Size::BOTH {
        let server = S3Server::default();
        another_opens_an_upload(&mut server.objects());
        let rows = size.rows("mine");
        let sealed = write(&server.sink(), &rows).await.unwrap();
        assert_eq!(server.count(Op::Create), 2, "{size:?}: once, and once more");
        assert_sealed(&server, &sealed, &rows, "ahead").await;
    }
}

#[tokio::test]
async fn g04_a_newer_upload_that_reappears_wins() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Create, Effect::After(another_opens_an_upload)).times(2));
    assert_eq!(outcome(&server, &Size::Large.rows("mine")).await, Err(ErrorKind::Conflict));
    assert!(server.residue(&place()).iter().all(|name| name == "upload"));
    assert_free(&server, "the next one ends them").await;
}

#[tokio::test]
async fn long_waits_and_the_reason_for_the_grace_are_reported() {
    let (server, log) = (S3Server::default(), Log::default());
    let _guard = log.listen();
    let busy = Effect::Refused(Answer::Error(503, "SlowDown"));
    server.habit(Habit::once(Op::List, busy).times(8));
    write(&server.sink(), &Size::Small.rows("mine")).await.unwrap();
    let told = log.take_notes();
    let said = "retrying for up to 300 s, after ";
    assert!((1..8).contains(&told.len()), "not each of them: {told:?}");
    assert!(
        told.iter().all(|one| one.starts_with(said) && one.contains("503 SlowDown")),
        "{told:?}"
    );
    let server = S3Server::default();
    server.habit(Habit::once(Op::List, busy).times(2));
    server.tamper(&place(), Object::Payload, Some(b"{}\n"));
    write(&server.sink(), &Size::Small.rows("mine")).await.unwrap();
    let told = log.take_notes();
    assert_eq!(told.len(), 1, "a short hiccup is not worth a word: {told:?}");
    assert!(told[0].contains("an earlier writer of this run"), "{told:?}");
}

#[tokio::test]
async fn every_request_is_logged_at_the_highest_level() {
    let (server, log) = (S3Server::default(), Log::default());
    let guard = log.listen();
    server.habit(Habit::once(Op::Put, Effect::Refused(Answer::Error(503, "SlowDown"))));
    write(&server.sink(), &Size::Small.rows("mine")).await.unwrap();
    drop(guard);
    let text = log.text();
    let prefix = "TRACE rawsink::store::s3::connect ";
    let requests: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(prefix)).collect();
    let puts = |status: &str| {
        let is_put = |line: &&&str| line.contains("PUT ") && line.contains("/payload.jsonl");
        requests.iter().filter(is_put).filter(|line| line.contains(status)).count()
    };
    assert_eq!((puts("status=503"), puts("status=200")), (1, 1), "{text}");
    assert!(requests.len() >= 4, "{text}");
    assert!(!text.to_lowercase().contains("signature="), "{text}");
}
