//! A lost or wrong reply to each important request: the writer checks, and decides by
//! the result.

use rawsink::{ErrorKind, store::Object};

use super::{BOTH, Size, assert_free, assert_sealed, outcome, write};
use rawsink_testkit::{
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{key, run},
};

/// Replies that do not show the result of a request, or a wrong one.
const DOUBTFUL: [Answer; 15] = [
    Answer::Closed,
    Answer::Error(500, "InternalError"),
    Answer::Error(502, "BadGateway"),
    Answer::Error(503, "SlowDown"),
    Answer::Error(503, "RequestTimeout"),
    Answer::Error(504, "GatewayTimeout"),
    Answer::Error(408, "RequestTimeout"),
    Answer::Error(400, "RequestTimeout"),
    Answer::Error(409, "ConditionalRequestConflict"),
    Answer::Error(409, "OperationAborted"),
    Answer::Error(412, "PreconditionFailed"),
    Answer::Error(429, "TooManyRequests"),
    Answer::Html(429),
    // The rest of the reply is unknown.
    Answer::CutShort(403),
    Answer::CutShort(404),
];

/// Replies to Complete only.
const OF_COMPLETE: [Answer; 3] = [
    Answer::Document("<Error><Code>InternalError</Code><Message>late</Message></Error>"),
    Answer::Document(
        "<CompleteMultipartUploadResult><ETag>\"\"</ETag></CompleteMultipartUploadResult>",
    ),
    Answer::Document("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"),
];

/// Writes over a habit, and asserts that the run is sealed, exactly once.
async fn assert_survives(habit: Habit, size: Size) {
    for conditions in BOTH {
        let server = S3Server::new(conditions);
        server.habit(habit);
        let context = format!("{habit:?}, {size:?}, {conditions:?}");
        let rows = size.rows("mine");
        let sealed = write(&server.sink(), &rows).await;
        let sealed = sealed.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(server.met() > 0, "the habit was met: {context}");
        assert_sealed(&server, &sealed, &rows, &context).await;
    }
}

/// versitygw shows an object some time before its user metadata, which has the writer's token.
#[tokio::test]
async fn user_metadata_may_appear_after_the_object() {
    let late = Habit::always(Op::Head, Effect::WithoutMetadata).on(Object::Payload.file_name());
    for size in Size::BOTH {
        for conditions in BOTH {
            for lost in [false, true] {
                let server = S3Server::new(conditions);
                let op = if size == Size::Small { Op::Put } else { Op::Complete };
                if lost {
                    let closed = Effect::Lost(Answer::Closed);
                    server.habit(Habit::once(op, closed).on(Object::Payload.file_name()));
                }
                server.habit(late.times(3));
                let context = format!("{size:?}, {conditions:?}, lost reply: {lost}");
                let rows = size.rows("mine");
                let sealed = write(&server.sink(), &rows).await;
                let sealed = sealed.unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_sealed(&server, &sealed, &rows, &context).await;
            }
        }
    }
}

async fn assert_survives_lost_and_refused(op: Op, object: Object, size: Size, answers: &[Answer]) {
    for answer in answers {
        for effect in [Effect::Lost(*answer), Effect::Refused(*answer)] {
            assert_survives(Habit::once(op, effect).on(object.file_name()), size).await;
        }
    }
}

#[tokio::test]
async fn g07_an_ambiguous_reply_to_the_payload_put_is_settled_by_a_check() {
    assert_survives_lost_and_refused(Op::Put, Object::Payload, Size::Small, &DOUBTFUL).await;
    // 200 without a tag is ambiguous too.
    let mute = [Answer::Document("")];
    assert_survives_lost_and_refused(Op::Put, Object::Payload, Size::Small, &mute).await;
}

#[tokio::test]
async fn g07_an_ambiguous_reply_to_complete_is_settled_by_a_check() {
    let answers = [&DOUBTFUL[..], &OF_COMPLETE[..]].concat();
    assert_survives_lost_and_refused(Op::Complete, Object::Payload, Size::Large, &answers).await;
}

#[tokio::test]
async fn g07_an_ambiguous_reply_to_the_seal_put_is_settled_by_a_check() {
    for size in Size::BOTH {
        assert_survives_lost_and_refused(Op::Put, Object::Seal, size, &DOUBTFUL).await;
    }
}

#[tokio::test]
async fn g07_any_other_request_is_retried() {
    let passing = [
        Answer::Closed,
        Answer::Error(500, "InternalError"),
        Answer::Error(503, "SlowDown"),
        Answer::Html(429),
    ];
    for (op, size) in [
        (Op::List, Size::Small),
        (Op::Create, Size::Large),
        (Op::Part, Size::Large),
        (Op::Head, Size::Large),
        (Op::Uploads, Size::Large),
    ] {
        for answer in passing {
            for effect in [Effect::Lost(answer), Effect::Refused(answer)] {
                assert_survives(Habit::once(op, effect), size).await;
            }
        }
    }
}

#[tokio::test]
async fn g07_no_such_upload_is_sealed_if_complete_was_applied_and_else_a_conflict() {
    let gone = Answer::Error(404, "NoSuchUpload");
    let lost = Habit::once(Op::Complete, Effect::Lost(gone));
    assert_survives(lost, Size::Large).await;
    let server = S3Server::default();
    server.habit(Habit::always(Op::Complete, Effect::Refused(gone)));
    assert_eq!(outcome(&server, &Size::Large.rows("mine")).await, Err(ErrorKind::Conflict));
    assert_free(&server, "the upload is gone").await;
}

/// Ceph returns this for any request to an upload that is being aborted.
#[tokio::test]
async fn g07_no_such_key_for_an_upload_is_an_abort() {
    let gone = Answer::Error(404, "NoSuchKey");
    let vanishes = Effect::After(|objects| objects.uploads.clear());
    for op in [Op::Part, Op::Complete] {
        let server = S3Server::default();
        server.habit(Habit::always(op, Effect::Refused(gone)));
        server.habit(Habit::always(Op::Head, vanishes));
        assert_eq!(outcome(&server, &Size::Large.rows("mine")).await, Err(ErrorKind::Conflict));
        assert_free(&server, "the upload is gone").await;
    }
    assert_survives(Habit::once(Op::Complete, Effect::Lost(gone)), Size::Large).await;
    assert_survives(Habit::once(Op::Complete, Effect::Refused(gone)), Size::Large).await;
}

#[tokio::test]
async fn g07_a_complete_applied_during_the_check_is_seen() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Complete, Effect::Lost(Answer::Closed)));
    server
        .habit(Habit::once(Op::Head, Effect::Refused(Answer::Error(404, "NoSuchKey"))).skipping(2));
    let rows = Size::Large.rows("mine");
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_eq!(server.count(Op::Complete), 1, "the upload is gone, and the payload is checked");
    assert_sealed(&server, &sealed, &rows, "applied late").await;
}

/// Ceph reports the Complete of an aborted upload as "already in progress" forever.
#[tokio::test]
async fn g07_an_ambiguous_complete_of_an_aborted_upload_is_a_conflict_at_once() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::Head, Effect::After(|objects| objects.uploads.clear())));
    let in_progress = Answer::Error(500, "InternalError");
    server.habit(Habit::always(Op::Complete, Effect::Refused(in_progress)));
    assert_eq!(outcome(&server, &Size::Large.rows("mine")).await, Err(ErrorKind::Conflict));
    assert_eq!(server.count(Op::Complete), 1);
    assert_free(&server, "the upload is gone").await;
}

#[tokio::test]
async fn g06_a_payload_that_never_appears_is_unavailable_and_the_run_is_free() {
    for (op, size) in [(Op::Put, Size::Small), (Op::Complete, Size::Large)] {
        for answer in [Answer::Closed, Answer::Error(503, "SlowDown"), Answer::Html(429)] {
            let server = S3Server::default();
            server
                .habit(Habit::always(op, Effect::Refused(answer)).on(Object::Payload.file_name()));
            let ended = outcome(&server, &size.rows("mine")).await;
            assert_eq!(ended, Err(ErrorKind::Unavailable), "{op:?} {answer:?}");
            assert!(server.waited_s() >= 600, "{}", server.waited_s());
            assert_eq!(server.count(Op::Abort), 0, "nothing is ended once Complete was sent");
            assert_free(&server, "never appeared").await;
        }
    }
}

#[tokio::test]
async fn g06_a_seal_that_cannot_be_checked_is_unknown() {
    for effect in [Effect::Lost(Answer::Closed), Effect::Refused(Answer::Closed)] {
        for refusal in [Answer::Error(403, "AccessDenied"), Answer::Closed] {
            let server = S3Server::default();
            server.habit(Habit::once(Op::Put, effect).on(Object::Seal.file_name()));
            server.habit(
                Habit::always(Op::Get, Effect::Refused(refusal)).on(Object::Seal.file_name()),
            );
            let error = write(&server.sink(), &Size::Small.rows("mine")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unknown, "{effect:?} {refusal:?}");
            assert_eq!(error.writer().unwrap().len(), 32, "it names the writer: {error}");
            server.behave();
            let reader = server.sink().open_partition(&key(), &run(1)).await;
            let seal = reader.ok().map(|reader| reader.seal().unwrap().writer.clone());
            let applied = matches!(effect, Effect::Lost(_));
            assert_eq!(seal.as_deref(), error.writer().filter(|_| applied));
        }
    }
}

#[tokio::test]
async fn g06_a_seal_never_accepted_is_unknown_after_the_deadline() {
    let server = S3Server::default();
    server.habit(
        Habit::always(Op::Put, Effect::Refused(Answer::Closed)).on(Object::Seal.file_name()),
    );
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Unknown));
    assert!(server.waited_s() >= 600, "{}", server.waited_s());
    assert_free(&server, "not there after all").await;
}
