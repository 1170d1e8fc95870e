//! The steps of whole attempts, and what is never repeated.

use super::*;

/// How many directories are above the run's own, the root and its parent included.
const ANCESTORS: usize = 4 + 1 + 1;

fn is_sync(step: Step) -> bool {
    use Step::{SyncAncestor, SyncPayload, SyncRunDirectory, SyncSeal, SyncSealedDirectory};
    matches!(step, SyncAncestor | SyncPayload | SyncRunDirectory | SyncSeal | SyncSealedDirectory)
}

#[tokio::test]
async fn g02_the_payload_and_all_directories_are_synced_before_the_seal_appears() {
    let script = Script::new(None);
    write(&World::new(Before::Nothing).probed(script.clone()), 1).await.unwrap();
    let start = [
        Step::MakeDirectories,
        Step::OpenDirectory,
        Step::Lock,
        Step::CompareDirectory,
        Step::CheckSealAtStart,
        Step::RemoveOldStaging,
        Step::OpenStaging,
    ];
    let payload = [
        Step::Append,
        Step::Append,
        Step::SyncPayload,
        Step::CheckSeal,
        Step::UnlinkLeftover,
        Step::LinkPayload,
        Step::UnlinkPayloadStaging,
        Step::SyncRunDirectory,
    ];
    let seal = [
        Step::OpenSealStaging,
        Step::WriteSeal,
        Step::SyncSeal,
        Step::LinkSeal,
        Step::SyncSealedDirectory,
        Step::UnlinkSealStaging,
    ];
    let expected = [&start[..], &payload, &[Step::SyncAncestor; ANCESTORS], &seal].concat();
    assert_eq!(script.steps(), expected);
}

#[tokio::test]
async fn g02_directories_are_synced_whoever_made_them() {
    let script = Script::new(None);
    write(&World::new(Before::DeadAttempt).probed(script.clone()), 1).await.unwrap();
    let synced = script.steps().into_iter().filter(|step| *step == Step::SyncAncestor).count();
    assert_eq!(synced, ANCESTORS);
}

#[tokio::test]
async fn a_failed_sync_is_never_repeated_and_ends_the_attempt() {
    let mut tried = 0;
    for (event, (step, moment)) in undisturbed(Before::Nothing).await.into_iter().enumerate() {
        if !is_sync(step) {
            continue;
        }
        let script = Script::new(Some(Fault { event, errno: Errno::IO, dies: false }));
        let world = World::new(Before::Nothing);
        write(&world.probed(script.clone()), 1).await.unwrap_err();
        assert_eq!(script.events().len(), event + 1, "nothing follows {step:?} {moment:?}");
        tried += 1;
    }
    assert_eq!(tried, 2 * (4 + ANCESTORS));
}

#[tokio::test]
async fn syncing_a_run_syncs_its_files_before_its_directories() {
    let world = World::new(Before::Nothing);
    write(&world.fresh(), 1).await.unwrap();
    let script = Script::new(None);
    world.probed(script.clone()).sync(&run()).await.unwrap();
    let run = [Step::SyncPayload, Step::SyncSeal, Step::SyncRunDirectory];
    assert_eq!(script.steps(), [&run[..], &[Step::SyncAncestor; ANCESTORS]].concat());

    for event in 0..script.events().len() {
        let script = Script::new(Some(Fault { event, errno: Errno::IO, dies: false }));
        let refused = world.probed(script.clone()).sync(&super::run()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert_eq!(script.events().len(), event + 1);
    }
}
