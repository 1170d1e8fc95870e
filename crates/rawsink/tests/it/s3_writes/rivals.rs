//! Sequential writers and rivals.

use rawsink::{
    ErrorKind, Metadata,
    sink::SinkOptions,
    store::{LeftoverPolicy, Object, s3::CompleteConditions},
};

use super::{
    BOTH, Size, another_puts_a_payload, another_seals, assert_free, assert_sealed, outcome, place,
    write,
};
use rawsink_testkit::{
    s3_server::{
        AbortedUpload, Answer, Effect, Habit, Objects, Op, S3Server, UserMetadata, key_of,
    },
    sample::{key, run},
};

#[tokio::test]
async fn g04_an_earlier_seal_of_a_rival_is_respected_at_any_step() {
    for size in Size::BOTH {
        let payload = if size == Size::Small { Op::Put } else { Op::Complete };
        for (op, object) in [(payload, Object::Payload), (Op::Put, Object::Seal)] {
            let server = S3Server::default();
            if op == Op::Put {
                // The payload's PUT alone would not show it: a payload exists too.
                server.habit(Habit::once(op, Effect::After(another_seals)).on(object.file_name()));
            } else {
                server.habit(Habit::once(op, Effect::After(another_seals)));
            }
            let ended = outcome(&server, &size.rows("mine")).await;
            assert_eq!(ended, Err(ErrorKind::AlreadySealed), "{size:?} {op:?} {object:?}");
        }
    }
}

#[tokio::test]
async fn g04_a_payload_of_a_rival_is_not_sealed() {
    for (op, size) in [(Op::Put, Size::Small), (Op::Complete, Size::Large)] {
        for conditions in BOTH {
            let server = S3Server::new(conditions);
            let effect = Effect::After(another_puts_a_payload);
            server.habit(Habit::once(op, effect).on(Object::Payload.file_name()));
            let ended = outcome(&server, &size.rows("mine")).await;
            let ignored = op == Op::Complete && server.ignores_conditions();
            if ignored {
                // The own payload came later and replaced it, which the server allows.
                assert_eq!(ended, Ok(()));
            } else {
                assert_eq!(ended, Err(ErrorKind::Conflict), "{size:?} {conditions:?}");
                assert_free(&server, "another's payload").await;
            }
        }
    }
}

/// versitygw reads the metadata from the upload's directory, which the rival's abort removes meanwhile.
#[tokio::test]
async fn g05_an_abort_beside_the_complete_may_cost_the_payload_its_metadata() {
    fn another_opens_an_upload(objects: &mut Objects) {
        objects.open_upload(&key_of(&place(), Object::Payload));
    }
    let server = S3Server::new(CompleteConditions::Ignored);
    server.set(|behaviour| behaviour.user_metadata = UserMetadata::DroppedByMultipart);
    let dropped = outcome(&server, &Size::Large.rows("mine")).await;
    assert_eq!(dropped, Err(ErrorKind::Unsupported), "without a rival the server drops it");
    let server = S3Server::new(CompleteConditions::Ignored);
    server.set(|behaviour| behaviour.user_metadata = UserMetadata::DroppedByMultipart);
    server.habit(Habit::once(Op::Complete, Effect::After(another_opens_an_upload)));
    let ended = outcome(&server, &Size::Large.rows("mine")).await;
    assert_eq!(ended, Err(ErrorKind::Conflict), "a rival was active");
}

#[tokio::test]
async fn g09_a_leftover_is_replaced_after_the_grace_and_no_upload_stays_open() {
    for conditions in BOTH {
        for (old, new) in [
            (Size::Small, Size::Small),
            (Size::Small, Size::Large),
            (Size::Large, Size::Small),
            (Size::Large, Size::Large),
        ] {
            let server = S3Server::new(conditions);
            let refusal = Effect::Refused(Answer::Error(403, "AccessDenied"));
            server.habit(Habit::always(Op::Put, refusal).on(Object::Seal.file_name()));
            assert_eq!(outcome(&server, &old.rows("old")).await, Err(ErrorKind::Denied));
            assert_eq!(server.residue(&place()), ["payload.jsonl"]);
            server.behave();
            let (before, rows) = (server.waited_s(), new.rows("new"));
            let sealed = write(&server.sink(), &rows).await.unwrap();
            let waited = server.waited_s() - before;
            assert!((90..100).contains(&waited), "{waited}");
            assert_sealed(&server, &sealed, &rows, &format!("{old:?} {new:?}")).await;
        }
    }
}

#[tokio::test]
async fn g09_an_empty_payload_replaces_a_leftover_with_one_empty_part() {
    let server = S3Server::default();
    server.tamper(&place(), Object::Payload, Some(b"{}\n"));
    let sealed = write(&server.sink(), &[]).await.unwrap();
    assert_eq!(server.count(Op::Part), 1);
    assert_sealed(&server, &sealed, &[], "empty").await;
}

#[tokio::test]
async fn g09_a_payload_that_appears_meanwhile_is_replaced_after_its_own_grace() {
    for conditions in BOTH {
        let server = S3Server::new(conditions);
        let effect = Effect::After(another_puts_a_payload);
        server.habit(Habit::once(Op::Head, effect).on(Object::Payload.file_name()));
        // More than the grace after the listing of uploads.
        server.habit(Habit::once(Op::Part, Effect::Slow(200)));
        let rows = Size::Large.rows("mine");
        let sealed = write(&server.sink(), &rows).await.unwrap();
        assert!((290..300).contains(&server.waited_s()), "{conditions:?}: {}", server.waited_s());
        assert_sealed(&server, &sealed, &rows, &format!("{conditions:?}")).await;
    }
}

#[tokio::test]
async fn g03_a_payload_that_appears_meanwhile_stays_if_its_writer_seals_it() {
    for conditions in BOTH {
        let server = S3Server::new(conditions);
        let appears = Effect::After(another_puts_a_payload);
        server.habit(Habit::once(Op::Head, appears).on(Object::Payload.file_name()));
        let is_sealed = Effect::After(another_seals);
        server.habit(Habit::once(Op::Head, is_sealed).on(Object::Seal.file_name()).skipping(1));
        let ended = outcome(&server, &Size::Large.rows("mine")).await;
        assert_eq!(ended, Err(ErrorKind::AlreadySealed), "{conditions:?}");
        assert_eq!(server.met(), 2);
        assert_eq!(server.count(Op::Complete), 0, "{conditions:?}");
    }
}

const HOUR_MS: u64 = 3_600_000;

/// A rival seals and its gateway dies during Complete: an abort would delete the bytes.
fn another_seals_and_its_upload_stays_listed(objects: &mut Objects) {
    another_puts_a_payload(objects);
    another_seals(objects);
    let id = objects.open_upload(&key_of(&place(), Object::Payload));
    objects.uploads.get_mut(&id).unwrap().initiated -= HOUR_MS;
}

#[tokio::test]
async fn g03_an_upload_that_may_be_a_sealed_payload_is_not_aborted() {
    for conditions in BOTH {
        let server = S3Server::new(conditions);
        let effect = Effect::After(another_seals_and_its_upload_stays_listed);
        server.habit(Habit::once(Op::Create, effect));
        let ended = outcome(&server, &Size::Large.rows("mine")).await;
        assert_eq!(ended, Err(ErrorKind::AlreadySealed), "{conditions:?}");
        let objects = server.objects();
        let left: Vec<_> = objects.uploads.values().map(|open| open.metadata.is_none()).collect();
        assert_eq!(left, [true], "the other's, whose token is not known: {conditions:?}");
    }
}

#[tokio::test]
async fn a_payload_that_appears_meanwhile_is_kept_if_it_changes_or_leftovers_are_refused() {
    let server = S3Server::default();
    let appears = Effect::After(another_puts_a_payload);
    server.habit(Habit::once(Op::Head, appears).on(Object::Payload.file_name()).times(2));
    let ended = outcome(&server, &Size::Large.rows("mine")).await;
    assert_eq!((ended, server.met()), (Err(ErrorKind::Conflict), 2));
    assert_free(&server, "changed again").await;
    let options = SinkOptions::default().leftover(LeftoverPolicy::Refuse);
    let server = S3Server::default();
    server.habit(Habit::once(Op::Head, appears).on(Object::Payload.file_name()));
    let ended = write(&server.sink_with(options), &Size::Large.rows("mine")).await.unwrap_err();
    assert_eq!((ended.kind(), server.waited_s()), (ErrorKind::Conflict, 0));
}

#[tokio::test]
async fn a_leftover_is_refused_if_configured_and_a_restart_still_seals_its_own() {
    let options = SinkOptions::default().leftover(LeftoverPolicy::Refuse);
    let server = S3Server::default();
    let rows = Size::Small.rows("mine");
    let sealed = write(&server.sink_with(options.clone()), &rows).await.unwrap();
    assert_sealed(&server, &sealed, &rows, "nothing was left").await;
    let server = S3Server::default();
    server.tamper(&place(), Object::Payload, Some(b"{}\n"));
    let refused = write(&server.sink_with(options), &rows).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(server.requests(), 1, "before anything is extracted");
}

#[tokio::test]
async fn g09_uploads_on_several_listing_pages_are_all_aborted() {
    for (open, page) in [(5, 1), (5, 2), (5, 5), (5, 6), (5, 7)] {
        let server = S3Server::default();
        for _ in 0..open {
            server.objects().open_upload(&key_of(&place(), Object::Payload));
        }
        server.set(|behaviour| behaviour.page_limits.uploads = page);
        let rows = Size::Large.rows("mine");
        let sealed = write(&server.sink(), &rows).await.unwrap();
        assert_eq!(server.count(Op::Abort), open);
        assert_sealed(&server, &sealed, &rows, &format!("{page} a page")).await;
    }
}

#[tokio::test]
async fn g09_a_newer_writer_aborts_older_uploads() {
    for conditions in BOTH {
        let server = S3Server::new(conditions);
        let (old, new) = (Size::Large.rows("old"), Size::Large.rows("new"));
        let mut first = server.sink().write_partition(&key(), &run(1)).await.unwrap();
        for row in &old {
            first.write_payload_line(row.as_bytes()).await.unwrap();
        }
        let sealed = write(&server.sink(), &new).await.unwrap();
        let grace = if server.ignores_conditions() { 90..100 } else { 0..1 };
        assert!(grace.contains(&server.waited_s()), "{conditions:?}: {}", server.waited_s());
        let ended = first.finalize(Metadata::default()).await.unwrap_err();
        let told = [ErrorKind::Conflict, ErrorKind::AlreadySealed];
        assert!(told.contains(&ended.kind()), "{ended}");
        assert_sealed(&server, &sealed, &new, "the newer one").await;
    }
}

#[tokio::test]
async fn g04_a_superseded_writer_gets_conflict_while_the_newer_one_is_active() {
    let server = S3Server::default();
    let mut writers = Vec::new();
    for attempt in ["old", "new"] {
        let mut writer = server.sink().write_partition(&key(), &run(1)).await.unwrap();
        for row in &Size::Large.rows(attempt) {
            writer.write_payload_line(row.as_bytes()).await.unwrap();
        }
        writers.push(writer);
    }
    let newer = writers.pop().unwrap();
    let older = writers.pop().unwrap();
    let ended = older.finalize(Metadata::default()).await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Conflict, "{ended}");
    let sealed = newer.finalize(Metadata::default()).await.unwrap();
    assert_sealed(&server, &sealed, &Size::Large.rows("new"), "the newer one").await;
}

#[tokio::test]
async fn g04_an_aborted_upload_that_is_listed_again_is_no_rival() {
    // Right after its abort, and at the writer's next check.
    fn lists_again(objects: &mut Objects) {
        let aborted: Vec<_> = objects.aborted_uploads().collect();
        assert_eq!(aborted.len(), 1);
        objects.list_again(aborted[0]);
    }
    for listing in [1, 2] {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.aborted_upload = AbortedUpload::ListedOnDemand);
        let mut older = server.sink().write_partition(&key(), &run(1)).await.unwrap();
        for row in &Size::Large.rows("old") {
            older.write_payload_line(row.as_bytes()).await.unwrap();
        }
        let effect = Effect::After(lists_again);
        server.habit(Habit::once(Op::Uploads, effect).skipping(listing));
        let rows = Size::Large.rows("new");
        let sealed = write(&server.sink(), &rows).await.unwrap();
        assert_eq!(server.met(), 1);
        // An upload that reappears after the last check is left for `clean`.
        let echoes = server.residue(&place()).iter().filter(|name| *name == "upload").count();
        assert_eq!(echoes, listing - 1);
        server.objects().uploads.clear();
        assert_sealed(&server, &sealed, &rows, "the newer one").await;
        let ended = older.finalize(Metadata::default()).await.unwrap_err();
        assert!(matches!(ended.kind(), ErrorKind::Conflict | ErrorKind::AlreadySealed), "{ended}");
    }
}

#[tokio::test]
async fn g08_a_writer_that_aborted_another_upload_leaves_its_own_as_a_marker() {
    let server = S3Server::default();
    let mut older = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    let mut newer = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    for writer in [&mut older, &mut newer] {
        for row in &Size::Large.rows("any") {
            writer.write_payload_line(row.as_bytes()).await.unwrap();
        }
    }
    newer.abort().await;
    assert_eq!(server.residue(&place()), ["upload"]);
    older.abort().await;
    assert_eq!(server.residue(&place()), ["upload"]);
    assert_free(&server, "the next attempt ends it").await;
}

#[tokio::test]
async fn g04_a_small_payload_with_rivals_uses_multipart_and_a_new_token() {
    let server = S3Server::default();
    let mut large = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    for row in &Size::Large.rows("large") {
        large.write_payload_line(row.as_bytes()).await.unwrap();
    }
    let rows = Size::Small.rows("small");
    let sealed = write(&server.sink(), &rows).await.unwrap();
    assert_eq!((server.count(Op::Complete), server.count(Op::Create)), (1, 2));
    let ended = large.finalize(Metadata::default()).await.unwrap_err();
    assert!(matches!(ended.kind(), ErrorKind::Conflict | ErrorKind::AlreadySealed), "{ended}");
    assert_sealed(&server, &sealed, &rows, "the small one").await;
}

/// A caller may give up during the grace, and not during the seal.
#[tokio::test]
async fn the_grace_is_over_when_the_payload_is_complete() {
    let server = S3Server::default();
    let mut large = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    for row in &Size::Large.rows("large") {
        large.write_payload_line(row.as_bytes()).await.unwrap();
    }
    let mut small = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    small.write_payload_line(b"{}").await.unwrap();
    let metadata = Metadata::default();
    small.complete_payload(&metadata).await.unwrap();
    let waited = server.waited_s();
    assert!(waited >= 90, "{waited} s");
    small.finalize(metadata).await.unwrap();
    assert_eq!(server.waited_s(), waited);
}

#[tokio::test]
async fn g03_a_seal_is_found_after_a_full_listing_page() {
    let server = S3Server::default();
    for n in 0..2100 {
        let other = place().join("hidden").join(&format!("{n:04}"));
        server.tamper(&other, Object::Seal, Some(b"{}"));
    }
    let rows = Size::Small.rows("mine");
    let sealed = write(&server.sink(), &rows).await.unwrap();
    let refused = server.sink().write_partition(&key(), &run(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadySealed);
    let reader = server.sink().open_partition(&key(), &run(1)).await.unwrap();
    assert_eq!(reader.seal().unwrap().writer, sealed.writer);
}

#[tokio::test]
async fn g05_a_payload_with_my_token_and_a_wrong_length_is_not_mine() {
    fn truncate(objects: &mut Objects) {
        let payload = objects.objects.get_mut(&key_of(&place(), Object::Payload)).unwrap();
        payload.body.truncate(3);
    }
    let server = S3Server::default();
    server.habit(Habit::once(Op::Uploads, Effect::After(truncate)));
    assert_eq!(outcome(&server, &Size::Small.rows("mine")).await, Err(ErrorKind::Conflict));
    assert_free(&server, "truncated").await;
}
