//! The order of the steps, and the steps that are never repeated.

use super::*;

/// Number of directories above the run's, including the root and its parent.
const ANCESTORS: usize = 4 + 1 + 1;

fn is_sync(step: Step) -> bool {
    use Step::{
        SyncAboveRoot, SyncAncestor, SyncPayload, SyncRunDirectory, SyncSeal, SyncSealedDirectory,
    };
    let files = matches!(step, SyncPayload | SyncSeal);
    files || matches!(step, SyncRunDirectory | SyncSealedDirectory | SyncAncestor | SyncAboveRoot)
}

#[tokio::test]
async fn g02_the_payload_and_all_directories_are_synced_before_the_seal_appears() {
    let (world, script) = (World::new(Before::Nothing), Script::new(None));
    write(&world.probed(script.clone()), 1).await.unwrap();
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
    let above = vec![Step::SyncAboveRoot; world.above()];
    let expected = [&start[..], &payload, &[Step::SyncAncestor; ANCESTORS], &above, &seal].concat();
    assert_eq!(script.steps(), expected);
}

#[tokio::test]
async fn g02_existing_directories_are_synced_too() {
    let (world, script) = (World::new(Before::DeadAttempt), Script::new(None));
    write(&world.probed(script.clone()), 1).await.unwrap();
    assert_eq!(script.count(Step::SyncAncestor), ANCESTORS);
    assert_eq!(script.count(Step::SyncAboveRoot), world.above());
}

#[tokio::test]
async fn g02_directories_above_a_root_of_another_process_are_synced_before_the_seal_appears() {
    let world = World::new(Before::Nothing);
    let first = world.fresh().start(&run().join("first"), options(1)).await.unwrap();
    let script = Script::new(None);
    let second = world.probed(script.clone());
    write(&second, 2).await.unwrap();
    let steps = script.steps();
    let sealed = steps.iter().position(|step| *step == Step::LinkSeal).unwrap();
    let before = steps[..sealed].iter().filter(|step| **step == Step::SyncAboveRoot).count();
    assert_eq!(before, world.above());
    drop(first);

    write_run(&second.clone(), &run().join("second"), 3).await.unwrap();
    second.sync(&[run()]).await.unwrap();
    assert_eq!(script.count(Step::SyncAboveRoot), before, "once by each store");
}

#[tokio::test]
async fn g02_syncing_a_run_syncs_the_directories_above_the_root() {
    let world = World::new(Before::Nothing);
    write(&world.fresh(), 1).await.unwrap();
    let script = Script::new(None);
    let store = world.probed(script.clone());
    store.sync(&[run().join("absent")]).await.unwrap();
    store.sync(&[run()]).await.unwrap();
    assert_eq!(script.count(Step::SyncAboveRoot), world.above());
    write_run(&store, &run().join("another"), 2).await.unwrap();
    assert_eq!(script.count(Step::SyncAboveRoot), world.above(), "once by each store");
}

#[tokio::test]
async fn g02_directories_above_the_root_are_synced_again_after_a_failed_sync_or_a_deleted_root() {
    let world = World::new(Before::Nothing);
    let events = undisturbed(Before::Nothing).await;
    let event = events.iter().rposition(|(step, _)| *step == Step::SyncAboveRoot).unwrap();
    let script = Script::new(Some(StepFault { event, errno: Errno::IO, dies: false }));
    let store = world.probed(script.clone());
    write(&store, 1).await.unwrap_err();
    write(&store, 2).await.unwrap();
    assert_eq!(script.count(Step::SyncAboveRoot), 2 * world.above());

    // A root that was replaced.
    std::fs::remove_dir_all(world.root()).unwrap();
    std::fs::create_dir(world.root()).unwrap();
    write(&store, 3).await.unwrap();
    assert_eq!(script.count(Step::SyncAboveRoot), 3 * world.above());
}

#[tokio::test]
async fn g02_a_store_syncs_a_directory_into_those_above_it_once() {
    let (world, script) = (World::new(Before::Nothing), Script::new(None));
    let store = world.probed(script.clone());
    write(&store, 1).await.unwrap();
    let count = || script.count(Step::SyncAncestor) + script.count(Step::SyncAboveRoot);
    let first = count();
    let (partition, _) = run().parent().unwrap();
    write_run(&store, &partition.join("another"), 2).await.unwrap();
    assert_eq!(count(), first + 1, "the partition, which has a new entry");
    store.sync(&[run()]).await.unwrap();
    assert_eq!(count(), first + 2, "the partition is known");
    let (query, _) = partition.parent().unwrap();
    write_run(&store, &query.join("e").join("run"), 3).await.unwrap();
    assert_eq!(count(), first + 4, "a new partition in a known directory");

    // Another directory of the same path.
    let path = world.root().join(partition.as_str());
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    write_run(&store, &partition.join("later"), 4).await.unwrap();
    assert_eq!(count(), first + 6, "the partition, and the directory above it");

    // The same directory in another one of the same path.
    let [source, kept] = [world.root().join("s"), world.root().join("kept")];
    rustix::fs::rename(&source, &kept).unwrap();
    std::fs::create_dir(&source).unwrap();
    rustix::fs::rename(kept.join("c"), source.join("c")).unwrap();
    write_run(&store, &partition.join("last"), 5).await.unwrap();
    assert_eq!(count(), first + 11, "the partition, and all above it up to the root");
}

#[tokio::test]
async fn a_failed_sync_is_never_repeated_and_ends_the_attempt() {
    let mut tried = 0;
    for (event, (step, moment)) in undisturbed(Before::Nothing).await.into_iter().enumerate() {
        if !is_sync(step) {
            continue;
        }
        let script = Script::new(Some(StepFault { event, errno: Errno::IO, dies: false }));
        let world = World::new(Before::Nothing);
        write(&world.probed(script.clone()), 1).await.unwrap_err();
        assert_eq!(script.events().len(), event + 1, "nothing follows {step:?} {moment:?}");
        tried += 1;
    }
    assert_eq!(tried, 2 * (4 + ANCESTORS + World::new(Before::Nothing).above()));
}

#[tokio::test]
async fn syncing_a_run_syncs_its_files_before_its_directories() {
    let world = World::new(Before::Nothing);
    write(&world.fresh(), 1).await.unwrap();
    let script = Script::new(None);
    world.probed(script.clone()).sync(&[run()]).await.unwrap();
    let run = [Step::SyncPayload, Step::SyncSeal, Step::SyncRunDirectory];
    let above = vec![Step::SyncAboveRoot; world.above()];
    assert_eq!(script.steps(), [&run[..], &[Step::SyncAncestor; ANCESTORS], &above].concat());

    for event in 0..script.events().len() {
        let script = Script::new(Some(StepFault { event, errno: Errno::IO, dies: false }));
        let refused = world.probed(script.clone()).sync(&[super::run()]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert_eq!(script.events().len(), event + 1);
    }
}
