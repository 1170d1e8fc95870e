//! The actors: writers, readers, validators, consumers, cleaners and repairers, each in its own processes.

mod cleaners;
mod observers;
mod repairers;
mod writers;

use tokio::task::JoinError;

use super::{
    handle::ProcessHandle,
    ids::{NOBODY, ProcessId},
    time::Micros,
    world::SharedWorld,
};

/// Starts all actors of the plan.
pub(super) fn start(world: &SharedWorld) {
    let (writers, observers, cleaners, repairers) = {
        let plan = &world.lock().plan;
        let (writers, observers) = (plan.writers.clone(), plan.observers.clone());
        (writers, observers, plan.cleaners.clone(), plan.repairers.clone())
    };
    for (number, writer) in writers.into_iter().enumerate() {
        tokio::spawn(writers::keep_trying(world.clone(), number, writer));
    }
    for (number, observer) in observers.into_iter().enumerate() {
        tokio::spawn(observers::keep_observing(world.clone(), number, observer));
    }
    for (number, cleaner) in cleaners.into_iter().enumerate() {
        tokio::spawn(cleaners::keep_cleaning(world.clone(), number, cleaner));
    }
    for (number, repairer) in repairers.into_iter().enumerate() {
        tokio::spawn(repairers::keep_repairing(world.clone(), number, repairer));
    }
}

/// Starts a lone actor: it may clean, then it writes every run, may repair it, and reads it.
pub(super) fn start_alone(world: &SharedWorld) {
    let world = world.clone();
    tokio::spawn(async move {
        let (runs, cleaner, repairs) = {
            let plan = &world.lock().plan;
            (plan.runs.len(), plan.last_cleaner, plan.repairs_at_the_end)
        };
        if let Some(cleaner) = cleaner {
            cleaners::clean_alone(&world, cleaner).await;
        }
        for run in 0..runs {
            writers::write_alone(&world, run).await;
            if repairs {
                repairers::repair_alone(&world, run).await;
            }
            observers::read_alone(&world, run).await;
        }
        world.lock().finished = true;
    });
}

/// Runs a job in a process; returns `None` if the process is killed.
async fn in_process<T, F>(world: &SharedWorld, process: ProcessId, job: F) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let task = tokio::spawn(job);
    world.lock().set_task(process, task.abort_handle());
    match task.await {
        Ok(done) => Some(done),
        Err(ended) => {
            report_panic(world, ended);
            None
        }
    }
}

fn report_panic(world: &SharedWorld, ended: JoinError) {
    if let Ok(panic) = ended.try_into_panic() {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| {
            let text: Option<&&str> = panic.downcast_ref();
            text.map(|text| (*text).to_owned())
        });
        world.lock().auditor.violate(format!("panicked: {}", text.unwrap_or_default()));
    }
}

/// Waits outside of any process.
async fn wait(world: &SharedWorld, time: Micros) {
    ProcessHandle { world: world.clone(), id: NOBODY }.wait(time).await;
}
