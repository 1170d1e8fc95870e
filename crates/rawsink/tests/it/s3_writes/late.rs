//! What is slow, and what may have happened meanwhile.

use rawsink::{ErrorKind, store::Object};

use super::{Size, another_puts_a_payload, assert_free, assert_sealed, outcome, place, write};
use crate::s3_server::{Answer, Effect, Habit, Objects, Op, S3Server, key_of};

/// Somebody opens an upload of the run.
fn another_opens_an_upload(objects: &mut Objects) {
    objects.open_ahead(&key_of(&place(), Object::Payload));
}

#[tokio::test]
async fn g05_a_look_that_is_older_than_the_seals_deadline_is_taken_again() {
    for size in Size::BOTH {
        let server = S3Server::default();
        server.habit(Habit::once(Op::Uploads, Effect::Slow(61)).skipping(match size {
            Size::Small => 0,
            Size::Large => 1,
        }));
        let rows = size.rows("mine");
        let sealed = write(&server.sink(), &rows).await.unwrap();
        let looks = if size == Size::Small { 2 } else { 3 };
        assert_eq!(server.count(Op::Uploads), looks, "{size:?}");
        assert_sealed(&server, &sealed, &rows, "looked twice").await;
    }
}

#[tokio::test]
async fn g05_a_payload_that_is_replaced_while_a_look_is_slow_is_not_sealed() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Uploads, Effect::Slow(61)));
    let effect = Effect::After(another_puts_a_payload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    server.habit(Habit::once(Op::Uploads, effect));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Conflict));
    assert_free(&server, "replaced").await;
}

/// A server that takes the seal and says so only after the grace.
fn says_so_late() -> S3Server {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Put, Effect::Lost(Answer::Closed)).on(Object::Seal));
    server.habit(Habit::once(Op::Get, Effect::Slow(91)).on(Object::Seal));
    server
}

#[tokio::test]
async fn g05_evidence_after_the_grace_takes_one_more_look() {
    let (server, rows) = (says_so_late(), Size::Small.rows("mine"));
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_eq!(server.count(Op::Uploads), 2);
    assert_sealed(&server, &sealed, &rows, "late").await;
}

#[tokio::test]
async fn g05_late_evidence_is_corrupt_where_the_payload_was_replaced_meanwhile() {
    let server = says_so_late();
    let effect = Effect::After(another_puts_a_payload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Corrupt));
}

#[tokio::test]
async fn g05_late_evidence_is_unknown_where_another_may_be_replacing_the_payload() {
    let server = says_so_late();
    let effect = Effect::After(another_opens_an_upload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Unknown));
}

#[tokio::test]
async fn g06_company_after_a_seal_in_doubt_is_unknown_and_nothing_is_ended() {
    let server = S3Server::default();
    let lost = Effect::Refused(Answer::Closed);
    server.habit(Habit::once(Op::Put, lost).on(Object::Seal));
    server.habit(Habit::once(Op::Get, Effect::Slow(61)).on(Object::Seal));
    let effect = Effect::After(another_opens_an_upload);
    server.habit(Habit::once(Op::Uploads, effect).skipping(1));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Unknown));
    assert_eq!((server.count(Op::Abort), server.count(Op::Create)), (0, 0));
    assert_eq!(server.count(Op::Put), 2, "the payload, and the seal once");
}

#[tokio::test]
async fn g09_an_upload_from_a_gateway_whose_clock_is_ahead_is_ended_all_the_same() {
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
async fn g04_a_newer_upload_that_appears_again_wins() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Create, Effect::After(another_opens_an_upload)).times(2));
    assert_eq!(outcome(&server, &Size::Large.rows("mine")).await, Err(ErrorKind::Conflict));
    assert!(server.residue(&place()).iter().all(|name| name == "upload"));
    assert_free(&server, "the next one ends them").await;
}

#[tokio::test]
async fn a_person_is_told_once_why_a_request_is_tried_again_and_why_the_grace_is_waited_for() {
    let server = S3Server::default();
    let busy = Effect::Refused(Answer::Error(503, "SlowDown"));
    server.habit(Habit::once(Op::List, busy).times(8));
    write(&server.sink(), &Size::Small.rows("mine")).await.unwrap();
    let told = server.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("trying again: the server answered 503 SlowDown"), "{told:?}");
    let server = S3Server::default();
    server.habit(Habit::once(Op::List, busy).times(2));
    server.tamper(&place(), Object::Payload, Some(b"{}\n"));
    write(&server.sink(), &Size::Small.rows("mine")).await.unwrap();
    let told = server.told();
    assert_eq!(told.len(), 1, "a short hiccup is not worth a word: {told:?}");
    assert!(told[0].contains("an earlier attempt at this run"), "{told:?}");
}
