//! Honest servers, and their content afterwards.

use futures_util::TryStreamExt;
use rawsink::{
    layout::Place,
    store::{Object, Store, StorePath, s3::CompleteConditions},
};
use rawsink_ops::doctor::{Severity, Soundness, checks};

use super::{assert_clear, examine, ids, numbers};
use rawsink_testkit::{
    s3_server::S3Server,
    sample::{key, rows, run, seal, store_path},
};

#[tokio::test]
async fn an_honest_server_is_sound_and_every_check_has_a_result() {
    for conditions in [CompleteConditions::Ignored, CompleteConditions::Enforced] {
        let server = S3Server::new(conditions);
        let diagnosis = examine(&server).await;
        assert_eq!(diagnosis.soundness, Soundness::Sound, "{diagnosis:#?}");
        let asked: Vec<_> = checks::BUCKET.iter().chain([&checks::SCRATCH]).collect();
        let answered: Vec<_> = diagnosis.findings.iter().map(|finding| finding.check).collect();
        assert_eq!(answered, asked);
        assert_eq!(
            numbers(&diagnosis.kept),
            ["G01", "G03", "G04", "G05", "G06", "G07", "G08", "G09", "G10"]
        );
        assert!(diagnosis.broken.is_empty() && diagnosis.undetermined.is_empty());
        assert_eq!(diagnosis.set, None, "{diagnosis:#?}");
        // The server does not report its time.
        assert_eq!(ids(&diagnosis, Severity::Note), ["clock"], "{diagnosis:#?}");
        assert_eq!(ids(&diagnosis, Severity::Ok).len(), asked.len() - 1, "{diagnosis:#?}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn existing_objects_stay_unchanged() {
    let server = S3Server::default();
    seal(&server.sink(), &key(), &run(1), &rows("mine", 2000)).await.unwrap();
    let before = format!("{:?}", server.objects().objects);
    examine(&server).await;
    assert_eq!(format!("{:?}", server.objects().objects), before);
}

#[tokio::test]
async fn conditions_that_are_honoured_but_unused_suggest_a_setting() {
    let server = S3Server::new(CompleteConditions::Enforced)
        .with_config(|config| config.complete_conditions(CompleteConditions::Ignored));
    let diagnosis = examine(&server).await;
    let finding = diagnosis.finding("complete-conditions").unwrap();
    assert_eq!((finding.outcome, diagnosis.soundness), (Severity::Note, Soundness::Sound));
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_COMPLETE_CONDITIONS=enforced");
}

/// Any order of concurrent requests gives an honest server the same diagnosis.
#[tokio::test]
async fn requests_in_any_order_cause_no_false_finding() {
    for seed in 0..4 {
        let server = S3Server::new(if seed % 2 == 0 {
            CompleteConditions::Ignored
        } else {
            CompleteConditions::Enforced
        });
        server.shuffle(seed);
        let diagnosis = examine(&server).await;
        assert_eq!(diagnosis.soundness, Soundness::Sound, "seed {seed}: {diagnosis:#?}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn no_listing_shows_scratch_objects() {
    let server = S3Server::default();
    let scratch = store_path("_doctor/0123456789abcdef0123456789abcdef");
    for object in [Object::Payload, Object::Seal] {
        server.tamper(&scratch, object, Some(b"{}"));
    }
    let names: Vec<String> =
        server.store().children(&StorePath::root()).try_collect().await.unwrap();
    assert_eq!(names, ["_doctor"]);
    assert_eq!(server.sink().list(&Place::top()).await.unwrap(), []);
}
