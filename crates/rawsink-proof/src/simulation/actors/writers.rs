//! Writers: each attempt is a process, and some writers try again.

use futures_util::future::{self, Either};
use rawsink::{ErrorKind, Metadata, Result, Sealed, store::LeftoverPolicy};

use super::{in_process, wait};
use crate::simulation::{
    auditor::{self, WriterOutcome},
    encounters::EncounterKind,
    handle::ProcessHandle,
    ids::AttemptId,
    plan::{PART_ROWS, PlannedRun, PlannedWriter, WriterEnding},
    time::MINUTE,
    world::SharedWorld,
};

/// One attempt at a run.
#[derive(Debug, Clone)]
struct AttemptJob {
    id: AttemptId,
    run: PlannedRun,
    lines: Vec<String>,
    writer: PlannedWriter,
}

/// Writes a run and tries again, as a scheduler does.
pub(super) async fn keep_trying(world: SharedWorld, number: usize, mut writer: PlannedWriter) {
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
        writer.ending = WriterEnding::Seal;
        wait(&world, gap).await;
    }
}

/// Lets a lone writer seal a run, which must succeed unless the run is sealed (G09).
pub(super) async fn write_alone(world: &SharedWorld, run: usize) {
    let (rows, conditions) = {
        let mut world = world.lock();
        let rows = world.random.pick(&[0, 1, PART_ROWS - 1, PART_ROWS, 2 * PART_ROWS + 1]);
        (rows, world.plan.settings.complete_conditions())
    };
    let writer = PlannedWriter {
        run,
        start: 0,
        rows,
        row_gap: 0,
        ending: WriterEnding::Seal,
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
        Some(WriterOutcome::Sealed(_)) => !sealed,
        Some(WriterOutcome::Failed(kind, _)) => sealed && *kind == ErrorKind::AlreadySealed,
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

async fn attempt(world: &SharedWorld, name: String, writer: &PlannedWriter) -> Again {
    match run_attempt(world, name, writer).await {
        Some(WriterOutcome::Sealed(_) | WriterOutcome::Failed(ErrorKind::AlreadySealed, _)) => {
            Again::No
        }
        _ => Again::Yes,
    }
}

/// Makes one attempt; returns `None` if its process is killed.
async fn run_attempt(
    world: &SharedWorld,
    name: String,
    writer: &PlannedWriter,
) -> Option<WriterOutcome> {
    let (here, attempt) = {
        let mut locked = world.lock();
        let process = locked.start_process(name);
        let run = locked.plan.runs[writer.run].clone();
        let id = locked.auditor.attempt(&run.prefix, process, writer.ending);
        locked.processes[process.0].attempt = Some(id);
        let row = |n| format!("{{\"attempt\":\"{:05}\",\"n\":\"{n:05}\"}}", id.0);
        let lines: Vec<String> = (0..writer.rows).map(row).collect();
        locked.auditor.writes(id, auditor::payload(&lines));
        let here = ProcessHandle { world: world.clone(), id: process };
        (here, AttemptJob { id, run, lines, writer: writer.clone() })
    };
    let (id, process) = (attempt.id, here.id);
    let told = in_process(world, process, write(here, attempt)).await;
    let mut locked = world.lock();
    if locked.auditor.went_both_ways(id) {
        locked.encounters.path("went the multipart way after a single PUT");
    }
    if locked.auditor.aborted_another(id) {
        locked.encounters.path("aborted another's upload");
    }
    locked
        .encounters
        .met(EncounterKind::Writer, told.as_ref().map_or("killed", WriterOutcome::name));
    told
}

async fn write(here: ProcessHandle, attempt: AttemptJob) -> WriterOutcome {
    let told = match write_rows(&here, &attempt).await {
        Ok(Some(sealed)) => WriterOutcome::Sealed(sealed),
        Ok(None) => WriterOutcome::Nothing,
        Err(error) => WriterOutcome::Failed(error.kind(), error.to_string()),
    };
    here.trace(|| format!("result: {told:?}"));
    let mut world = here.world.lock();
    let world = &mut *world;
    world.auditor.told(attempt.id, told.clone(), &world.server);
    told
}

/// Writes and seals; returns `None` if the writer ends without a result.
async fn write_rows(here: &ProcessHandle, attempt: &AttemptJob) -> Result<Option<Sealed>> {
    let AttemptJob { run, writer: plan, .. } = attempt;
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
        WriterEnding::Seal => writer.finalize(metadata.build()?).await.map(Some),
        WriterEnding::Abort => {
            writer.abort().await;
            Ok(None)
        }
        WriterEnding::Drop => Ok(None),
        WriterEnding::DropSealing(after) => {
            let sealing = Box::pin(writer.finalize(metadata.build()?));
            match future::select(sealing, Box::pin(here.wait(after))).await {
                Either::Left((sealed, _)) => sealed.map(Some),
                Either::Right(_) => Ok(None),
            }
        }
        WriterEnding::BadRow => writer.write_payload_line(b"no JSON").await.map(|()| None),
        WriterEnding::BadMetadata => {
            let metadata = metadata.field("run_id", "another").build()?;
            writer.finalize(metadata).await.map(Some)
        }
    }
}
