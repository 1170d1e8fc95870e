//! Writers: each attempt is a process of its own, and some of them try again.

use futures_util::future::{self, Either};
use rawsink::{ErrorKind, Metadata, Result, Sealed, config::LeftoverPolicy};

use super::{in_process, wait};
use crate::simulation::{
    auditor::{self, AttemptId, Told},
    coverage::Kind,
    plan::{Ending, PART_ROWS, Run, Writer},
    process::Here,
    time::MINUTE,
    world::Shared,
};

/// One attempt at a run.
#[derive(Debug, Clone)]
struct Attempt {
    id: AttemptId,
    run: Run,
    lines: Vec<String>,
    writer: Writer,
}

/// Writes a run, and tries again as a scheduler would.
pub(super) async fn keep_trying(world: Shared, number: usize, mut writer: Writer) {
    wait(&world, writer.start).await;
    for restart in 0..=writer.restarts {
        let name = format!("writer {number}.{restart}");
        if attempt(&world, name, &writer).await == Again::No {
            return;
        }
        let gap = {
            let mut world = world.lock();
            writer.rows = world.random.pick(&[writer.rows, 0, 1, 5]);
            let longest = 20 * world.plan.tempo + 10 * MINUTE;
            world.random.up_to(longest)
        };
        writer.ending = Ending::Seal;
        wait(&world, gap).await;
    }
}

/// Lets a lone writer seal a run, which it can, unless the run is sealed (G09).
pub(super) async fn write_alone(world: &Shared, run: usize) {
    let (rows, conditions) = {
        let mut world = world.lock();
        let rows = world.random.pick(&[0, 1, PART_ROWS - 1, PART_ROWS, 2 * PART_ROWS + 1]);
        (rows, world.plan.settings.complete_conditions)
    };
    let writer = Writer {
        run,
        start: 0,
        rows,
        row_gap: 0,
        ending: Ending::Seal,
        leftover: LeftoverPolicy::Replace,
        conditions,
        restarts: 0,
    };
    let (prefix, sealed) = {
        let world = world.lock();
        let prefix = world.plan.runs[run].prefix.clone();
        let sealed = world.auditor.is_sealed(&prefix);
        (prefix, sealed)
    };
    let told = run_attempt(world, "alone".to_owned(), &writer).await;
    let right = match &told {
        Some(Told::Sealed(_)) => !sealed,
        Some(Told::Failed(kind, _)) => sealed && *kind == ErrorKind::AlreadySealed,
        _ => false,
    };
    if !right {
        world
            .lock()
            .auditor
            .violate(format!("G09: alone with {prefix} (sealed: {sealed}): {told:?}"));
    }
}

/// Whether a writer tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

async fn attempt(world: &Shared, name: String, writer: &Writer) -> Again {
    match run_attempt(world, name, writer).await {
        Some(Told::Sealed(_) | Told::Failed(ErrorKind::AlreadySealed, _)) => Again::No,
        _ => Again::Yes,
    }
}

/// Makes one attempt; `None` where its process was killed.
async fn run_attempt(world: &Shared, name: String, writer: &Writer) -> Option<Told> {
    let (here, attempt) = {
        let mut locked = world.lock();
        let process = locked.process(name);
        let run = locked.plan.runs[writer.run].clone();
        let id = locked.auditor.attempt(&run.prefix, process, writer.ending);
        locked.processes[process.0].attempt = Some(id);
        let row = |n| format!("{{\"attempt\":\"{:05}\",\"n\":\"{n:05}\"}}", id.0);
        let lines: Vec<String> = (0..writer.rows).map(row).collect();
        locked.auditor.writes(id, auditor::payload(&lines));
        let here = Here { world: world.clone(), id: process };
        (here, Attempt { id, run, lines, writer: writer.clone() })
    };
    let (id, process) = (attempt.id, here.id);
    let told = in_process(world, process, write(here, attempt)).await;
    let mut locked = world.lock();
    if locked.auditor.went_both_ways(id) {
        locked.coverage.path("went the multipart way after a single PUT");
    }
    if locked.auditor.ended_another(id) {
        locked.coverage.path("ended another's upload");
    }
    locked.coverage.met(Kind::Writer, told.as_ref().map_or("killed", Told::name));
    told
}

async fn write(here: Here, attempt: Attempt) -> Told {
    let told = match write_rows(&here, &attempt).await {
        Ok(Some(sealed)) => Told::Sealed(sealed),
        Ok(None) => Told::Nothing,
        Err(error) => Told::Failed(error.kind(), error.to_string()),
    };
    here.tell(|| format!("is told: {told:?}"));
    let mut world = here.world.lock();
    let world = &mut *world;
    world.auditor.told(attempt.id, told.clone(), &world.server);
    told
}

/// Writes and seals; `None` where the writer ends without an outcome.
async fn write_rows(here: &Here, attempt: &Attempt) -> Result<Option<Sealed>> {
    let Attempt { run, writer: plan, .. } = attempt;
    let sink = here.sink_with(plan.leftover, plan.conditions);
    let mut writer = sink.write_partition(&run.key, &run.id).await?;
    for line in &attempt.lines {
        let gap = here.world.lock().random.up_to(plan.row_gap);
        if gap > 0 {
            here.wait(gap).await;
        }
        writer.write_payload_line(line.as_bytes()).await?;
    }
    let metadata = Metadata::for_run(&run.key, &run.id).field("attempt", &attempt.id.0);
    match plan.ending {
        Ending::Seal => writer.finalize(metadata.build()?).await.map(Some),
        Ending::Abort => {
            writer.abort().await;
            Ok(None)
        }
        Ending::Drop => Ok(None),
        Ending::DropSealing(after) => {
            let sealing = Box::pin(writer.finalize(metadata.build()?));
            match future::select(sealing, Box::pin(here.wait(after))).await {
                Either::Left((sealed, _)) => sealed.map(Some),
                Either::Right(_) => Ok(None),
            }
        }
        Ending::BadRow => writer.write_payload_line(b"no JSON").await.map(|()| None),
        Ending::BadMetadata => {
            let metadata = metadata.field("run_id", "another").build()?;
            writer.finalize(metadata).await.map(Some)
        }
    }
}
