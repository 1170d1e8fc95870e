//! Restores of damaged runs over an S3 server that misbehaves.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rawsink::{
    ErrorKind, Result,
    store::{Object, Restoration, S3Store, Store, StorePath, WriterToken},
};

use rawsink_testkit::{
    s3_server::{Answer, Effect, Habit, Objects, Op, S3Server, key_of},
    sample::{key, path, payload, read, rows, run, seal},
};

/// Replies that do not show the result of a request, or a wrong one.
const DOUBTFUL: [Answer; 7] = [
    Answer::Closed,
    Answer::Error(500, "InternalError"),
    Answer::Error(503, "SlowDown"),
    Answer::Error(409, "OperationAborted"),
    Answer::Error(400, "RequestTimeout"),
    Answer::CutShort(403),
    Answer::CutShort(404),
];

/// Replies to Complete only.
const OF_COMPLETE: [Answer; 3] = [
    Answer::Error(412, "PreconditionFailed"),
    Answer::Document("<Error><Code>InternalError</Code><Message>late</Message></Error>"),
    Answer::Document("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"),
];

fn place() -> StorePath {
    path(&key(), &run(1))
}

/// A server with a sealed run, its rows, and its seal.
struct Landed {
    server: S3Server,
    rows: Vec<String>,
    seal: Bytes,
}

impl Landed {
    async fn new() -> Self {
        let (server, rows) = (S3Server::default(), rows("mine", 5));
        seal(&server.sink(), &key(), &run(1), &rows).await.unwrap();
        let reading = server.store().read(&place(), Object::Seal, 0).await.unwrap();
        let seal: Vec<Bytes> = reading.chunks.try_collect().await.unwrap();
        Self { server, rows, seal: seal.concat().into() }
    }

    /// Flips a byte of an object.
    fn damage(&self, object: Object) {
        let key = key_of(&place(), object);
        let mut damaged = self.server.objects().objects.get(&key).unwrap().body.to_vec();
        damaged[3] ^= 1;
        self.server.objects().tamper(&key, Some(&damaged));
    }

    async fn restore(&self, object: Object) -> Result<()> {
        let seal = self.seal.clone();
        let restoration = match object {
            Object::Payload => {
                let chunks = stream::iter([Ok(Bytes::from(payload(&self.rows)))]).boxed();
                Restoration::Payload { seal, chunks }
            }
            Object::Seal => Restoration::Seal(seal),
        };
        restore(&self.server.store(), restoration).await
    }

    async fn assert_restored(&self, context: &str) {
        self.server.behave();
        let rows = read(&self.server.sink(), &key(), &run(1)).await;
        assert_eq!(rows.unwrap_or_else(|error| panic!("{context}: {error}")), self.rows);
        assert_eq!(self.server.residue(&place()), ["metadata.json", "payload.jsonl"], "{context}");
    }
}

async fn restore(store: &S3Store, restoration: Restoration) -> Result<()> {
    store.restore(&place(), WriterToken::new(7), restoration).await
}

/// Damages an object, restores it over each reply to `op`, and asserts that it is right afterwards.
async fn assert_survives(op: Op, object: Object, answers: &[Answer]) {
    for answer in answers {
        for effect in [Effect::Lost(*answer), Effect::Refused(*answer)] {
            let landed = Landed::new().await;
            landed.damage(object);
            landed.server.habit(Habit::once(op, effect).on(object.file_name()));
            let context = format!("{op:?} {effect:?}");
            let restored = landed.restore(object).await;
            restored.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(landed.server.met() > 0, "the habit was met: {context}");
            assert_eq!(landed.server.count(Op::Abort), 0, "{context}");
            landed.assert_restored(&context).await;
        }
    }
}

#[tokio::test]
async fn g07_an_ambiguous_reply_to_the_complete_of_a_restore_is_settled_by_a_check() {
    let answers = [&DOUBTFUL[..], &OF_COMPLETE[..]].concat();
    assert_survives(Op::Complete, Object::Payload, &answers).await;
}

#[tokio::test]
async fn g07_an_ambiguous_reply_to_the_put_of_a_seal_is_settled_by_another() {
    assert_survives(Op::Put, Object::Seal, &DOUBTFUL).await;
}

#[tokio::test]
async fn a_restore_sends_six_requests_and_waits_for_nobody() {
    let landed = Landed::new().await;
    landed.damage(Object::Payload);
    let before = landed.server.requests();
    landed.restore(Object::Payload).await.unwrap();
    assert_eq!(landed.server.requests() - before, 6, "seal, payload, upload, part, seal, Complete");
    assert_eq!(landed.server.waited_s(), 0);
    landed.assert_restored("restored").await;
}

#[tokio::test]
async fn g03_the_upload_of_a_restore_is_not_aborted_after_complete() {
    let landed = Landed::new().await;
    landed.damage(Object::Payload);
    let refused = Effect::Refused(Answer::Error(503, "SlowDown"));
    landed.server.habit(Habit::always(Op::Complete, refused));
    let failed = landed.restore(Object::Payload).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed}");
    assert_eq!(landed.server.count(Op::Abort), 0);
    assert_eq!(landed.server.residue(&place()).last().unwrap(), "upload", "a Complete may run");
    landed.server.behave();
    landed.restore(Object::Payload).await.unwrap();
    let rows = read(&landed.server.sink(), &key(), &run(1)).await.unwrap();
    assert_eq!(rows, landed.rows);
}

#[tokio::test]
async fn g03_a_seal_that_disappears_meanwhile_ends_the_restore() {
    fn remove_seal(objects: &mut Objects) {
        objects.tamper(&key_of(&place(), Object::Seal), None);
    }
    let landed = Landed::new().await;
    landed.damage(Object::Payload);
    let gone = Habit::once(Op::Get, Effect::After(remove_seal)).on(Object::Seal.file_name());
    landed.server.habit(gone.skipping(1));
    let refused = landed.restore(Object::Payload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotSealed, "{refused}");
    assert_eq!(landed.server.count(Op::Complete), 0);
    assert_eq!(landed.server.residue(&place()), ["payload.jsonl"], "the upload is aborted");
}

#[tokio::test]
async fn g18_a_writer_that_meets_a_restore_ends_and_does_not_disturb_it() {
    let landed = Landed::new().await;
    landed.damage(Object::Payload);
    let sink = landed.server.sink();
    let writer = async move {
        let refused = sink.write_partition(&key(), &run(1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
        Ok(Bytes::new())
    };
    let whole = stream::iter([Ok(Bytes::from(payload(&landed.rows)))]);
    let chunks = whole.chain(stream::once(writer)).boxed();
    let seal = landed.seal.clone();
    restore(&landed.server.store(), Restoration::Payload { seal, chunks }).await.unwrap();
    landed.assert_restored("restored").await;
}
