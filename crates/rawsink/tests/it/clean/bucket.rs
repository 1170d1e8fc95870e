//! Uploads and payloads over a server that pages, refuses, changes its mind or knows less.

use bytes::Bytes;
use futures_util::TryStreamExt;
use rawsink::{
    ErrorKind,
    clean::{Fate, Payloads, Rules, execute, plan},
    layout::Place,
    store::{Discarded, LeftoverKind, Object},
};

use super::{HOUR, cleaned, fates, older_than, planned};
use crate::{
    s3_server::{
        Answer, DeleteIfMatch, Effect, Habit, Objects, Op, PREFIX, S3Server, UploadListing,
        UploadTimes, key_of,
    },
    sample::{customer, key, path, read, rows, run, seal},
};

const DAY: Rules = Rules { older_than: HOUR.saturating_mul(24), payloads: Payloads::UnderLock };
const PAYLOADS_TOO: Rules = Rules { payloads: Payloads::Everywhere, ..DAY };

fn payload_of(n: u16) -> String {
    key_of(&path(&key(), &run(n)), Object::Payload)
}

/// Opens an upload of run `n`, as a writer that died.
fn open(server: &S3Server, n: u16) -> String {
    server.objects().open(&payload_of(n))
}

/// Sends a part of an upload, as a writer that lives.
fn send(server: &S3Server, id: &str, number: i32, bytes: usize) {
    let now = server.surroundings().clock.now();
    let mut objects = server.objects();
    let open = objects.uploads.get_mut(id).unwrap();
    open.parts.insert(number, (format!("tag {number}"), Bytes::from(vec![0; bytes]), now));
}

/// A server with an unsealed payload of run 1, two days old.
fn with_old_payload() -> S3Server {
    let server = S3Server::default();
    server.objects().tamper(&payload_of(1), Some(b"left"));
    server.pass_hours(48);
    server
}

fn payload_is_there(server: &S3Server) -> bool {
    server.objects().stored.contains_key(&payload_of(1))
}

#[tokio::test]
async fn an_upload_is_as_old_as_its_last_part() {
    let server = S3Server::default();
    server.objects().parts_a_page = 2;
    let (resting, alive) = (open(&server, 1), open(&server, 2));
    for number in 1..=5 {
        send(&server, &resting, number, 1000);
    }
    server.pass_hours(20);
    send(&server, &alive, 1, 10);
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
async fn every_page_of_uploads_is_gone_through_however_a_server_lists_them() {
    for listing in [UploadListing::ByPrefix, UploadListing::ByKey] {
        let server = S3Server::default();
        server.objects().upload_listing = listing;
        server.objects().uploads_a_page = 2;
        for n in 1..=5 {
            open(&server, n);
            open(&server, n);
        }
        // Not ours: another prefix, and keys that are no payload's of a run.
        server.objects().open("raw/other/payload.jsonl");
        server.objects().open(&format!("{PREFIX}/payload.jsonl"));
        for name in ["other", "metadata.json", ".payload.jsonl", "below/payload.jsonl"] {
            server.objects().open(&payload_of(1).replace("payload.jsonl", name));
        }
        server.pass_hours(25);
        let done = cleaned(&server.sink(), DAY).await;
        assert_eq!(done.len(), 10, "{listing:?}: {done:?}");
        assert_eq!(server.objects().uploads.len(), 6, "{listing:?}");
    }
}

#[tokio::test]
async fn a_path_says_how_much_is_cleaned_however_a_server_lists_uploads() {
    for listing in [UploadListing::ByPrefix, UploadListing::ByKey] {
        let server = S3Server::default();
        server.objects().upload_listing = listing;
        let [one, other, longer] = ["1", "2", "11"].map(customer);
        for key in [&one, &other, &longer] {
            server.objects().open(&key_of(&path(key, &run(1)), Object::Payload));
        }
        server.pass_hours(25);
        let whole = Place::of_run(&one, &run(1));
        let customer = Place::parse("google_ads/customer_id=1", "").unwrap();
        for place in [customer, Place::of_partition(&one), whole] {
            let found: Vec<_> =
                plan(&server.sink(), &place, DAY).unwrap().try_collect().await.unwrap();
            let keys: Vec<_> = found.iter().map(|planned| &planned.leftover.key).collect();
            assert_eq!(keys, [&one], "{listing:?} {place}");
        }
    }
}

#[tokio::test]
async fn a_key_that_may_not_list_the_whole_bucket_lists_what_it_may() {
    let server = with_old_payload();
    server.objects().uploads_a_page = 2;
    // The first listing is that of the prefix, the second that of a key.
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
async fn an_upload_that_ends_while_it_is_looked_at_is_none() {
    let server = S3Server::default();
    open(&server, 1);
    server.pass_hours(25);
    let end_all = Effect::After(|objects: &mut Objects| objects.uploads.clear());
    server.habit(Habit::once(Op::Parts, end_all));
    let (found, errors) = planned(&server.sink(), DAY).await;
    assert!(found.is_empty() && errors.is_empty(), "{found:?} {errors:?}");
    // The same between the plan and its execution.
    open(&server, 1);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    server.habit(Habit::once(Op::Abort, end_all));
    let done = execute(&server.sink(), &found[0]).await.unwrap();
    assert_eq!(done, Some(Discarded::Gone), "somebody else ended it");
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Gone));
    // Ceph calls an upload that is being ended so.
    server.habit(Habit::once(Op::Parts, Effect::Refused(Answer::Error(404, "NoSuchKey"))));
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Gone));
}

#[tokio::test]
async fn an_upload_that_goes_on_between_plan_and_execution_is_left_alone() {
    for bytes in [0, 7] {
        let server = S3Server::default();
        let id = open(&server, 1);
        server.pass_hours(25);
        let (found, _) = planned(&server.sink(), DAY).await;
        send(&server, &id, 1, bytes);
        let done = execute(&server.sink(), &found[0]).await.unwrap();
        assert_eq!(done, Some(Discarded::Changed), "{bytes} bytes");
        assert_eq!(server.objects().uploads.len(), 1);
        assert_eq!(server.count(Op::Abort), 0);
    }
}

/// On some servers a Complete that was broken off leaves its upload listed, whose parts are the
/// object's.
#[tokio::test]
async fn g03_an_upload_that_may_be_the_payload_completed_is_left_alone() {
    for longer in [0, 1] {
        let server = S3Server::default();
        let rows = rows("sealed", 3);
        seal(&server.sink(), &key(), &run(1), &rows).await.unwrap();
        let id = open(&server, 1);
        send(&server, &id, 1, crate::sample::payload(&rows).len() + longer);
        server.pass_hours(25);
        let outcome = if longer == 0 { Discarded::Completed } else { Discarded::Removed };
        assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, outcome)]);
        assert_eq!(server.count(Op::Abort), longer, "{longer} bytes longer");
        assert_eq!(read(&server.sink(), &key(), &run(1)).await.unwrap(), rows);
    }
}

#[tokio::test]
async fn an_upload_without_parts_is_no_payload_however_empty_that_is() {
    let server = S3Server::default();
    seal(&server.sink(), &key(), &run(1), &[]).await.unwrap();
    open(&server, 1);
    server.pass_hours(25);
    assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, Discarded::Removed)]);
}

/// `SeaweedFS` left the time of creation out until 2026-09.
#[tokio::test]
async fn an_upload_of_which_nobody_knows_the_age_is_told_and_left_alone() {
    for (times, has_part, known) in [
        (UploadTimes::Parts, true, true),
        (UploadTimes::Parts, false, false),
        (UploadTimes::Neither, true, false),
        (UploadTimes::Neither, false, false),
    ] {
        let server = S3Server::default();
        server.objects().upload_times = times;
        let id = open(&server, 1);
        if has_part {
            send(&server, &id, 1, 10);
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
        assert!(error.message().contains(&id), "{error}");
    }
}

/// Times of parts are whole seconds on some servers.
#[tokio::test]
async fn an_upload_that_grew_within_the_moment_of_its_listing_is_left_alone() {
    let server = S3Server::default();
    let id = open(&server, 1);
    send(&server, &id, 1, 5);
    send(&server, &id, 2, 5);
    let sent = server.objects().uploads[&id].parts[&2].clone();
    server.objects().uploads.get_mut(&id).unwrap().parts.remove(&2);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    server.objects().uploads.get_mut(&id).unwrap().parts.insert(2, sent);
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), Some(Discarded::Changed));
    assert_eq!(server.count(Op::Abort), 0);
}

#[tokio::test]
async fn an_upload_that_a_server_lists_again_is_ended_again_and_said_when_it_stays() {
    let server = S3Server::default();
    server.objects().echoes = 1;
    open(&server, 1);
    server.pass_hours(25);
    assert_eq!(cleaned(&server.sink(), DAY).await, [(LeftoverKind::Upload, Discarded::Removed)]);
    assert_eq!(server.count(Op::Abort), 2);
    server.objects().echoes = 10;
    open(&server, 2);
    server.pass_hours(25);
    let (found, _) = planned(&server.sink(), DAY).await;
    let error = execute(&server.sink(), &found[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn an_abort_that_is_refused_is_denied_and_names_the_run() {
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
async fn an_unsealed_payload_is_only_shown_and_its_run_can_be_written() {
    let server = with_old_payload();
    let (found, _) = planned(&server.sink(), DAY).await;
    assert_eq!(fates(&found), [Fate::Shown]);
    assert_eq!(execute(&server.sink(), &found[0]).await.unwrap(), None);
    assert!(payload_is_there(&server) && server.count(Op::Delete) == 0);
    seal(&server.sink(), &key(), &run(1), &rows("again", 3)).await.unwrap();
    assert_eq!(planned(&server.sink(), DAY).await.0, []);
}

#[tokio::test]
async fn an_unsealed_payload_goes_where_its_writers_are_said_to_be_dead() {
    for if_match in [DeleteIfMatch::Honoured, DeleteIfMatch::Ignored, DeleteIfMatch::NotImplemented]
    {
        let server = with_old_payload();
        server.objects().delete_if_match = if_match;
        let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
        assert_eq!(done, [(LeftoverKind::Payload, Discarded::Removed)], "{if_match:?}");
        assert!(!payload_is_there(&server));
    }
}

#[tokio::test]
async fn g03_a_payload_is_not_deleted_whose_run_somebody_seals_before_the_last_look() {
    let seal_it: fn(&mut Objects) = |objects| {
        let seal = payload_of(1).replace("payload.jsonl", "metadata.json");
        objects.tamper(&seal, Some(b"{}"));
    };
    let server = with_old_payload();
    server.habit(Habit::once(Op::Head, Effect::After(seal_it)).on(Object::Seal));
    let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
    assert_eq!(done, [(LeftoverKind::Payload, Discarded::Sealed)]);
    assert!(payload_is_there(&server));
    // After it nothing can be helped, and it is said.
    let server = with_old_payload();
    server.habit(Habit::once(Op::Delete, Effect::After(seal_it)));
    let (found, _) = planned(&server.sink(), PAYLOADS_TOO).await;
    let error = execute(&server.sink(), &found[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn a_payload_that_is_replaced_right_before_its_deletion_stays_where_conditions_count() {
    let replace: fn(&mut Objects) = |objects| objects.tamper(&payload_of(1), Some(b"newer"));
    for (if_match, outcome) in [
        (DeleteIfMatch::Honoured, Discarded::Changed),
        (DeleteIfMatch::Ignored, Discarded::Removed),
    ] {
        let server = with_old_payload();
        server.objects().delete_if_match = if_match;
        server.habit(Habit::once(Op::Delete, Effect::After(replace)));
        let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
        assert_eq!(done, [(LeftoverKind::Payload, outcome)], "{if_match:?}");
        assert_eq!(payload_is_there(&server), outcome == Discarded::Changed);
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_told_by_a_look() {
    let server = with_old_payload();
    server.habit(Habit::once(Op::Delete, Effect::Lost(Answer::Closed)));
    let done = cleaned(&server.sink(), PAYLOADS_TOO).await;
    assert_eq!(done, [(LeftoverKind::Payload, Discarded::Gone)]);
    assert!(!payload_is_there(&server));
}

#[tokio::test]
async fn g09_a_restart_that_is_at_work_keeps_what_it_has_met() {
    let server = with_old_payload();
    let (found, _) = planned(&server.sink(), PAYLOADS_TOO).await;
    let mut writer = server.sink().write_partition(&key(), &run(1)).await.unwrap();
    let done = execute(&server.sink(), &found[0]).await.unwrap();
    assert_eq!(done, Some(Discarded::InUse));
    writer.write_payload_line(b"{\"n\":1}").await.unwrap();
    writer.finalize(crate::sample::metadata(&key(), &run(1))).await.unwrap();
    assert_eq!(read(&server.sink(), &key(), &run(1)).await.unwrap(), ["{\"n\":1}"]);
    let done = execute(&server.sink(), &found[0]).await.unwrap();
    assert_eq!(done, Some(Discarded::Changed));
}

#[tokio::test]
async fn cleaning_costs_a_listing_and_four_requests_an_upload() {
    let server = S3Server::default();
    server.objects().upload_listing = UploadListing::ByPrefix;
    for n in 1..=10 {
        let id = open(&server, n);
        send(&server, &id, 1, 10);
    }
    server.pass_hours(25);
    let before = server.requests();
    assert_eq!(planned(&server.sink(), older_than(HOUR)).await.0.len(), 10);
    // The uploads, the parts of each, the objects.
    assert_eq!(server.requests() - before, 1 + 10 + 1);
    cleaned(&server.sink(), older_than(HOUR)).await;
    assert_eq!(server.requests() - before, 2 * (1 + 10 + 1) + 4 * 10);
}
