//! Who cleans: plans, and removes what the plan says.

use futures_util::StreamExt;
use rawsink::{
    Result,
    clean::{Fate, Planned, Rules, execute, plan},
    layout::Place,
};

use super::{in_process, wait};
use crate::simulation::{coverage::Kind, plan::Cleaner, process::Here, world::Shared};

/// Cleans again and again.
pub(super) async fn keep_cleaning(world: Shared, number: usize, cleaner: Cleaner) {
    wait(&world, cleaner.start).await;
    for time in 0..cleaner.times {
        let here = here(&world, format!("cleaner {number}.{time}"));
        if in_process(&world, here.id, clean(here.clone(), cleaner.rules)).await.is_none() {
            world.lock().coverage.met(Kind::Cleaner, "killed");
        }
        let gap = world.lock().random.up_to(cleaner.gap);
        wait(&world, gap).await;
    }
}

/// Removes everything that is old when nobody lives any more, uploads that were completed and only look
/// open among it.
pub(super) async fn clean_alone(world: &Shared, cleaner: Cleaner) {
    wait(world, cleaner.start).await;
    world.lock().leave_completed();
    let here = here(world, "last cleaner".to_owned());
    let faults = clean(here, cleaner.rules).await;
    let mut locked = world.lock();
    let world = &mut *locked;
    if faults > 0 {
        world.auditor.violate(format!("G08: {faults} leftovers cannot be removed"));
    }
    world.auditor.cleaned_up(&world.server);
}

fn here(world: &Shared, name: String) -> Here {
    let id = world.lock().cleaning_process(name);
    Here { world: world.clone(), id }
}

/// Cleans once, and goes on after errors; returns how many there were.
async fn clean(here: Here, rules: Rules) -> u64 {
    let planned = plan(&here.sink(), &Place::top(), rules).expect("the age is enough");
    // All of it before the first removal: an answer that nobody waits for would wake nobody.
    let planned: Vec<_> = planned.collect().await;
    let mut faults = 0;
    for planned in planned {
        let outcome = match planned {
            Ok(planned) => carry_out(&here, &planned).await,
            Err(error) => Err(error),
        };
        let mut world = here.world.lock();
        let met = match outcome {
            Ok(met) => met,
            Err(error) => {
                faults += 1;
                let name = world.name_of(here.id);
                world.tell(&name, || format!("is told: {error:?}"));
                world.auditor.cleaning_failed(error.kind(), error.message());
                error.kind().name()
            }
        };
        world.coverage.met(Kind::Cleaner, met);
    }
    faults
}

async fn carry_out(here: &Here, planned: &Planned) -> Result<&'static str> {
    here.perhaps_wait().await;
    Ok(match execute(&here.sink(), planned).await? {
        Some(outcome) => outcome.name(),
        None if planned.fate == Fate::Young => "young",
        None => "shown",
    })
}
