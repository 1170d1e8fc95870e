//! The system refuses a step, before or after it did its work.

use super::*;

const ERRNOS: [(Errno, ErrorKind); 5] = [
    (Errno::IO, ErrorKind::Unavailable),
    (Errno::NOSPC, ErrorKind::Unavailable),
    (Errno::DQUOT, ErrorKind::Unavailable),
    (Errno::ACCESS, ErrorKind::Denied),
    (Errno::ROFS, ErrorKind::Denied),
];

/// What the writer is to be told; `None` for sealed.
fn expected(
    (step, moment): (Step, Moment),
    is_top: bool,
    (errno, kind): (Errno, ErrorKind),
) -> Option<ErrorKind> {
    match step {
        // The seal stands and is durable.
        Step::UnlinkSealStaging => None,
        // The whole file system is synced where the root's parent, or what is above it, is closed.
        Step::SyncAncestor if is_top && errno == Errno::ACCESS => None,
        Step::SyncAbove if errno == Errno::ACCESS => None,
        Step::SyncSealedDirectory => Some(ErrorKind::Unknown),
        Step::LinkSeal if errno == Errno::IO || moment == Moment::After => Some(ErrorKind::Unknown),
        _ => Some(kind),
    }
}

/// The steps before the lock is held, where nothing can be taken back.
fn is_outside_the_lock(step: Step) -> bool {
    matches!(
        step,
        Step::MakeDirectories | Step::OpenDirectory | Step::Lock | Step::CompareDirectory
    )
}

/// Asserts that an attempt which was not sealed left nothing of its own (G08).
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
    let script = Script::new(Some(Fault { event, errno, dies: false }));
    let outcome = write(&world.probed(script.clone()), 1).await;
    assert_eq!(script.events().get(event), Some(&seen));
    (world, outcome)
}

#[tokio::test]
async fn g06_g08_an_error_at_any_step_tells_whether_the_seal_may_be_there() {
    let (mut tried, mut unknown, mut sealed) = (0, 0, 0);
    for before in [Before::Nothing, Before::DeadAttempt] {
        let events = undisturbed(before).await;
        let top = events.iter().rposition(|(step, _)| *step == Step::SyncAncestor).unwrap();
        for (event, seen) in events.iter().copied().enumerate() {
            for errno in ERRNOS {
                let context = format!("{before:?}, {} at {event} {seen:?}", errno.0);
                let (world, outcome) = refuse(before, event, seen, errno.0).await;
                let told = outcome.as_ref().err().map(crate::Error::kind);
                let is_top = event + 1 >= top && event <= top;
                assert_eq!(told, expected(seen, is_top, errno), "{context}");
                match told {
                    None => world.assert_sealed_by(1, &context).await,
                    Some(ErrorKind::Unknown) => {
                        let writer = outcome.unwrap_err().writer().map(str::to_owned);
                        assert_eq!(writer.as_deref(), Some(WriterToken::new(1).as_str()));
                        assert_eq!(world.content(Object::Payload).await, Some(payload_of(1)));
                    }
                    Some(_) => assert_nothing_left(&world, before, seen.0, &context).await,
                }
                tried += 1;
                unknown += u32::from(told == Some(ErrorKind::Unknown));
                sealed += u32::from(told.is_none());
            }
        }
    }
    assert!(tried > 500 && unknown > 20 && sealed > 20);
    println!("{tried} errors: {unknown} Unknown, {sealed} sealed all the same");
}

/// Lets the first event of `step` at `moment` fail and returns what the writer is told.
async fn told(step: Step, moment: Moment, errno: Errno) -> (World, Option<ErrorKind>) {
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
        assert_eq!(told(Step::Lock, Moment::Before, errno).await.1, unsupported, "{errno}");
    }
    for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::XDEV, Errno::MLINK] {
        for step in [Step::LinkPayload, Step::LinkSeal] {
            assert_eq!(told(step, Moment::Before, errno).await.1, unsupported, "{errno} {step:?}");
        }
    }
}

#[tokio::test]
async fn full_disks_and_limits_are_unavailable() {
    for errno in [Errno::FBIG, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        let told = told(Step::Append, Moment::Before, errno).await.1;
        assert_eq!(told, Some(ErrorKind::Unavailable), "{errno}");
    }
}

#[tokio::test]
async fn g06_an_error_that_leaves_open_whether_the_seal_was_linked_is_unknown() {
    for errno in [Errno::IO, Errno::TIMEDOUT, Errno::STALE, Errno::INTR, Errno::NOMEM] {
        for moment in [Moment::Before, Moment::After] {
            let (world, told) = told(Step::LinkSeal, moment, errno).await;
            assert_eq!(told, Some(ErrorKind::Unknown), "{errno} {moment:?}");
            let sealed = world.content(Object::Seal).await.is_some();
            assert_eq!(sealed, moment == Moment::After);
            assert_eq!(world.content(Object::Payload).await, Some(payload_of(1)));
        }
    }
}

#[tokio::test]
async fn g07_a_link_that_meets_itself_went_well() {
    for step in [Step::LinkPayload, Step::LinkSeal] {
        let (world, told) = told(step, Moment::After, Errno::EXIST).await;
        assert_eq!(told, None, "{step:?}");
        world.assert_sealed_by(1, "a link whose first answer was lost").await;
    }
}
