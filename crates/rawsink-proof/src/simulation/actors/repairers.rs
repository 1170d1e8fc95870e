//! Repairers: they repair runs from a backup, which has the sealed bytes.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use rawsink::{
    RawSink,
    layout::Place,
    store::{MemoryStore, Object},
};
use rawsink_ops::copy::{Progress, repair_run};

use super::{in_process, wait};
use crate::simulation::{
    encounters::EncounterKind,
    handle::ProcessHandle,
    plan::{PlannedRepairer, PlannedRun},
    state::MemoryState,
    world::SharedWorld,
};

/// A run to repair, and its sealed bytes.
struct RepairJob {
    run: PlannedRun,
    document: Bytes,
    payload: Bytes,
}

/// Repairs runs several times.
pub(super) async fn keep_repairing(world: SharedWorld, number: usize, repairer: PlannedRepairer) {
    wait(&world, repairer.start).await;
    for time in 0..repairer.times {
        let run = {
            let mut world = world.lock();
            let runs = world.plan.runs.len() as u64;
            usize::try_from(world.random.below(runs)).expect("an index")
        };
        if let Some((here, job)) = start(&world, run, format!("repairer {number}.{time}")) {
            let outcome = in_process(&world, here.id, repair(here.clone(), job)).await;
            let mut world = world.lock();
            world.encounters.met(EncounterKind::Repairer, outcome.unwrap_or("killed"));
        }
        let gap = world.lock().random.up_to(repairer.gap);
        wait(&world, gap).await;
    }
}

/// Repairs a run when no other process is active.
pub(super) async fn repair_alone(world: &SharedWorld, run: usize) {
    let Some((here, job)) = start(world, run, "alone".to_owned()) else { return };
    let prefix = job.run.prefix.clone();
    let outcome = in_process(world, here.id, repair(here.clone(), job)).await;
    let mut world = world.lock();
    world.auditor.repaired_alone(&prefix, outcome);
    world.encounters.met(EncounterKind::Repairer, outcome.unwrap_or("killed"));
}

/// Starts the process of a repair; returns `None` for a run that is not sealed.
fn start(world: &SharedWorld, run: usize, name: String) -> Option<(ProcessHandle, RepairJob)> {
    let mut locked = world.lock();
    let run = locked.plan.runs[run].clone();
    let (document, payload) = locked.auditor.backup(&run.prefix)?;
    let id = locked.start_process(name);
    locked.processes[id.0].repairs = Some(run.prefix.clone());
    Some((ProcessHandle { world: world.clone(), id }, RepairJob { run, document, payload }))
}

async fn repair(here: ProcessHandle, job: RepairJob) -> &'static str {
    let RepairJob { run, document, payload } = job;
    let (backup, path) = (MemoryStore::new(), Place::of_run(&run.key, &run.id).store_path());
    backup.tamper(&path, Object::Payload, Some(payload));
    backup.tamper(&path, Object::Seal, Some(document));
    let partition = Place::of_partition(&run.key).to_string();
    let since = here.world.lock().auditor.snapshot(&run.prefix, &partition);
    let (from, to, state) = (RawSink::new(backup), here.sink(), MemoryState(here.clone()));
    let go: Progress = Arc::new(|_| ControlFlow::Continue(()));
    let outcome = repair_run(&from, &to, &state, &run.key, &run.id, &go).await;
    let mut locked = here.world.lock();
    let world = &mut *locked;
    match outcome {
        Ok(outcome) => {
            world.auditor.repaired(&run.prefix, since, outcome.name(), &world.server);
            outcome.name()
        }
        Err(error) => {
            let misled = world.processes[here.id.0].misled;
            let name = world.name_of(here.id);
            world.trace(&name, || format!("gets {error:?}"));
            let how = (error.kind(), error.message());
            world.auditor.repair_failed(&run.prefix, since, how, misled);
            error.kind().name()
        }
    }
}
