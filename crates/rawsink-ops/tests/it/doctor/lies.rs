//! Servers with one lie each: exactly this lie is found.

use std::time::Duration;

use rawsink::store::s3::{CompleteConditions, Timing};
use rawsink_ops::doctor::{Severity, Soundness};

use super::{assert_clear, examine, ids, numbers};
use rawsink_testkit::s3_server::{
    AbortDuringComplete, AbortOfMissing, AbortScope, AbortedUpload, Answer, Behaviour,
    CreateCondition, Effect, Habit, ObjectListing, ObjectVersioning, Op, PartLimits, S3Server,
    UserMetadata,
};

/// Examines a server with a lie; asserts which findings are faults, and which guarantees they break.
async fn assert_faults(lie: impl FnOnce(&S3Server), faults: &[&str], broken: &[&str]) {
    let server = S3Server::default();
    lie(&server);
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Fault), faults, "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), broken, "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Unsound);
    server.behave();
    assert_clear(&server);
}

fn change(set: impl FnOnce(&mut Behaviour)) -> impl FnOnce(&S3Server) {
    move |server| server.set(set)
}

#[tokio::test]
async fn a_put_whose_condition_is_ignored() {
    let faults = ["create-only-put", "create-only-race", "read-back"];
    assert_faults(
        change(|behaviour| behaviour.create_condition = CreateCondition::Ignored),
        &faults[..2],
        &["G03", "G04", "G05"],
    )
    .await;
}

#[tokio::test]
async fn a_put_whose_condition_is_checked_long_before_it_is_applied() {
    assert_faults(
        change(|behaviour| behaviour.create_condition = CreateCondition::CheckedEarly),
        &["create-only-race"],
        &["G03", "G04", "G05"],
    )
    .await;
}

#[tokio::test]
async fn a_put_that_is_refused_but_applied() {
    assert_faults(
        change(|behaviour| behaviour.create_condition = CreateCondition::RefusedButApplied),
        &["read-back"],
        &["G03", "G05"],
    )
    .await;
}

#[tokio::test]
async fn a_server_without_conditional_puts() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.create_condition = CreateCondition::NotImplemented);
    let diagnosis = examine(&server).await;
    let fault = diagnosis.finding("create-only-put").unwrap();
    assert!(fault.seen.contains("501 NotImplemented"), "{fault:?}");
    assert_eq!(diagnosis.soundness, Soundness::Unsound);
    assert_clear(&server);
}

#[tokio::test]
async fn conditions_on_complete_that_are_required_but_ignored() {
    let server = S3Server::new(CompleteConditions::Ignored)
        .with_config(|config| config.complete_conditions(CompleteConditions::Enforced));
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Fault), ["complete-conditions"], "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), ["G03", "G04", "G05"]);
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_COMPLETE_CONDITIONS=ignored");
    assert_clear(&server);
}

#[tokio::test]
async fn an_abort_that_ends_more_than_its_upload() {
    for scope in [AbortScope::ObjectOfKey, AbortScope::UploadsOfKey] {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.abort_scope = scope);
        let diagnosis = examine(&server).await;
        let faults = ids(&diagnosis, Severity::Fault);
        assert!(faults.contains(&"upload-isolation"), "{scope:?}: {diagnosis:#?}");
        assert!(diagnosis.set.is_none(), "no setting helps: {diagnosis:#?}");
    }
}

#[tokio::test]
async fn requests_that_the_server_does_not_know() {
    for (op, fault) in [(Op::Uploads, "uploads-after-create"), (Op::Create, "complete-conditions")]
    {
        let server = S3Server::default();
        let refused = Effect::Refused(Answer::Error(501, "NotImplemented"));
        server.habit(Habit::always(op, refused));
        let diagnosis = examine(&server).await;
        assert_eq!(diagnosis.finding(fault).unwrap().outcome, Severity::Fault, "{diagnosis:#?}");
        assert_eq!(diagnosis.soundness, Soundness::Unsound);
    }
}

#[tokio::test]
async fn a_head_that_does_not_show_a_written_object() {
    let nothing = Effect::Refused(Answer::Error(404, "NoSuchKey"));
    assert_faults(
        |server| server.habit(Habit::always(Op::Head, nothing)),
        &["read-after-write", "user-metadata"],
        &["G01", "G04", "G05", "G06", "G07"],
    )
    .await;
}

#[tokio::test]
async fn a_late_listing() {
    assert_faults(
        change(|behaviour| behaviour.object_listing = ObjectListing::HidesNewest),
        &["list-after-write"],
        &["G01", "G09"],
    )
    .await;
}

#[tokio::test]
async fn an_upload_listing_without_the_new_upload() {
    let empty =
        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
    let server = S3Server::default();
    server.habit(Habit::always(Op::Uploads, Effect::Refused(Answer::Document(empty))));
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Fault), ["uploads-after-create"], "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), ["G03", "G04", "G05"]);
    // An upload that no listing shows cannot be found again.
    assert!(!server.objects().uploads.is_empty() && diagnosis.leftovers.is_empty());
}

#[tokio::test]
async fn an_aborted_upload_that_stays_listed() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.aborted_upload = AbortedUpload::ListedTimes(usize::MAX));
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Fault), ["uploads-after-abort"], "{diagnosis:#?}");
    assert_eq!(numbers(&diagnosis.broken), ["G08", "G09"]);
    assert_eq!(ids(&diagnosis, Severity::Warning), ["scratch"]);
}

#[tokio::test]
async fn an_aborted_upload_listed_for_a_while_is_a_warning() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.aborted_upload = AbortedUpload::ListedTimes(2));
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Warning), ["uploads-after-abort"], "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    assert_clear(&server);
}

/// moto answers with a document that is not S3's.
#[tokio::test]
async fn parts_that_cannot_be_listed() {
    for (answer, outcome) in [
        (Answer::Document("<Other></Other>"), Severity::Warning),
        (Answer::Document("<ListPartsResult></ListPartsResult>"), Severity::Warning),
        (Answer::Error(501, "NotImplemented"), Severity::Warning),
        (Answer::Error(403, "AccessDenied"), Severity::Note),
    ] {
        let server = S3Server::default();
        server.habit(Habit::always(Op::Parts, Effect::Refused(answer)));
        let diagnosis = examine(&server).await;
        assert_eq!(diagnosis.finding("list-parts").unwrap().outcome, outcome, "{diagnosis:#?}");
        assert_eq!(diagnosis.soundness, Soundness::Sound, "writers do not need it");
        server.behave();
        assert_clear(&server);
    }
}

#[tokio::test]
async fn lost_user_metadata() {
    for lost in [UserMetadata::Dropped, UserMetadata::DroppedByMultipart] {
        assert_faults(
            change(|behaviour| behaviour.user_metadata = lost),
            &["user-metadata"],
            &["G05", "G07"],
        )
        .await;
    }
}

#[tokio::test]
async fn an_abort_that_breaks_a_running_complete() {
    let server = S3Server::default();
    server.set(|behaviour| {
        behaviour.abort_during_complete = AbortDuringComplete::LosesContent;
    });
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Fault), ["abort-complete"], "{diagnosis:#?}");
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_LEFTOVER_GRACE_S=660");
    assert_clear(&server);
}

#[tokio::test]
async fn an_abort_that_breaks_a_running_complete_is_covered_by_a_long_grace() {
    let server = S3Server::default().with_config(|config| {
        config.timing(Timing { leftover_grace: Duration::from_mins(11), ..Timing::default() })
    });
    server.set(|behaviour| {
        behaviour.abort_during_complete = AbortDuringComplete::LosesContent;
    });
    let diagnosis = examine(&server).await;
    assert_eq!(diagnosis.finding("abort-complete").unwrap().outcome, Severity::Note);
    assert_eq!((diagnosis.soundness, diagnosis.set), (Soundness::Sound, None));
}

#[tokio::test]
async fn an_abort_that_always_returns_2xx_proves_nothing() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.abort_of_missing = AbortOfMissing::Success);
    let diagnosis = examine(&server).await;
    let finding = diagnosis.finding("abort-complete").unwrap();
    assert_eq!((finding.outcome, &finding.set), (Severity::Note, &None), "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
}

#[tokio::test]
async fn an_ignored_offset() {
    let whole = Habit::always(Op::Get, Effect::Whole);
    assert_faults(|server| server.habit(whole), &["range-read"], &["G10"]).await;
}

#[tokio::test]
async fn a_versioned_bucket_is_a_warning_and_no_version_is_left() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.versioning = ObjectVersioning::On);
    let diagnosis = examine(&server).await;
    assert_eq!(ids(&diagnosis, Severity::Warning), ["versioning"], "{diagnosis:#?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    assert_clear(&server);
}

#[tokio::test]
async fn clock_skew_is_reported_with_its_size() {
    for (ahead_s, outcome, said) in [
        (0, Severity::Ok, "less than 2 s"),
        (30, Severity::Ok, " s behind"),
        (3600, Severity::Warning, "3599 s behind"),
        (-3600, Severity::Warning, "3600 s ahead of"),
    ] {
        let server = S3Server::default();
        server.set(|behaviour| behaviour.clock_ahead_s = Some(ahead_s));
        let diagnosis = examine(&server).await;
        let finding = diagnosis.finding("clock").unwrap();
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(said), "{finding:?}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn part_limits_are_reported() {
    let server = S3Server::default();
    server.set(|behaviour| behaviour.part_limits.max_number = 1000);
    let diagnosis = examine(&server).await;
    let size = diagnosis.finding("part-size").unwrap();
    assert_eq!(size.outcome, Severity::Ok);
    assert!(size.seen.contains("EntityTooSmall"), "{size:?}");
    let number = diagnosis.finding("part-number").unwrap();
    assert_eq!(number.outcome, Severity::Warning);
    assert!(number.seen.contains("at most 1000"), "{number:?}");
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_PART_BYTES=64MiB");
    server.set(|behaviour| {
        behaviour.part_limits = PartLimits { max_number: 20_000, ..PartLimits::default() };
    });
    let diagnosis = examine(&server).await;
    for id in ["part-number", "part-size"] {
        assert_eq!(diagnosis.finding(id).unwrap().outcome, Severity::Note, "{diagnosis:#?}");
    }
}

/// gofakes3 answers so.
#[tokio::test]
async fn an_empty_part_that_is_refused_is_a_fault() {
    let server = S3Server::default();
    let accepted = examine(&server).await;
    assert_eq!(accepted.finding("empty-part").unwrap().outcome, Severity::Ok);
    server.set(|behaviour| behaviour.part_limits.may_be_empty = false);
    let diagnosis = examine(&server).await;
    let finding = diagnosis.finding("empty-part").unwrap();
    assert_eq!(finding.outcome, Severity::Fault, "{diagnosis:#?}");
    assert!(finding.seen.contains("411 MissingContentLength"), "{finding:?}");
    assert_eq!(diagnosis.soundness, Soundness::Unsound);
    assert_clear(&server);
}

#[tokio::test]
async fn throttled_requests_are_retried_and_counted() {
    let server = S3Server::default();
    for op in [Op::Put, Op::Create, Op::Head, Op::List] {
        server.habit(Habit::once(op, Effect::Refused(Answer::Html(429))).times(2));
    }
    let diagnosis = examine(&server).await;
    let rate = diagnosis.finding("request-rate").unwrap();
    assert_eq!(rate.outcome, Severity::Warning, "{diagnosis:#?}");
    assert!(rate.seen.ends_with("8 got 429 or 503"), "{rate:?}");
    assert_eq!(diagnosis.soundness, Soundness::Sound);
    assert_clear(&server);
}
