//! The process dies before or after a step and does not clean up.

use super::*;

/// Kills an attempt at an event and returns whether the run is sealed.
async fn crash(before: Before, event: usize, seen: (Step, Moment)) -> bool {
    let context = format!("{before:?}, dead at {event} {seen:?}");
    let world = World::new(before);
    let script = Script::new(Some(StepFault { event, errno: Errno::IO, dies: true }));
    let outcome = write(&world.probed(script.clone()), 1).await;
    assert_eq!(script.events().last(), Some(&seen), "{context}");
    let there = world.fresh().inspect(&run()).await.unwrap();
    if there.seal.is_some() {
        world.assert_sealed_by(1, &context).await;
        let refused = write(&world.fresh(), 2).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadySealed, "{context}");
        world.assert_sealed_by(1, &context).await;
        return true;
    }
    assert!(outcome.is_err(), "{context}");
    let payload = world.content(Object::Payload).await;
    let whole = [None, Some(EARLIER.to_owned()), Some(payload_of(1))];
    assert!(whole.contains(&payload), "{context}: {payload:?}");
    write(&world.fresh(), 2).await.unwrap_or_else(|error| panic!("{context}: {error}"));
    world.assert_sealed_by(2, &context).await;
    assert_eq!(world.names().unwrap(), ["metadata.json", "payload.jsonl"], "{context}");
    false
}

#[tokio::test]
async fn g01_g02_g09_a_crash_at_any_step_leaves_a_complete_sealed_run_or_a_run_to_write_again() {
    for before in [Before::Nothing, Before::DeadAttempt] {
        let events = undisturbed(before).await;
        let linked = (Step::LinkSeal, Moment::After);
        let seal = events.iter().position(|event| *event == linked).unwrap();
        let mut sealed = 0;
        for (event, seen) in events.iter().copied().enumerate() {
            let is_sealed = crash(before, event, seen).await;
            assert_eq!(is_sealed, event >= seal, "{before:?}, dead at {seen:?}");
            sealed += usize::from(is_sealed);
        }
        assert!(sealed >= 4 && events.len() - sealed > 40);
        println!("{before:?}: {} crashes, {sealed} of them after the seal", events.len());
    }
}

#[tokio::test]
async fn g09_a_run_can_be_written_after_repeated_crashes() {
    let world = World::new(Before::Nothing);
    let events = undisturbed(Before::Nothing).await;
    let seal = events.iter().position(|(step, _)| *step == Step::LinkSeal).unwrap();
    for event in 0..=seal {
        let script = Script::new(Some(StepFault { event, errno: Errno::IO, dies: true }));
        write(&world.probed(script), 7).await.unwrap_err();
    }
    write(&world.fresh(), 8).await.unwrap();
    world.assert_sealed_by(8, "after all crashes").await;
    assert_eq!(world.names().unwrap(), ["metadata.json", "payload.jsonl"]);
}
