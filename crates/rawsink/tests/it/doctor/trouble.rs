//! Refusals, lost answers, an end before the end: no panic, no false accusation, nothing left.

use std::sync::atomic::{AtomicUsize, Ordering};

use rawsink::{
    ErrorKind,
    config::Addressing,
    doctor::{Outcome, Soundness, checks::Check},
};

use super::{assert_clear, examine, ids};
use crate::s3_server::{Answer, Effect, Habit, Op, PREFIX, S3Server};

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_written_is_an_error_of_its_kind() {
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
        let error = server.doctor().examine(&|_| ()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{op:?} {answer:?}: {error}");
        assert!(error.path().unwrap().contains(PREFIX), "{error}");
        assert_clear(&server);
    }
}

#[tokio::test]
async fn a_skewed_clock_that_is_refused_is_named_with_its_size() {
    let server = S3Server::default();
    let skewed = Answer::Error(403, "RequestTimeTooSkewed");
    server.habit(Habit::always(Op::List, Effect::Refused(skewed)));
    let error = server.doctor().examine(&|_| ()).await.unwrap_err();
    assert!(error.message().contains("the clocks are 3599 s apart"), "{error}");
}

#[tokio::test]
async fn where_another_addressing_works_the_error_says_so() {
    let server =
        S3Server::default().with_settings(|settings| settings.addressing = Addressing::Virtual);
    let error = server.doctor().examine(&|_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().ends_with("RAW_SINK_ADDRESSING=path works"), "{error}");
}

#[tokio::test]
async fn a_refusal_of_any_request_is_a_finding_and_no_panic() {
    for op in Op::ALL {
        let server = S3Server::default();
        server.habit(Habit::always(op, Effect::Refused(Answer::Error(403, "AccessDenied"))));
        let examined = server.doctor().examine(&|_| ()).await;
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
async fn what_may_not_be_deleted_is_left_and_said() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::Delete, Effect::Refused(Answer::Error(403, "AccessDenied"))));
    let diagnosis = examine(&server).await;
    assert_eq!(diagnosis.finding("credentials").unwrap().outcome, Outcome::Note);
    assert_eq!(diagnosis.finding("scratch").unwrap().outcome, Outcome::Warning);
    let there: Vec<String> = server.objects().stored.keys().cloned().collect();
    assert!(!there.is_empty());
    assert_eq!(diagnosis.leftovers, there);
    assert!(there.iter().all(|key| key.starts_with(&format!("{PREFIX}/_doctor/"))), "{there:?}");
}

/// A lost answer is no lie.
#[tokio::test]
async fn lost_answers_accuse_no_honest_server() {
    let (mut sound, mut open, mut failed) = (0, 0, 0);
    for seed in 0..8 {
        let server = S3Server::default();
        server.shuffle(seed);
        server.leave_unanswered(if seed % 2 == 0 { 300 } else { 10 });
        match server.doctor().examine(&|_| ()).await {
            Ok(diagnosis) => {
                let faults = ids(&diagnosis, Outcome::Fault);
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
async fn an_examination_that_is_stopped_leaves_nothing() {
    for stop_at in 0..6 {
        let server = S3Server::default();
        let doctor = server.doctor();
        let begun = AtomicUsize::new(0);
        let progress = |_: &'static Check| {
            if begun.fetch_add(1, Ordering::Relaxed) == stop_at {
                doctor.stop();
            }
        };
        let diagnosis = doctor.examine(&progress).await.unwrap();
        assert_eq!(diagnosis.soundness, Soundness::Undetermined, "{stop_at}: {diagnosis:#?}");
        assert_eq!(ids(&diagnosis, Outcome::Fault), Vec::<&str>::new());
        assert_clear(&server);
    }
}

#[tokio::test]
async fn a_slow_server_is_not_examined_for_ever() {
    let server = S3Server::default();
    server.habit(Habit::always(Op::Put, Effect::Slow(10)));
    let diagnosis = examine(&server).await;
    assert_eq!(diagnosis.soundness, Soundness::Undetermined, "{diagnosis:#?}");
    let unknown = ids(&diagnosis, Outcome::Unknown);
    assert!(unknown.contains(&"user-metadata") && !unknown.contains(&"create-only-put"));
    assert!(server.waited_s() < 600, "{} s", server.waited_s());
    assert_clear(&server);
}
