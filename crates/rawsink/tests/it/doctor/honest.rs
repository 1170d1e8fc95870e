//! Servers that keep their word, and what they are left like.

use rawsink::{
    config::CompleteConditions,
    doctor::{Outcome, Soundness, checks},
    layout::Place,
    store::{Object, Store, StorePath},
};

use super::{assert_clear, examine, ids, numbers};
use crate::{
    s3_server::S3Server,
    sample::{key, rows, run, seal, store_path},
};

#[tokio::test]
async fn an_honest_server_is_sound_and_every_question_is_answered() {
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
        // The server does not say what time it is.
        assert_eq!(ids(&diagnosis, Outcome::Note), ["clock"], "{diagnosis:#?}");
        assert_eq!(ids(&diagnosis, Outcome::Ok).len(), asked.len() - 1, "{diagnosis:#?}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn what_was_in_the_bucket_stays_as_it_was() {
    let server = S3Server::default();
    seal(&server.sink(), &key(), &run(1), &rows("mine", 2000)).await.unwrap();
    let before = format!("{:?}", server.objects().stored);
    examine(&server).await;
    assert_eq!(format!("{:?}", server.objects().stored), before);
}

#[tokio::test]
async fn conditions_that_are_honoured_and_not_relied_on_are_worth_a_setting() {
    let server = S3Server::new(CompleteConditions::Enforced)
        .with_settings(|settings| settings.complete_conditions = CompleteConditions::Ignored);
    let diagnosis = examine(&server).await;
    let finding = diagnosis.finding("complete-conditions").unwrap();
    assert_eq!((finding.outcome, diagnosis.soundness), (Outcome::Note, Soundness::Sound));
    assert_eq!(diagnosis.set.unwrap().to_string(), "RAW_SINK_COMPLETE_CONDITIONS=enforced");
}

/// Requests that wait for each other in any order give an honest server no other diagnosis.
#[tokio::test]
async fn requests_in_any_order_accuse_no_honest_server() {
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
async fn no_listing_shows_what_lies_in_a_scratch() {
    let server = S3Server::default();
    let scratch = store_path("_doctor/0123456789abcdef0123456789abcdef");
    for object in [Object::Payload, Object::Seal] {
        server.tamper(&scratch, object, Some(b"{}"));
    }
    assert_eq!(server.store().children(&StorePath::root()).await.unwrap(), ["_doctor"]);
    assert_eq!(server.sink().list(&Place::top()).await.unwrap(), []);
}
