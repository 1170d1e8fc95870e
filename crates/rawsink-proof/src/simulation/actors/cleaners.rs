//! Cleaners: they plan a clean-up and execute it.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::StreamExt;
use rawsink::{Result, layout::Place, state::PartitionState};
use rawsink_ops::clean::{CleanPolicy, Fate, Planned, execute, plan};

use super::{in_process, wait};
use crate::simulation::{
    encounters::EncounterKind,
    handle::ProcessHandle,
    plan::PlannedCleaner,
    state::MemoryState,
    world::{SharedWorld, SimWorld},
};

/// Cleans several times.
pub(super) async fn keep_cleaning(world: SharedWorld, number: usize, cleaner: PlannedCleaner) {
    wait(&world, cleaner.start).await;
    for time in 0..cleaner.times {
        let here = here(&world, format!("cleaner {number}.{time}"));
        if in_process(&world, here.id, clean(here.clone(), cleaner.rules)).await.is_none() {
            world.lock().encounters.met(EncounterKind::Cleaner, "killed");
        }
        let gap = world.lock().random.up_to(cleaner.gap);
        wait(&world, gap).await;
    }
}

/// Cleans everything at the end, when no writer lives. Some uploads look open and are completed.
pub(super) async fn clean_alone(world: &SharedWorld, cleaner: PlannedCleaner) {
    wait(world, cleaner.start).await;
    world.lock().list_completed_uploads();
    let here = here(world, "last cleaner".to_owned());
    let errors = clean(here, cleaner.rules).await;
    let mut locked = world.lock();
    let world = &mut *locked;
    if errors > 0 {
        world.auditor.violate(format!("G08: {errors} leftovers cannot be removed"));
    }
    let named = named(world);
    world.auditor.cleaned_up(&world.server, &named);
}

/// Returns the prefixes of the runs that the state names. A verdict may name a run that has no seal.
fn named(world: &SimWorld) -> BTreeSet<String> {
    let runs = world.plan.runs.iter().filter(|run| {
        let history = world.histories.get(&Place::of_partition(&run.key).to_string());
        history.is_some_and(|history| history.summary(&run.id).is_named)
    });
    runs.map(|run| run.prefix.clone()).collect()
}

fn here(world: &SharedWorld, name: String) -> ProcessHandle {
    let id = world.lock().start_cleaner(name);
    ProcessHandle { world: world.clone(), id }
}

/// Cleans once and continues after errors; returns the number of errors.
async fn clean(here: ProcessHandle, rules: CleanPolicy) -> u64 {
    let state: Arc<dyn PartitionState> = Arc::new(MemoryState(here.clone()));
    let planned = plan(&here.sink(), &state, &Place::top(), rules).expect("the age is enough");
    // The plan is read to its end first, so that the task waits for every answer.
    let planned: Vec<_> = planned.collect().await;
    let mut errors = 0;
    for planned in planned {
        let outcome = match planned {
            Ok(planned) => carry_out(&here, &planned).await,
            Err(error) => Err(error),
        };
        let mut world = here.world.lock();
        let met = match outcome {
            Ok(met) => met,
            Err(error) => {
                errors += 1;
                let name = world.name_of(here.id);
                world.trace(&name, || format!("gets {error:?}"));
                world.auditor.cleaning_failed(error.kind(), error.message());
                error.kind().name()
            }
        };
        world.encounters.met(EncounterKind::Cleaner, met);
    }
    errors
}

async fn carry_out(here: &ProcessHandle, planned: &Planned) -> Result<&'static str> {
    here.perhaps_wait().await;
    Ok(match execute(&here.sink(), planned).await? {
        Some(outcome) => outcome.name(),
        None if planned.fate == Fate::Young => "young",
        None => "shown",
    })
}
