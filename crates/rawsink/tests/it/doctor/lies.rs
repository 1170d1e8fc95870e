//! A server with one lie each: the lie is found, by its name, and nothing else is accused.

use jiff::SignedDuration;
use rawsink::{
    config::CompleteConditions,
    doctor::{Outcome, Soundness},
};

use super::{assert_clear, examine, ids, numbers};
use crate::s3_server::{
    Aborts, Answer, CreateOnly, Effect, Habit, Listing, Objects, Op, S3Server, UserMetadata,
};

/// Examines a server with a lie; asserts which findings are faults, and which guarantees they break.
async fn assert_faults(lie: impl FnOnce(&S3Server), faults: &[&str], broken: &[&str]) {
    let server = S3Server::default();
    lie(&server);
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Fault), faults, "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), broken, "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Unsound);
    server.behave();
    assert_clear(&server);
}

fn change(set: impl FnOnce(&mut Objects)) -> impl FnOnce(&S3Server) {
    move |server| set(&mut server.objects())
}

#[tokio::test]
async fn a_put_whose_condition_is_ignored() {
    let faults = ["create-only-put", "create-only-race", "read-back"];
    assert_faults(
        change(|objects| objects.create_only = CreateOnly::Ignored),
        &faults[..2],
        &["G03", "G04"],
    )
    .await;
}

#[tokio::test]
async fn a_put_whose_condition_is_compared_long_before_it_is_applied() {
    assert_faults(
        change(|objects| objects.create_only = CreateOnly::ComparedFirst),
        &["create-only-race"],
        &["G03", "G04"],
    )
    .await;
}

#[tokio::test]
async fn a_put_that_is_refused_and_done() {
    assert_faults(
        change(|objects| objects.create_only = CreateOnly::Pretended),
        &["read-back"],
        &["G03", "G05"],
    )
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_know_the_condition_of_a_put() {
    let server = S3Server::default();
    server.objects().create_only = CreateOnly::NotImplemented;
    let diagnosis = examine(&server).await;
    let fault = diagnosis.finding("create-only-put").unwrap();
    assert!(fault.seen.contains("501 NotImplemented"), "{fault:?}");
    assert_eq!(diagnosis.soundness, Soundness::Unsound);
    assert_clear(&server);
}

#[tokio::test]
async fn conditions_on_complete_that_are_relied_on_and_ignored() {
    let server = S3Server::new(CompleteConditions::Ignored)
        .with_settings(|settings| settings.complete_conditions = CompleteConditions::Enforced);
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Fault), ["complete-conditions"], "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), ["G03", "G04", "G05"]);
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_COMPLETE_CONDITIONS=ignored");
    assert_clear(&server);
}

#[tokio::test]
async fn a_head_that_does_not_show_what_was_written() {
    let nothing = Effect::Refused(Answer::Error(404, "NoSuchKey"));
    assert_faults(
        |server| server.habit(Habit::always(Op::Head, nothing)),
        &["read-after-write", "user-metadata"],
        &["G01", "G04", "G05", "G06", "G07"],
    )
    .await;
}

#[tokio::test]
async fn a_list_that_is_late() {
    assert_faults(
        change(|objects| objects.listing = Listing::Late),
        &["list-after-write"],
        &["G01", "G09"],
    )
    .await;
}

#[tokio::test]
async fn a_listing_of_uploads_that_does_not_show_a_new_one() {
    let empty =
        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
    let server = S3Server::default();
    server.habit(Habit::always(Op::Uploads, Effect::Refused(Answer::Document(empty))));
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Fault), ["uploads-after-create"], "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), ["G03", "G04", "G05"]);
    // What no listing shows cannot be found again, and nobody can tell.
    assert!(!server.objects().uploads.is_empty() && diagnosis.leftovers.is_empty());
}

#[tokio::test]
async fn an_ended_upload_that_is_listed_to_the_end() {
    let server = S3Server::default();
    server.objects().echoes = usize::MAX;
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Fault), ["uploads-after-abort"], "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), ["G08", "G09"]);
    assert_eq!(ids(&diagnosis, Outcome::Warning), ["scratch"]);
}

#[tokio::test]
async fn an_ended_upload_that_is_listed_for_a_while_is_a_warning() {
    let server = S3Server::default();
    server.objects().echoes = 2;
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Warning), ["uploads-after-abort"], "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    assert_clear(&server);
}

#[tokio::test]
async fn user_metadata_that_is_lost() {
    for lost in [UserMetadata::Dropped, UserMetadata::DroppedByMultipart] {
        assert_faults(
            change(|objects| objects.user_metadata = lost),
            &["user-metadata"],
            &["G05", "G07"],
        )
        .await;
    }
}

#[tokio::test]
async fn an_abort_that_ruins_a_running_complete() {
    let server = S3Server::default();
    server.objects().aborts = Aborts::Ruinous;
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Fault), ["abort-complete"], "{diagnosis:#?}");
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_LEFTOVER_GRACE_S=660");
    assert_clear(&server);
}

#[tokio::test]
async fn an_abort_that_ruins_a_running_complete_is_covered_by_a_long_grace() {
    let server = S3Server::default().with_settings(|settings| settings.leftover_grace_s = 660);
    server.objects().aborts = Aborts::Ruinous;
    let diagnosis = examine(&server).await;
    assert_eq!(diagnosis.finding("abort-complete").unwrap().outcome, Outcome::Note);
    assert_eq!((diagnosis.soundness, diagnosis.set), (Soundness::Sound, None));
}

#[tokio::test]
async fn an_abort_that_is_told_2xx_whatever_is_there_says_nothing() {
    let server = S3Server::default();
    server.objects().aborts = Aborts::Polite;
    let diagnosis = examine(&server).await;
    let finding = diagnosis.finding("abort-complete").unwrap();
    assert_eq!((finding.outcome, &finding.set), (Outcome::Note, &None), "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
}

#[tokio::test]
async fn an_offset_that_is_ignored() {
    let whole = Habit::always(Op::Get, Effect::Whole);
    assert_faults(|server| server.habit(whole), &["range-read"], &["G10"]).await;
}

#[tokio::test]
async fn a_versioned_bucket_is_warned_about_and_no_version_is_left() {
    let server = S3Server::default();
    server.objects().versioned = true;
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Outcome::Warning), ["versioning"], "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    assert_clear(&server);
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_with_its_size() {
    for (ahead_s, outcome, said) in [
        (0, Outcome::Ok, "less than 2 s"),
        (30, Outcome::Ok, " s behind"),
        (3600, Outcome::Warning, "3599 s behind"),
        (-3600, Outcome::Warning, "3600 s ahead of"),
    ] {
        let server = S3Server::default();
        server.objects().clock_ahead = Some(SignedDuration::from_secs(ahead_s));
        let diagnosis = examine(&server).await;
        let finding = diagnosis.finding("clock").unwrap();
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(said), "{finding:?}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn limits_of_parts_are_shown() {
    let server = S3Server::default();
    server.objects().max_parts = 1000;
    let diagnosis = examine(&server).await;
    let size = diagnosis.finding("part-size").unwrap();
    assert_eq!(size.outcome, Outcome::Ok);
    assert!(size.seen.contains("EntityTooSmall"), "{size:?}");
    let number = diagnosis.finding("part-number").unwrap();
    assert_eq!(number.outcome, Outcome::Warning);
    assert!(number.seen.contains("at most 1000"), "{number:?}");
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_PART_BYTES=64MiB");
    server.objects().max_parts = 20_000;
    server.objects().least_part = 0;
    let diagnosis = examine(&server).await;
    for id in ["part-number", "part-size"] {
        assert_eq!(diagnosis.finding(id).unwrap().outcome, Outcome::Note, "{diagnosis:#?}");
    }
}

#[tokio::test]
async fn a_server_that_slows_down_is_asked_again_and_the_refusals_are_counted() {
    let server = S3Server::default();
    for op in [Op::Put, Op::Create, Op::Head, Op::List] {
        server.habit(Habit::once(op, Effect::Refused(Answer::Html(429))).times(2));
    }
    let diagnosis = examine(&server).await;
    let rate = diagnosis.finding("request-rate").unwrap();
    assert_eq!(rate.outcome, Outcome::Warning, "{diagnosis:#?}");
    assert!(rate.seen.ends_with("8 told 429 or 503"), "{rate:?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    assert_clear(&server);
}
