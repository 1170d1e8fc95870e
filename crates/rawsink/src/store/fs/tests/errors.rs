//! The system returns an error before or after a step.

use super::*;

const ERRNOS: [(Errno, ErrorKind); 5] = [
    (Errno::IO, ErrorKind::Unavailable),
    (Errno::NOSPC, ErrorKind::Unavailable),
    (Errno::DQUOT, ErrorKind::Unavailable),
    (Errno::ACCESS, ErrorKind::Denied),
    (Errno::ROFS, ErrorKind::Denied),
];

/// Returns the expected error kind of the writer; `None` for sealed.
fn expected(
    (step, moment): (Step, Moment),
    is_top: bool,
    (errno, kind): (Errno, ErrorKind),
) -> Option<ErrorKind> {
    match step {
        // The seal exists and is durable.
        Step::UnlinkSealStaging => None,
        // Without permission for the root's parent, or for one above it, the file system is synced.
        Step::SyncAncestor if is_top && errno == Errno::ACCESS => None,
        Step::SyncAboveRoot if errno == Errno::ACCESS => None,
        Step::SyncSealedDirectory => Some(ErrorKind::Unknown),
        Step::LinkSeal if errno == Errno::IO || moment == Moment::After => Some(ErrorKind::Unknown),
        _ => Some(kind),
    }
}

/// Returns whether a step comes before the lock is held, so that nothing can be rolled back.
fn is_outside_the_lock(step: Step) -> bool {
    matches!(
        step,
        Step::MakeDirectories | Step::OpenDirectory | Step::Lock | Step::CompareDirectory
    )
}

/// Asserts that an unsealed attempt left no files (G08).
async fn assert_nothing_left(world: &World, before: Before, step: Step, context: &str) {
    assert_eq!(world.content(Object::Seal).await, None, "{context}");
    let payload = world.content(Object::Payload).await;
    let names = world.names();
    if before == Before::DeadAttempt {
        assert!(payload.is_none_or(|payload| payload == EARLIER), "{context}");
        let own = WriterToken::new(1);
        let is_own = |name: &String| name.contains(own.as_str());
        assert!(!names.unwrap_or_default().iter().any(is_own), "{context}");
    } else if is_outside_the_lock(step) {
        assert!(names.is_none_or(|names| names.is_empty()), "{context}");
    } else {
        assert_eq!(names, None, "{context}: the run's directory is gone too");
    }
}

async fn refuse(
    before: Before,
    event: usize,
    seen: (Step, Moment),
    errno: Errno,
) -> (World, Result<WriterToken>) {
    let world = World::new(before);
    let script = Script::new(Some(StepFault { event, errno, dies: false }));
    let outcome = write(&world.probed(script.clone()), 1).await;
    assert_eq!(script.events().get(event), Some(&seen));
    (world, outcome)
}

#[tokio::test]
async fn g06_g08_an_error_at_any_step_shows_whether_the_seal_may_exist() {
    let (mut tried, mut unknown, mut sealed) = (0, 0, 0);
    for before in [Before::Nothing, Before::DeadAttempt] {
        let events = undisturbed(before).await;
        let top = events.iter().rposition(|(step, _)| *step == Step::SyncAncestor).unwrap();
        for (event, seen) in events.iter().copied().enumerate() {
            for errno in ERRNOS {
                let context = format!("{before:?}, {} at {event} {seen:?}", errno.0);
                let (world, outcome) = refuse(before, event, seen, errno.0).await;
                let kind = outcome.as_ref().err().map(crate::Error::kind);
                let is_top = event + 1 >= top && event <= top;
                assert_eq!(kind, expected(seen, is_top, errno), "{context}");
                match kind {
                    None => world.assert_sealed_by(1, &context).await,
                    Some(ErrorKind::Unknown) => {
                        let writer = outcome.unwrap_err().writer().map(str::to_owned);
                        assert_eq!(writer.as_deref(), Some(WriterToken::new(1).as_str()));
                        assert_eq!(world.content(Object::Payload).await, Some(payload_of(1)));
                    }
                    Some(_) => assert_nothing_left(&world, before, seen.0, &context).await,
                }
                tried += 1;
                unknown += u32::from(kind == Some(ErrorKind::Unknown));
                sealed += u32::from(kind.is_none());
            }
        }
    }
    assert!(tried > 500 && unknown > 20 && sealed > 20);
    println!("{tried} errors: {unknown} Unknown, {sealed} sealed in spite of it");
}

/// Makes the first event of `step` at `moment` fail and returns the writer's error kind.
async fn write_with_fault(step: Step, moment: Moment, errno: Errno) -> (World, Option<ErrorKind>) {
    let seen = (step, moment);
    let events = undisturbed(Before::DeadAttempt).await;
    let event = events.iter().position(|event| *event == seen).unwrap();
    let (world, outcome) = refuse(Before::DeadAttempt, event, seen, errno).await;
    (world, outcome.err().map(|error| error.kind()))
}

#[tokio::test]
async fn file_systems_that_lack_links_or_locks_are_unsupported() {
    let unsupported = Some(ErrorKind::Unsupported);
    for errno in [Errno::BADF, Errno::NOLCK, Errno::OPNOTSUPP] {
        let (_, kind) = write_with_fault(Step::Lock, Moment::Before, errno).await;
        assert_eq!(kind, unsupported, "{errno}");
    }
    for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::XDEV, Errno::MLINK] {
        for step in [Step::LinkPayload, Step::LinkSeal] {
            let (_, kind) = write_with_fault(step, Moment::Before, errno).await;
            assert_eq!(kind, unsupported, "{errno} {step:?}");
        }
    }
}

#[tokio::test]
async fn full_disks_and_limits_are_unavailable() {
    for errno in [Errno::FBIG, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        let (_, kind) = write_with_fault(Step::Append, Moment::Before, errno).await;
        assert_eq!(kind, Some(ErrorKind::Unavailable), "{errno}");
    }
}

#[tokio::test]
async fn g06_an_error_after_which_the_seal_may_be_linked_is_unknown() {
    for errno in [Errno::IO, Errno::TIMEDOUT, Errno::STALE, Errno::INTR, Errno::NOMEM] {
        for moment in [Moment::Before, Moment::After] {
            let (world, kind) = write_with_fault(Step::LinkSeal, moment, errno).await;
            assert_eq!(kind, Some(ErrorKind::Unknown), "{errno} {moment:?}");
            let sealed = world.content(Object::Seal).await.is_some();
            assert_eq!(sealed, moment == Moment::After);
            assert_eq!(world.content(Object::Payload).await, Some(payload_of(1)));
        }
    }
}

#[tokio::test]
async fn g07_a_link_that_finds_its_own_file_succeeds() {
    for step in [Step::LinkPayload, Step::LinkSeal] {
        let (world, kind) = write_with_fault(step, Moment::After, Errno::EXIST).await;
        assert_eq!(kind, None, "{step:?}");
        world.assert_sealed_by(1, "a link whose first answer was lost").await;
    }
}
