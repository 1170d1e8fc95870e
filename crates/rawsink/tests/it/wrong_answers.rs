//! A server, or a gateway before it, that answers with bytes which are not the stored object.
//!
//! Such bytes prove nothing: no verdict is recorded, and no reader says `Corrupt`.

use rawsink::{
    ErrorKind, RawSink, consume,
    state::{MemoryState, PartitionState, Status},
    store::Object,
    validate::{self, Gaps, HazardPolicy, Missing, Rules},
};

use rawsink_testkit::{
    s3_server::{Answer, Effect, Habit, Op, S3Server},
    sample::{key, path, payload, read, rows, run, seal},
};

const STRICT: Rules =
    Rules { gaps: Gaps::Refuse, hazards: HazardPolicy::Warn, missing: Missing::Record };

/// Returns a server with a sealed run.
async fn sealed() -> S3Server {
    let server = S3Server::default();
    seal(&server.sink(), &key(), &run(1), &rows("mine", 50)).await.unwrap();
    server
}

/// Returns a server with a run of other software: no seal block covers its bytes.
fn foreign() -> S3Server {
    let server = S3Server::default();
    let place = path(&key(), &run(1));
    server.tamper(&place, Object::Payload, Some(&payload(&rows("other", 5))));
    server.tamper(&place, Object::Seal, Some(b"{}"));
    server
}

async fn length(server: &S3Server, object: Object) -> usize {
    let stored = server.sink().inspect(&key(), &run(1)).await.unwrap();
    usize::try_from(stored.get(object).unwrap().bytes).unwrap()
}

/// Returns what a gateway may answer in place of an object.
async fn pages(server: &S3Server, object: Object, shortest: usize) -> Vec<Answer> {
    let right = length(server, object).await;
    let mut pages = vec![Answer::Html(200), Answer::Error(404, "NoSuchKey")];
    for bytes in [shortest, 35, right] {
        for etag in [None, Some("\"5d41402abc4b2a76b9719d911017c592\"")] {
            pages.push(Answer::Page { bytes, etag });
        }
    }
    pages
}

async fn verdict(sink: &RawSink, state: &MemoryState, rules: Rules) -> Result<bool, ErrorKind> {
    let judged = validate::run(sink, state, &key(), &run(1), rules).await;
    judged.map(|validation| validation.passed()).map_err(|error| error.kind())
}

#[tokio::test]
async fn a_page_in_place_of_an_object_is_unavailable_and_records_nothing() {
    // Nothing at all is a payload without rows, if no seal covers it.
    for (kind, server, shortest) in [("sealed", sealed().await, 0), ("foreign", foreign(), 1)] {
        for object in [Object::Payload, Object::Seal] {
            for page in pages(&server, object, shortest).await {
                let context = format!("{kind} {object:?} {page:?}");
                let (sink, state) = (server.sink(), MemoryState::new());
                let habit = Habit::always(Op::Get, Effect::Refused(page)).on(object.file_name());
                server.habit(habit);
                for rules in [Rules::default(), STRICT] {
                    let verdict = verdict(&sink, &state, rules).await;
                    assert_eq!(verdict, Err(ErrorKind::Unavailable), "{context}");
                }
                assert_eq!(state.get(&key()).await.unwrap(), None, "{context}");
                if kind == "sealed" {
                    let error = read(&sink, &key(), &run(1)).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{context}: {error}");
                    assert!(error.message().contains("try again"), "{context}: {error}");
                }
                server.behave();
                let passed = verdict(&sink, &state, Rules::default()).await;
                assert_eq!(passed, Ok(true), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_in_place_of_the_metadata_is_no_damaged_seal() {
    let server = sealed().await;
    let page = Answer::Page { bytes: 35, etag: None };
    server.habit(Habit::always(Op::Get, Effect::Refused(page)).on(Object::Seal.file_name()));
    let error = server.sink().metadata(&key(), &run(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let says =
        "the server answered with bytes that are not those of the stored metadata.json: 35 bytes";
    assert!(error.message().starts_with(says), "{error}");
}

/// A login page for everything: without a tag, not even two equal answers prove something.
#[tokio::test]
async fn a_page_in_place_of_every_answer_proves_nothing() {
    for server in [sealed().await, foreign()] {
        for op in [Op::Get, Op::Head] {
            let page = Answer::Page { bytes: 35, etag: None };
            server.habit(Habit::always(op, Effect::Refused(page)));
        }
        let state = MemoryState::new();
        let verdict = verdict(&server.sink(), &state, STRICT).await;
        assert_eq!(verdict, Err(ErrorKind::Unavailable));
        assert_eq!(state.get(&key()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_get_that_finds_nothing_once_is_repeated_if_the_seal_exists() {
    let server = sealed().await;
    let gone = Effect::Refused(Answer::Error(404, "NoSuchKey"));
    server.habit(Habit::once(Op::Get, gone).on(Object::Seal.file_name()));
    assert_eq!(read(&server.sink(), &key(), &run(1)).await.unwrap(), rows("mine", 50));
}

#[tokio::test]
async fn a_damaged_object_still_fails_and_a_good_run_costs_no_more_requests() {
    let server = sealed().await;
    let (sink, state) = (server.sink(), MemoryState::new());
    let before = (server.count(Op::Head), server.count(Op::Get));
    assert_eq!(verdict(&sink, &state, STRICT).await, Ok(true));
    let after = (server.count(Op::Head), server.count(Op::Get));
    assert_eq!(after, (before.0, before.1 + 2), "seal and payload, once each");
    let place = path(&key(), &run(1));
    let good = payload(&rows("mine", 50));
    let other = payload(&rows("evil", 50));
    assert_eq!(good.len(), other.len());
    for (object, content) in [
        (Object::Payload, Some(&other[..])),
        (Object::Payload, Some(&other[1..])),
        (Object::Payload, None),
        (Object::Seal, Some(&b"<html>"[..])),
    ] {
        server.tamper(&place, Object::Payload, Some(&good));
        server.tamper(&place, object, content);
        let state = MemoryState::new();
        assert_eq!(verdict(&sink, &state, Rules::default()).await, Ok(false), "{object:?}");
        let record = state.get(&key()).await.unwrap().unwrap();
        assert_eq!(record.status, Status::Failed, "{object:?}");
        let error = read(&sink, &key(), &run(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{object:?}: {error}");
    }
}

#[tokio::test]
async fn g19_another_document_in_place_of_the_validated_one_is_unavailable() {
    let server = sealed().await;
    let (sink, state) = (server.sink(), MemoryState::new());
    assert_eq!(verdict(&sink, &state, Rules::default()).await, Ok(true));
    let other = Effect::Refused(Answer::Document("{\"record_count\":50}"));
    server.habit(Habit::always(Op::Get, other).on(Object::Seal.file_name()));
    let error = consume::open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.behave();
    server.tamper(&path(&key(), &run(1)), Object::Seal, Some(b"{\"record_count\":50}"));
    let error = consume::open_current(&sink, &state, &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
