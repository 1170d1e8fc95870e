//! Uploads and payloads over a server that pages, refuses, changes or lacks data.

use bytes::Bytes;
use fake_s3::{UploadId, format_name};
use futures_util::TryStreamExt;
use rawsink::{
    ErrorKind,
    layout::Place,
    store::{Discarded, LeftoverKind, Object},
};
use rawsink_ops::clean::{CleanPolicy, Fate, Payloads, execute, plan};

use super::{HOUR, cleaned, fates, older_than, planned};
use rawsink_testkit::{
    s3_server::{
        AbortedUpload, Answer, DeleteCondition, Effect, Habit, Objects, Op, PREFIX, S3Server,
        UploadListing, UploadTimes, key_of,
    },
    sample::{customer, key, path, read, rows, run, seal},
    states::no_state,
};

const DAY: CleanPolicy =
    CleanPolicy { older_than: HOUR.saturating_mul(24), payloads: Payloads::UnderLock };
const PAYLOADS_TOO: CleanPolicy = CleanPolicy { payloads: Payloads::Everywhere, ..DAY };

fn payload_of(n: u16) -> String {
    key_of(&path(&key(), &run(n)), Object::Payload)
}

/// Opens an upload of run `n`, as a crashed writer.
fn open(server: &S3Server, n: u16) -> UploadId {
    server.objects().open_upload(&payload_of(n))
}

/// Sends a part of an upload, as a live writer.
fn send(server: &S3Server, id: UploadId, number: i32, bytes: usize) {
    let mut objects = server.objects();
    let stamp = objects.stamp();
    objects.upload_part(id, number, Bytes::from(vec![0; bytes]), stamp).unwrap();
}

/// Returns a server with an unsealed payload of run 1, two days old.
fn with_old_payload() -> S3Server {
    let server = S3Server::default();
    server.objects().tamper(&payload_of(1), Some(b"left"));
    server.pass_hours(48);
    server
}

fn payload_exists(server: &S3Server) -> bool {
    server.objects().objects.contains_key(&payload_of(1))
}

#[tokio::test]
async fn an_upload_is_as_old_as_its_last_part() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.page_limits.parts = 2);
    let (resting, alive) = (open(&server, 1), open(&server, 2));
    for number in 1..=5 {
        send(&server, resting, number, 1000);
    }
    server.pass_hours(20);
    send(&server, alive, 1, 10);
    server.pass_hours(10);
    let (found, errors) = planned(&server.sink(), DAY).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(fates(&found), [Fate::Remove, Fate::Young]);
    let shown: Vec<_> = found
        .iter()
        .map(|planned| (&planned.leftover.run_id, planned.leftover.found.bytes))
        .collect();
    assert_eq!(shown, [(&run(1), 5000), (&run(2), 10)]);
    assert_eq!((found[0].age.as_secs() / 3600, found[1].age.as_secs() / 3600), (30, 10));
    assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, Discarded::Removed)]);
    assert_eq!(server.objects().uploads.keys().collect::<Vec<_>>(), [&alive]);
}

#[tokio::test]
async fn every_page_of_uploads_is_read_for_any_listing_style() {
    for listing in [UploadListing::ByPrefix, UploadListing::ByKey] {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.upload_listing = listing);
        server.set(|behaviour| behaviour.page_limits.uploads = 2);
        for n in 1..=5 {
            open(&server, n);
            open(&server, n);
        }
        // Not ours: another prefix, and keys that are not a run's payload.
        server.objects().open_upload("raw/other/payload.jsonl");
        server.objects().open_upload(&format!("{PREFIX}/payload.jsonl"));
        for name in ["other", "metadata.json", ".payload.jsonl", "below/payload.jsonl"] {
            server.objects().open_upload(&payload_of(1).replace("payload.jsonl", name));
        }
        server.pass_hours(25);
        let done = cleaned(&server.sink(), DAY).await;
        assert_eq!(done.len(), 10, "{listing:?}: {done:?}");
        assert_eq!(server.objects().uploads.len(), 6, "{listing:?}");
    }
}

#[tokio::test]
async fn a_path_limits_the_cleanup_for_any_listing_style() {
    for listing in [UploadListing::ByPrefix, UploadListing::ByKey] {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.upload_listing = listing);
        let [one, other, longer] = ["1", "2", "11"].map(customer);
        for key in [&one, &other, &longer] {
            server.objects().open_upload(&key_of(&path(key, &run(1)), Object::Payload));
        }
        server.pass_hours(25);
        let whole = Place::of_run(&one, &run(1));
        let customer = Place::parse("google_ads/customer_id=1", "").unwrap();
        for place in [customer, Place::of_partition(&one), whole] {
            let found: Vec<_> = plan(&server.sink(), &no_state(), &place, DAY)
                .unwrap()
                .try_collect()
                .await
                .unwrap();
            let keys: Vec<_> = found.iter().map(|planned| &planned.leftover.key).collect();
            assert_eq!(keys, [&one], "{listing:?} {place}");
        }
    }
}

#[tokio::test]
async fn a_key_with_limited_list_permission_lists_its_part() {
    let server = with_old_payload();
    server.set(|behaviour| behaviour.page_limits.uploads = 2);
    // The first listing is of the prefix, the second of a key.
    let refused = Effect::Refused(Answer::Error(403, "AccessDenied"));
    server.habit(Habit::always(Op::Uploads, refused).skipping(2));
    let (found, errors) = planned(&server.sink(), DAY).await;
    assert_eq!((found.len(), errors.len()), (1, 0), "{errors:?}");
    server.behave();
    server.habit(Habit::always(Op::Uploads, refused));
    let (found, errors) = planned(&server.sink(), DAY).await;
    assert_eq!((found.len(), errors.len()), (1, 1), "payloads are listed all the same");
    assert_eq!(errors[0].kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn an_upload_that_ends_during_inspection_is_no_leftover() {
    let server = S3Server::default();
    open(&server, 1);
    server.pass_hours(25);
    let end_all = Effect::After(|objects: &mut Objects| objects.uploads.clear());
    server.habit(Habit::once(Op::Parts, end_all));
    let (found, errors) = planned(&server.sink(), DAY).await;
    assert!(found.is_empty() && errors.is_empty(), "{found:?} {errors:?}");
    // The same between the plan and its execution.
    let id = open(&server, 1);
    send(&server, id, 1, 5);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    server.habit(Habit::once(Op::Abort, end_all));
    let done = execute(&server.sink(), &found[0]).await.unwrap();
    assert_eq!(done, Some(Discarded::Gone), "somebody else ended it");
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Gone));
    // Ceph's error for an upload that is being aborted.
    server.habit(Habit::once(Op::Parts, Effect::Refused(Answer::Error(404, "NoSuchKey"))));
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Gone));
    // s3proxy lists no parts then.
    let none = Answer::Document("<ListPartsResult></ListPartsResult>");
    server.habit(Habit::once(Op::Parts, Effect::Refused(none)));
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Gone));
}

#[tokio::test]
async fn an_upload_that_continues_between_plan_and_execution_is_kept() {
    for bytes in [0, 7] {
        let server = S3Server::default();
        let id = open(&server, 1);
        server.pass_hours(25);
        let (found, _) = planned(&server.sink(), DAY).await;
        send(&server, id, 1, bytes);
        let done = execute(&server.sink(), &found[0]).await.unwrap();
        assert_eq!(done, Some(Discarded::Changed), "{bytes} bytes");
        assert_eq!(server.objects().uploads.len(), 1);
        assert_eq!(server.count(Op::Abort), 0);
    }
}

/// On some servers an interrupted Complete leaves its upload listed, whose parts are the
/// object's.
#[tokio::test]
async fn g03_an_upload_that_may_be_the_completed_payload_is_kept() {
    for longer in [0, 1] {
        let server = S3Server::default();
        let rows = rows("sealed", 3);
        seal(&server.sink(), &key(), &run(1), &rows).await.unwrap();
        let id = open(&server, 1);
        send(&server, id, 1, rawsink_testkit::sample::payload(&rows).len() + longer);
        server.pass_hours(25);
        let outcome = if longer == 0 { Discarded::Completed } else { Discarded::Removed };
        assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, outcome)]);
        assert_eq!(server.count(Op::Abort), longer, "{longer} bytes longer");
        assert_eq!(read(&server.sink(), &key(), &run(1)).await.unwrap(), rows);
    }
}

#[tokio::test]
async fn an_upload_without_parts_is_not_an_empty_payload() {
    let server = S3Server::default();
    seal(&server.sink(), &key(), &run(1), &[]).await.unwrap();
    open(&server, 1);
    server.pass_hours(25);
    assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, Discarded::Removed)]);
}

/// `SeaweedFS` omitted the creation time until 2026-09.
#[tokio::test]
async fn an_upload_of_unknown_age_is_reported_and_kept() {
    for (times, has_part, known) in [
        (UploadTimes::PartsOnly, true, true),
        (UploadTimes::PartsOnly, false, false),
        (UploadTimes::Omitted, true, false),
        (UploadTimes::Omitted, false, false),
    ] {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.upload_times = times);
        let id = open(&server, 1);
        if has_part {
            send(&server, id, 1, 10);
        }
        server.pass_hours(25);
        let (found, errors) = planned(&server.sink(), DAY).await;
        let context = format!("{times:?}, with a part: {has_part}");
        if known {
            assert_eq!(fates(&found), [Fate::Remove], "{context}");
            assert_eq!(found[0].age.as_secs() / 3600, 25);
            continue;
        }
        assert!(found.is_empty(), "{context}: {found:?}");
        let [error] = errors.as_slice() else { panic!("{context}: {errors:?}") };
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(run(1).as_str()), "{error}");
        assert!(error.message().contains(&format_name(id)), "{error}");
    }
}

/// Some servers report part times in whole seconds.
#[tokio::test]
async fn an_upload_that_grew_right_after_its_listing_is_kept() {
    let server = S3Server::default();
    let id = open(&server, 1);
    send(&server, id, 1, 5);
    send(&server, id, 2, 5);
    let sent = server.objects().uploads[&id].parts[&2].clone();
    server.objects().uploads.get_mut(&id).unwrap().parts.remove(&2);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    server.objects().uploads.get_mut(&id).unwrap().parts.insert(2, sent);
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Changed));
    assert_eq!(server.count(Op::Abort), 0);
}

#[tokio::test]
async fn an_upload_that_reappears_is_aborted_again_and_reported_if_it_stays() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.aborted_upload = AbortedUpload::ListedTimes(1));
    open(&server, 1);
    server.pass_hours(25);
    assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, Discarded::Removed)]);
    assert_eq!(server.count(Op::Abort), 2);
    server.set(|behaviour| behaviour.aborted_upload = AbortedUpload::ListedTimes(usize::MAX));
    open(&server, 2);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    let error = execute(&server.sink(), &found[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_refused_abort_is_denied_and_names_the_run() {
    let server = S3Server::default();
    open(&server, 1);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    server.habit(Habit::always(Op::Abort, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    let error = execute(&server.sink(), &found[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains(run(1).as_str()), "{error}");
}

#[tokio::test]
async fn an_unsealed_payload_is_only_listed_and_its_run_can_be_written() {
    let server = with_old_payload();
    let (found, _) = planned(&server.sink(), DAY).await;
    assert_eq!(fates(&found), [Fate::Shown]);
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), None);
    assert!(payload_exists(&server) && server.count(Op::Delete) == 0);
    seal(&server.sink(), &key(), &run(1), &rows("again", 3)).await.unwrap();
    assert_eq!(planned(&server.sink(), DAY).await.0, []);
}

#[tokio::test]
async fn an_unsealed_payload_of_writers_declared_dead_is_deleted() {
    for condition in [
        DeleteCondition::Enforced,
        DeleteCondition::EnforcedOnMissing,
        DeleteCondition::Ignored,
        DeleteCondition::NotImplemented,
    ] {
        let server = with_old_payload();
        server.set(|behaviour| behaviour.delete_condition = condition);
        let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
        assert_eq!(done, [(LeftoverKind::Payload, Discarded::Removed)], "{condition:?}");
        assert!(!payload_exists(&server));
    }
}

#[tokio::test]
async fn g03_a_payload_sealed_before_the_last_check_is_not_deleted() {
    let seal_it: fn(&mut Objects) = |objects| {
        let seal = payload_of(1).replace("payload.jsonl", "metadata.json");
        objects.tamper(&seal, Some(b"{}"));
    };
    let server = with_old_payload();
    server.habit(Habit::once(Op::Head, Effect::After(seal_it)).on(Object::Seal.file_name()));
    let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
    assert_eq!(done, [(LeftoverKind::Payload, Discarded::Sealed)]);
    assert!(payload_exists(&server));
    // A seal after the last check cannot be prevented; it is reported.
    let server = with_old_payload();
    server.habit(Habit::once(Op::Delete, Effect::After(seal_it)));
    let (found, _) = planned(&server.sink(), PAYLOADS_TOO).await;
    let error = execute(&server.sink(), &found[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn a_payload_replaced_right_before_deletion_stays_if_conditions_are_honoured() {
    let replace: fn(&mut Objects) = |objects| objects.tamper(&payload_of(1), Some(b"newer"));
    for (condition, outcome) in [
        (DeleteCondition::Enforced, Discarded::Changed),
        (DeleteCondition::Ignored, Discarded::Removed),
    ] {
        let server = with_old_payload();
        server.set(|behaviour| behaviour.delete_condition = condition);
        server.habit(Habit::once(Op::Delete, Effect::After(replace)));
        let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
        assert_eq!(done, [(LeftoverKind::Payload, outcome)], "{condition:?}");
        assert_eq!(payload_exists(&server), outcome == Discarded::Changed);
    }
}

#[tokio::test]
async fn a_deletion_with_a_lost_reply_is_settled_by_a_check() {
    let server = with_old_payload();
    server.habit(Habit::once(Op::Delete, Effect::Lost(Answer::Closed)));
    let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
    assert_eq!(done, [(LeftoverKind::Payload, Discarded::Gone)]);
    assert!(!payload_exists(&server));
}

#[tokio::test]
async fn g09_an_active_restart_keeps_the_payload_it_found() {
    let server = with_old_payload();
    let (found, _) = planned(&server.sink(), PAYLOADS_TOO).await;
    let mut writer = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    let done = execute(&server.sink(), &found[0]).await.unwrap();
    assert_eq!(done, Some(Discarded::InUse));
    writer.write_payload_line(b"{\"n\":1}").await.unwrap();
    writer.finalize(rawsink_testkit::sample::metadata(&key(), &run(1))).await.unwrap();
    assert_eq!(read(&server.sink(), &key(), &run(1)).await.unwrap(), ["{\"n\":1}"]);
    let done = execute(&server.sink(), &found[0]).await.unwrap();
    assert_eq!(done, Some(Discarded::Changed));
}

#[tokio::test]
async fn cleaning_costs_a_listing_and_four_requests_per_upload() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.upload_listing = UploadListing::ByPrefix);
    for n in 1..=10 {
        let id = open(&server, n);
        send(&server, id, 1, 10);
    }
    server.pass_hours(25);
    let before = server.requests();
    assert_eq!(planned(&server.sink(), older_than(HOUR)).await.0.len(), 10);
    // The uploads, the parts of each, the objects.
    assert_eq!(server.requests() - before, 1 + 10 + 1);
    cleaned(&server.sink(), older_than(HOUR)).await;
    assert_eq!(server.requests() - before, 2 * (1 + 10 + 1) + 4 * 10);
}
