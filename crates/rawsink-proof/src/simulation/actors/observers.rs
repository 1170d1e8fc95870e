//! Readers, validators and consumers.

use bytes::{BufMut, BytesMut};
use rawsink::{
    PartitionReader, Result,
    consume::open_current,
    layout::Place,
    validate::{self, Missing, Rules},
};

use super::{in_process, wait};
use crate::simulation::{
    auditor::ReadResult,
    encounters::EncounterKind,
    handle::ProcessHandle,
    plan::{ObserverRole, PlannedObserver, PlannedRun},
    state::MemoryState,
    world::SharedWorld,
};

/// Observes runs several times.
pub(super) async fn keep_observing(world: SharedWorld, number: usize, observer: PlannedObserver) {
    wait(&world, observer.start).await;
    for time in 0..observer.times {
        let (process, run) = {
            let mut world = world.lock();
            let runs = world.plan.runs.len() as u64;
            let run = usize::try_from(world.random.below(runs)).expect("an index");
            let name = format!("{:?} {number}.{time}", observer.role);
            (world.start_process(name), world.plan.runs[run].clone())
        };
        let here = ProcessHandle { world: world.clone(), id: process };
        let kind = match observer.role {
            ObserverRole::Reader => EncounterKind::Reader,
            ObserverRole::Validator => EncounterKind::Validator,
            ObserverRole::Consumer => EncounterKind::Consumer,
        };
        let job = async move {
            match observer.role {
                ObserverRole::Reader => observe(&here, &run).await,
                ObserverRole::Validator => judge(&here, &run).await,
                ObserverRole::Consumer => consume(&here, &run).await,
            }
        };
        let outcome = in_process(&world, process, job).await.unwrap_or("killed");
        let gap = {
            let mut world = world.lock();
            world.encounters.met(kind, outcome);
            world.random.up_to(observer.gap)
        };
        wait(&world, gap).await;
    }
}

/// Reads a run when no other process is active.
pub(super) async fn read_alone(world: &SharedWorld, run: usize) {
    let (here, run) = {
        let mut locked = world.lock();
        let process = locked.start_process("alone".to_owned());
        (ProcessHandle { world: world.clone(), id: process }, locked.plan.runs[run].clone())
    };
    let outcome = read(&here, &run).await;
    let mut world = world.lock();
    // A server that lost the content of an object still shows the object.
    let damaged = matches!(outcome, "Corrupt" | "Unavailable");
    if outcome != "read" && !(damaged && world.auditor.may_be_corrupt(&run.prefix)) {
        world.auditor.violate(format!("G05: {} cannot be read: {outcome}", run.prefix));
    }
}

/// Lists the runs, or reads one.
async fn observe(here: &ProcessHandle, run: &PlannedRun) -> &'static str {
    let lists = here.world.lock().random.happens(200);
    if lists { list(here, run).await } else { read(here, run).await }
}

async fn list(here: &ProcessHandle, run: &PlannedRun) -> &'static str {
    let partition = Place::of_partition(&run.key).to_string();
    let since = here.world.lock().auditor.snapshot(&run.prefix, &partition);
    let listed = here.sink().list_runs(&run.key).await;
    let mut world = here.world.lock();
    match listed {
        Ok(runs) => {
            let sealed = runs.iter().any(|found| found.run_id == run.id && found.sealed);
            world.auditor.listed(&run.prefix, since, sealed);
            "listed"
        }
        Err(error) => {
            world.auditor.refused(&run.prefix, since, error.kind(), false);
            error.kind().name()
        }
    }
}

async fn read(here: &ProcessHandle, run: &PlannedRun) -> &'static str {
    let partition = Place::of_partition(&run.key).to_string();
    let since = here.world.lock().auditor.snapshot(&run.prefix, &partition);
    let opened = here.sink().open_partition(&run.key, &run.id).await;
    let outcome = match opened {
        Ok(mut reader) => read_all(here, &mut reader).await.map(|rows| (reader, rows)),
        Err(error) => Err(error),
    };
    let mut world = here.world.lock();
    match outcome {
        Ok((reader, rows)) => {
            world.auditor.read(&seen(&run.prefix, &reader, &rows));
            "read"
        }
        Err(error) => {
            let misled = world.processes[here.id.0].misled;
            world.auditor.refused(&run.prefix, since, error.kind(), misled);
            let name = world.name_of(here.id);
            world.trace(&name, || format!("gets {error:?}"));
            error.kind().name()
        }
    }
}

fn seen<'s>(prefix: &'s str, reader: &'s PartitionReader, payload: &'s [u8]) -> ReadResult<'s> {
    let token = reader.seal().map_or("", |seal| seal.writer.as_str());
    ReadResult { prefix, token, attempt: reader.metadata().integer("attempt"), payload }
}

/// Reads to the end, by rows or by chunks.
async fn read_all(here: &ProcessHandle, reader: &mut PartitionReader) -> Result<BytesMut> {
    let by_rows = here.world.lock().random.happens(500);
    let mut payload = BytesMut::new();
    if by_rows {
        while let Some(row) = reader.next_row().await? {
            payload.put(row);
            payload.put_u8(b'\n');
        }
    } else {
        while let Some(chunk) = reader.next_chunk().await? {
            payload.put(chunk);
        }
    }
    Ok(payload)
}

async fn judge(here: &ProcessHandle, run: &PlannedRun) -> &'static str {
    let partition = Place::of_partition(&run.key).to_string();
    let since = here.world.lock().auditor.snapshot(&run.prefix, &partition);
    let sink = here.sink();
    let records = here.world.lock().random.happens(200);
    let missing = if records { Missing::Record } else { Missing::Error };
    let rules = Rules { missing, ..Rules::default() };
    let judged = validate::run(&sink, &MemoryState(here.clone()), &run.key, &run.id, rules).await;
    let mut world = here.world.lock();
    let misled = world.processes[here.id.0].misled;
    match judged {
        Ok(validation) if validation.passed() => "passed",
        // The run did not exist, and the caller asked to record that.
        Ok(_) if records && !since.sealed() => "missing recorded",
        Ok(validation) => {
            world.auditor.failed(&run.prefix, since, misled, &validation.faults);
            "failed"
        }
        Err(error) => {
            world.auditor.refused(&run.prefix, since, error.kind(), misled);
            error.kind().name()
        }
    }
}

async fn consume(here: &ProcessHandle, run: &PlannedRun) -> &'static str {
    let partition = Place::of_partition(&run.key).to_string();
    let since = here.world.lock().auditor.snapshot(&run.prefix, &partition);
    let sink = here.sink();
    let opened = open_current(&sink, &MemoryState(here.clone()), &run.key).await;
    let outcome = match opened {
        Ok(mut reader) => read_all(here, &mut reader).await.map(|rows| (reader, rows)),
        Err(error) => Err(error),
    };
    let mut world = here.world.lock();
    match outcome {
        Ok((reader, rows)) => {
            let id = reader.metadata().text("run_id").and_then(|id| id.parse().ok());
            world.auditor.consumed(&partition, since, id.as_ref());
            let read = world
                .plan
                .runs
                .iter()
                .find(|known| Some(&known.id) == id.as_ref() && known.key == run.key);
            if let Some(prefix) = read.map(|run| run.prefix.clone()) {
                world.auditor.read(&seen(&prefix, &reader, &rows));
            }
            "consumed"
        }
        Err(error) => {
            if error.kind() == rawsink::ErrorKind::NotFound {
                world.auditor.consumed(&partition, since, None);
            }
            error.kind().name()
        }
    }
}
