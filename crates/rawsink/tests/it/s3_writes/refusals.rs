//! Refusals and their error kinds.

use std::fs;

use rawsink::{
    ErrorKind,
    secret::Secret,
    store::{
        Object,
        s3::{AccessKey, CompleteConditions, MIN_PART_BYTES, Provider},
    },
};
use tempfile::TempDir;

use super::{BOTH, Size, assert_free, assert_sealed, outcome, place, write};
use rawsink_testkit::{
    s3_server::{
        ACCESS_KEY, AbortedUpload, Answer, Effect, Habit, Objects, Op, S3Server, SECRET_KEY,
        UserMetadata, key_of,
    },
    sample,
};

/// Some servers answer so as long as a bucket never had an upload.
#[tokio::test]
async fn a_list_of_uploads_that_does_not_exist_is_empty() {
    let server = S3Server::new(CompleteConditions::Ignored);
    let none = Answer::Error(404, "NoSuchUpload");
    server.habit(Habit::always(Op::Uploads, Effect::Refused(none)));
    let rows = Size::Small.rows("mine");
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_sealed(&server, &sealed, &rows, "no upload").await;
    assert_eq!(server.count(Op::Uploads), 1);
}

#[tokio::test]
async fn any_refused_request_is_denied_and_named() {
    for op in Op::ALL {
        for size in Size::BOTH {
            let server = S3Server::default();
            server.habit(Habit::always(op, Effect::Refused(Answer::Error(403, "AccessDenied"))));
            let Err(error) = write(&server.sink(), &size.rows("mine")).await else {
                assert_eq!(server.met(), 0, "{op:?}, {size:?}: it was asked for and refused");
                continue;
            };
            assert_eq!(error.kind(), ErrorKind::Denied, "{op:?}, {size:?}: {error}");
            // A HEAD has no body, so only its status is known.
            assert!(op == Op::Head || error.message().contains("AccessDenied"), "{error}");
            assert!(error.message().contains("REQUEST-17"), "{op:?}: {error}");
            assert_free(&server, &format!("{op:?}, {size:?}")).await;
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_a_configuration_error() {
    let server = S3Server::default().with_config(|config| config.bucket("other"));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Invalid));
}

#[tokio::test]
async fn an_endpoint_without_conditional_puts_is_unsupported() {
    for object in [Object::Payload, Object::Seal] {
        let server = S3Server::default();
        let answer = Answer::Error(501, "NotImplemented");
        server.habit(Habit::always(Op::Put, Effect::Refused(answer)).on(object.file_name()));
        let ended = outcome(&server, &Size::Small.rows("mine")).await;
        assert_eq!(ended, Err(ErrorKind::Unsupported), "{object:?}");
        assert_free(&server, "unsupported").await;
    }
}

#[tokio::test]
async fn a_part_replaced_meanwhile_is_not_the_callers_fault() {
    let server = S3Server::default();
    let answer = Answer::Error(400, "InvalidPart");
    server.habit(Habit::once(Op::Complete, Effect::Refused(answer)));
    assert_eq!(outcome(&server, &Size::Large.rows("mine")).await, Err(ErrorKind::Unavailable));
    assert_free(&server, "another part").await;
}

/// versitygw answers so while it removes the parts of an upload that another writer aborted, and may still list it.
#[tokio::test]
async fn g07_an_invalid_part_of_an_ended_upload_is_a_conflict() {
    fn abort(objects: &mut Objects) {
        for id in objects.uploads.keys().copied().collect::<Vec<_>>() {
            objects.abort(id).unwrap();
        }
    }
    fn abort_and_open(objects: &mut Objects) {
        abort(objects);
        objects.open_upload(&key_of(&place(), Object::Payload));
    }
    let (aborts, aborts_and_opens) = (Effect::After(abort), Effect::After(abort_and_open));
    for (still_listed, effect) in [(0, aborts), (3, aborts), (100, aborts_and_opens)] {
        let server = S3Server::default();
        server.set(|behaviour| {
            behaviour.aborted_upload = AbortedUpload::ListedTimes(still_listed);
        });
        server.habit(Habit::once(Op::Head, effect));
        let answer = Answer::Error(400, "InvalidPart");
        server.habit(Habit::once(Op::Complete, Effect::Refused(answer)));
        let ended = outcome(&server, &Size::Large.rows("mine")).await;
        assert_eq!(ended, Err(ErrorKind::Conflict), "listed {still_listed} times");
        assert_free(&server, "the upload is gone").await;
    }
}

/// gofakes3 answers so.
#[tokio::test]
async fn g09_a_server_without_empty_parts_is_unsupported_where_one_is_needed() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.part_limits.may_be_empty = false);
    let sealed = write(&server.sink(), &[]).await.unwrap();
    assert_sealed(&server, &sealed, &[], "a single PUT needs no part").await;

    let server = S3Server::default();
    server.set(|behaviour| behaviour.part_limits.may_be_empty = false);
    server.tamper(&place(), Object::Payload, Some(b"unsealed"));
    let error = write(&server.sink(), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    for said in ["empty part", "delete that payload first", "411 MissingContentLength"] {
        assert!(error.message().contains(said), "{error}");
    }
    assert_eq!(server.residue(&place()), [Object::Payload.file_name()], "its upload is ended");
    let rows = Size::Small.rows("mine");
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_sealed(&server, &sealed, &rows, "a payload with rows replaces it").await;

    let server = S3Server::default();
    server.tamper(&place(), Object::Payload, Some(b"unsealed"));
    let missing = Effect::Refused(Answer::Error(404, "NoSuchBucket"));
    server.habit(Habit::always(Op::Part, missing));
    let error = write(&server.sink(), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "another reason: {error}");
}

#[tokio::test]
async fn an_endpoint_that_drops_user_metadata_is_unsupported_if_it_is_needed() {
    for size in Size::BOTH {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.user_metadata = UserMetadata::Dropped);
        let ended = outcome(&server, &size.rows("mine")).await;
        assert_eq!(ended, Err(ErrorKind::Unsupported), "{size:?}");
    }
}

#[tokio::test]
async fn a_payload_with_too_many_parts_is_unsupported_and_names_the_setting() {
    let mut provider = *Provider::of_host("s3.test");
    provider.max_parts = 5;
    let provider: &'static Provider = Box::leak(Box::new(provider));
    let server = S3Server::default().with_provider(provider);
    // Rows of 1 KiB with line feed; four parts of 64 KiB, and a larger fifth one.
    let rows = |count| vec![format!("{{\"pad\":\"{:0>1013}\"}}", ""); count];
    let most = (4 * 64 + 128) * 1024;
    let error = write(&server.sink(), &rows(most / 1024 + 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for said in [format!("{most} bytes"), "parts larger than 65536 bytes".to_owned()] {
        assert!(error.message().contains(&said), "{error}");
    }
    assert!(server.residue(&place()).is_empty(), "{:?}", server.residue(&place()));
    let rows = rows(most / 1024);
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_eq!(sealed.payload.payload_bytes, most as u64);
    assert_sealed(&server, &sealed, &rows, "exactly as many").await;
}

#[tokio::test]
async fn a_secret_changed_in_its_file_is_reloaded() {
    for conditions in BOTH {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "wrong").unwrap();
        let server = S3Server::new(conditions).with_config(|config| {
            config.access_key(AccessKey::new(Secret::value(ACCESS_KEY), Secret::file(&file)))
        });
        let (sink, rows) = (server.sink(), Size::Small.rows("mine"));
        let refused = write(&sink, &rows).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
        fs::write(&file, SECRET_KEY).unwrap();
        let sealed = write(&sink, &rows).await.unwrap();
        assert_sealed(&server, &sealed, &rows, "with the new secret").await;
    }
}

#[tokio::test]
async fn expired_credentials_are_reloaded_whatever_the_status() {
    for (status, code) in
        [(400, "ExpiredToken"), (400, "InvalidToken"), (401, "Unauthorized"), (403, "ExpiredToken")]
    {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "expired").unwrap();
        let server = S3Server::default().with_config(|config| {
            config.access_key(AccessKey::new(Secret::value(ACCESS_KEY), Secret::file(&file)))
        });
        let expired = || Habit::once(Op::List, Effect::Refused(Answer::Error(status, code)));
        let (sink, rows) = (server.sink(), Size::Small.rows("mine"));
        server.habit(expired());
        let refused = write(&sink, &rows).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
        server.habit(expired());
        fs::write(&file, SECRET_KEY).unwrap();
        let sealed = write(&sink, &rows).await.unwrap();
        assert_sealed(&server, &sealed, &rows, code).await;
    }
}

/// AWS answers so to a HEAD with expired credentials, versitygw with wrong ones.
#[tokio::test]
async fn a_head_refused_without_a_reason_gets_it_by_a_get() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, SECRET_KEY).unwrap();
    let server = S3Server::default().with_config(|config| {
        config.access_key(AccessKey::new(Secret::value(ACCESS_KEY), Secret::file(&file)))
    });
    let (sink, rows) = (server.sink(), Size::Small.rows("mine"));
    let sealed = write(&sink, &rows).await.unwrap();
    let bare = || Habit::once(Op::Head, Effect::Refused(Answer::Empty(400)));
    let expired = || Habit::once(Op::Get, Effect::Refused(Answer::Error(400, "ExpiredToken")));
    server.habit(bare());
    server.habit(expired());
    let refused = sink.inspect(&sample::key(), &sample::run(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
    assert!(refused.message().contains("ExpiredToken"), "{refused}");
    server.habit(bare());
    server.habit(expired());
    fs::write(&file, format!("{SECRET_KEY}\n")).unwrap();
    assert_sealed(&server, &sealed, &rows, "with the renewed credentials").await;
    server.habit(bare());
    assert!(sink.inspect(&sample::key(), &sample::run(2)).await.is_ok(), "asked again");
    server.habit(Habit::always(Op::Head, Effect::Refused(Answer::Empty(400))));
    let refused = sink.inspect(&sample::key(), &sample::run(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "no reason either: {refused}");
}

#[tokio::test]
async fn unusable_certificates_are_a_configuration_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let builder = S3Server::default().config().to_builder().part_bytes(MIN_PART_BYTES);
    let error = builder.ca_file(file.path().to_owned()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().starts_with("ca_file names a file that"), "{error}");
}

#[tokio::test]
async fn clock_skew_is_reported_with_the_difference() {
    let server = S3Server::default();
    let skewed = Answer::Error(403, "RequestTimeTooSkewed");
    for op in [Op::List, Op::Head] {
        server.habit(Habit::always(op, Effect::Refused(skewed)));
    }
    let listed = write(&server.sink(), &[]).await.unwrap_err();
    let inspected = server.sink().inspect(&sample::key(), &sample::run(1)).await.unwrap_err();
    for error in [listed, inspected] {
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.message().contains("(the clocks differ by 3599 s: set this"), "{error}");
    }
    server.behave();
    server.habit(Habit::always(Op::List, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    let error = write(&server.sink(), &[]).await.unwrap_err();
    assert!(!error.message().contains("apart"), "that was not the reason: {error}");
}

#[tokio::test]
async fn a_wrong_date_in_one_reply_does_not_affect_the_next() {
    let server = S3Server::default();
    server.habit(Habit::once(Op::List, Effect::Refused(Answer::Error(503, "SlowDown"))));
    let rows = Size::Small.rows("mine");
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_sealed(&server, &sealed, &rows, "signed by this machine's clock").await;
}

#[tokio::test]
async fn a_truncated_upload_listing_without_a_marker_is_unavailable() {
    let page = "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>\
                </ListMultipartUploadsResult>";
    let server = S3Server::default();
    server.habit(Habit::always(Op::Uploads, Effect::Refused(Answer::Document(page))));
    let ended = outcome(&server, &Size::Small.rows("mine")).await;
    assert_eq!(ended, Err(ErrorKind::Unavailable));
    assert_free(&server, "listed again").await;
}

/// `LocalStack` answers 500. versitygw refuses the part and closes the connection, so that its answer is lost.
#[tokio::test]
async fn g07_a_part_of_an_ended_upload_may_get_500_or_no_answer() {
    fn end(objects: &mut Objects) {
        objects.uploads.clear();
    }
    let rows = Size::Large.rows("mine");
    for answer in [Answer::Error(500, "InternalError"), Answer::Closed] {
        let broken = Effect::Refused(answer);
        let server = S3Server::default();
        server.habit(Habit::always(Op::Part, broken));
        server.habit(Habit::once(Op::Uploads, Effect::After(end)).skipping(1));
        let error = write(&server.sink(), &rows).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(server.count(Op::Part) < 10, "it was tried {} times", server.count(Op::Part));
        // An upload that is still open is another matter.
        let server = S3Server::default();
        server.habit(Habit::once(Op::Part, broken).times(5));
        let sealed = write(&server.sink(), &rows).await.unwrap();
        assert_sealed(&server, &sealed, &rows, "it recovered").await;
    }
}

/// A server that refuses the credentials of a part may close the connection, so that its answer is lost.
#[tokio::test]
async fn a_part_without_an_answer_is_denied_if_a_small_request_is() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::Part, Effect::Refused(Answer::Closed)));
    let denied = Effect::Refused(Answer::Error(400, "ExpiredToken"));
    server.habit(Habit::always(Op::Uploads, denied).skipping(1));
    let error = write(&server.sink(), &Size::Large.rows("mine")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("ExpiredToken"), "{error}");
    assert!(server.count(Op::Part) < 10, "it was tried {} times", server.count(Op::Part));
}

#[tokio::test]
async fn an_unreadable_answer_is_not_asked_for_again_where_it_creates_something() {
    for answer in [Answer::Document("<html>created</html>"), Answer::Document("")] {
        let server = S3Server::default();
        server.habit(Habit::always(Op::Create, Effect::Lost(answer)));
        let error = write(&server.sink(), &Size::Large.rows("mine")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(server.count(Op::Create), 1, "{error}");
        assert_free(&server, "unreadable").await;
    }
}

#[tokio::test]
async fn an_unreadable_answer_is_final_and_quoted() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::List, Effect::Refused(Answer::Document("<p>Log in</p>"))));
    let error = write(&server.sink(), &Size::Small.rows("mine")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("it is not from S3: \"Log in\""), "{error}");
    assert_eq!(server.count(Op::List), 1, "{error}");
}
