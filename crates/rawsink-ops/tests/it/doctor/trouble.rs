//! Refusals, lost replies, interruptions: no panic, no false finding, no leftovers.

use std::sync::atomic::{AtomicUsize, Ordering};

use rawsink::{ErrorKind, store::s3::Addressing};
use rawsink_ops::doctor::{Severity, Soundness, checks::Check};

use super::{assert_clear, doctor, examine, ids};
use rawsink_testkit::s3_server::{Answer, Effect, Habit, Op, PREFIX, S3Server};

#[tokio::test]
async fn an_unreachable_or_read_only_server_is_an_error_of_its_kind() {
    for (op, answer, kind) in [
        (Op::List, Answer::Closed, ErrorKind::Unavailable),
        (Op::List, Answer::Error(403, "AccessDenied"), ErrorKind::Denied),
        (Op::List, Answer::Error(404, "NoSuchBucket"), ErrorKind::Invalid),
        (Op::List, Answer::Error(403, "RequestTimeTooSkewed"), ErrorKind::Denied),
        (Op::Put, Answer::Error(403, "AccessDenied"), ErrorKind::Denied),
        (Op::Put, Answer::Closed, ErrorKind::Unavailable),
    ] {
        let server = S3Server::default();
        server.habit(Habit::always(op, Effect::Refused(answer)));
        let error = doctor(&server).examine(&|_| ()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{op:?} {answer:?}: {error}");
        assert!(error.path().unwrap().contains(PREFIX), "{error}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn a_refused_skewed_clock_is_reported_with_its_size() {
    let server = S3Server::default();
    let skewed = Answer::Error(403, "RequestTimeTooSkewed");
    server.habit(Habit::always(Op::List, Effect::Refused(skewed)));
    let error = doctor(&server).examine(&|_| ()).await.unwrap_err();
    assert!(error.message().contains("the clocks differ by 3599 s"), "{error}");
}

#[tokio::test]
async fn the_error_names_an_addressing_that_works() {
    let server = S3Server::default().with_config(|config| config.addressing(Addressing::Virtual));
    let error = doctor(&server).examine(&|_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().ends_with("RAW_SINK_ADDRESSING=path works"), "{error}");
}

#[tokio::test]
async fn any_refused_request_is_a_finding_and_no_panic() {
    for op in Op::ALL {
        let server = S3Server::default();
        server.habit(Habit::always(op, Effect::Refused(Answer::Error(403, "AccessDenied"))));
        let examined = doctor(&server).examine(&|_| ()).await;
        let may_be_refused = [Op::Delete, Op::Versioning, Op::Versions, Op::Parts].contains(&op);
        match &examined {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Denied, "{op:?}"),
            Ok(diagnosis) => {
                let sound = diagnosis.soundness == Soundness::Sound;
                assert_eq!(sound, may_be_refused, "{op:?}: {diagnosis:#?}");
            }
        }
        if ![Op::Delete, Op::Abort, Op::Uploads].contains(&op) {
            assert_clear(&server);
        }
    }
}

#[tokio::test]
async fn undeletable_objects_are_reported() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::Delete, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    let diagnosis = examine(&server).await;
    assert_eq!(diagnosis.finding("credentials").unwrap().outcome, Severity::Note);
    assert_eq!(diagnosis.finding("scratch").unwrap().outcome, Severity::Warning);
    let there: Vec<String> = server.objects().objects.keys().cloned().collect();
    assert!(!there.is_empty());
    assert_eq!(diagnosis.leftovers, there);
    assert!(there.iter().all(|key| key.starts_with(&format!("{PREFIX}/_doctor/"))), "{there:?}");
}

/// A lost reply is not a lie.
#[tokio::test]
async fn lost_replies_cause_no_false_finding() {
    let (mut sound, mut open, mut failed) = (0, 0, 0);
    for seed in 0..8 {
        let server = S3Server::default();
        server.shuffle(seed);
        server.leave_unanswered(if seed % 2 == 0 { 300 } else { 10 });
        match doctor(&server).examine(&|_| ()).await {
            Ok(diagnosis) => {
                let faults = ids(&diagnosis, Severity::Fault);
                assert!(faults.is_empty(), "seed {seed}: {diagnosis:#?}");
                match diagnosis.soundness {
                    Soundness::Sound => sound += 1,
                    _ => open += 1,
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "seed {seed}: {error}");
                failed += 1;
            }
        }
    }
    println!("lost answers: {sound} sound, {open} undetermined, {failed} unavailable");
    assert!(sound > 0, "no examination came through");
}

#[tokio::test]
async fn an_interrupted_examination_leaves_nothing() {
    for stop_at in 0..6 {
        let server = S3Server::default();
        let doctor = doctor(&server);
        let begun = AtomicUsize::new(0);
        let progress = |_: &'static Check| {
            if begun.fetch_add(1, Ordering::Relaxed) == stop_at {
                doctor.stop();
            }
        };
        let diagnosis = doctor.examine(&progress).await.unwrap();
        assert_eq!(diagnosis.soundness, Soundness::Undetermined, "{stop_at}: {diagnosis:#?}");
        assert_eq!(ids(&diagnosis, Severity::Fault), Vec::<&str>::new());
        assert_clear(&server);
    }
}

#[tokio::test]
async fn an_examination_has_a_time_limit() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::Put, Effect::Slow(10)));
    let diagnosis = examine(&server).await;
    assert_eq!(diagnosis.soundness, Soundness::Undetermined, "{diagnosis:#?}");
    let unknown = ids(&diagnosis, Severity::Unknown);
    assert!(unknown.contains(&"user-metadata") && !unknown.contains(&"create-only-put"));
    assert!(server.waited_s() < 600, "{} s", server.waited_s());
    assert_clear(&server);
}
