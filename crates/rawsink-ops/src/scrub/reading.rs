//! Reads one run and decides whether it is damaged.
//!
//! The first reading is the cheap one: one stream of the payload. Only if it shows a difference, the run
//! is read again, part by part, to confirm the difference and to name it. An error that says nothing
//! about the stored bytes is no difference.

use std::sync::Arc;

use super::{
    Condition, Damage, DamageKind, Event, Progress, ReadRun, Recorded, Recording,
    plan::{Expectation, Step, Target},
};
use crate::{
    bulk::Task,
    recording::{self, Found, Reached},
};
use rawsink::{
    consume,
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId},
    sink::{RawSink, sha256},
    state::{Change, Evidence, Outcome, PartitionState, Verdict},
};

/// Reads runs, each in its own task.
#[derive(Clone)]
pub(super) struct Reader {
    sink: RawSink,
    state: Arc<dyn PartitionState>,
    recording: Recording,
    progress: Progress,
}

impl Reader {
    pub(super) fn new(
        sink: &RawSink,
        state: &Arc<dyn PartitionState>,
        recording: Recording,
        progress: Progress,
    ) -> Self {
        Self { sink: sink.clone(), state: state.clone(), recording, progress }
    }

    pub(super) async fn take(self, step: Step) -> Vec<Result<Found<Event>>> {
        match step {
            Step::Emit(event) => vec![event.map(Found::Event)],
            Step::Read(target) => {
                vec![Task::spawn(async move { self.read(*target).await }).finish().await]
            }
        }
    }

    async fn read(&self, target: Target) -> Found<Event> {
        let Target { key, run, number, expectation } = target;
        let condition = match self.read_once(&key, &run, &expectation).await {
            Ok(()) => Ok(Condition::Intact),
            Err(error) if is_difference(&error) => self.confirm(&key, &run).await,
            Err(error) => Err(error),
        };
        let outcome = condition.map_err(|error| error.at(Place::of_run(&key, &run)));
        self.found(ReadRun { key, run, outcome, number })
    }

    /// Returns the result as an event or, if it is to be recorded, as a verdict.
    fn found(&self, read: ReadRun) -> Found<Event> {
        let verdict = match (&read.outcome, self.recording) {
            // A lost run may be an unmounted disk: as in a validation, it gets no verdict.
            (Ok(Condition::Damaged(damage)), Recording::Failures)
                if damage.kind != DamageKind::Lost =>
            {
                let outcome = Outcome::Failed(damage.detail.clone());
                Verdict::new(read.run.clone(), outcome).evidence(damage.evidence.clone())
            }
            _ => return Found::Event(Event::Read(Box::new(read))),
        };
        Found::Reached(Box::new(Reached {
            key: read.key.clone(),
            verdict,
            change: Change::Verdict,
            report: Box::new(move |recorded| Some(Event::Read(Box::new(read.after(recorded))))),
        }))
    }

    /// Reads the run to its end, where it is compared.
    async fn read_once(
        &self,
        key: &PartitionKey,
        run: &RunId,
        expectation: &Expectation,
    ) -> Result<()> {
        let mut reader = match expectation {
            Expectation::Validated(authority) => consume::open(&self.sink, key, authority).await?,
            Expectation::Sealed | Expectation::Withdrawn => {
                self.sink.open_partition(key, run).await?
            }
        };
        while let Some(chunk) = reader.next_chunk().await? {
            (self.progress)(chunk.len() as u64);
        }
        Ok(())
    }

    /// Reads a run part by part after a difference, with a fresh record: the run may have been
    /// repaired, validated or withdrawn since.
    async fn confirm(&self, key: &PartitionKey, run: &RunId) -> Result<Condition> {
        let expectation = match self.state.history(key).await {
            Ok(history) => Expectation::of(key, run, &history),
            // A malformed record, which is reported on its own.
            Err(error) if error.kind() == ErrorKind::Corrupt => Expectation::Sealed,
            Err(error) => return Err(error),
        };
        let has_authority = matches!(expectation, Expectation::Validated(_));
        let mut evidence = Evidence::default();
        let difference = self.difference(key, run, &expectation, &mut evidence).await?;
        Ok(match difference {
            None => Condition::Intact,
            Some((DamageKind::PayloadMissing | DamageKind::Lost, _))
                if matches!(expectation, Expectation::Withdrawn) =>
            {
                Condition::Erased
            }
            Some((kind, detail)) => Condition::Damaged(Box::new(Damage {
                kind,
                detail,
                has_authority,
                recorded: Recorded::No,
                evidence,
            })),
        })
    }

    /// Returns the first difference of a run and its description.
    async fn difference(
        &self,
        key: &PartitionKey,
        run: &RunId,
        expectation: &Expectation,
        evidence: &mut Evidence,
    ) -> Result<Option<(DamageKind, String)>> {
        let found = |kind, error: &Error| Ok(Some((kind, error.message().to_owned())));
        let document = match self.sink.document(key, run).await {
            Ok(document) => document,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return found(DamageKind::SealUnreadable, &error);
            }
            Err(error) if is_absence(&error) && !matches!(expectation, Expectation::Sealed) => {
                return found(DamageKind::Lost, &error);
            }
            // Its seal was deleted since the listing.
            Err(error) => return Err(error),
        };
        evidence.seal_sha256 = Some(sha256(&document));
        evidence.seal_bytes = Some(document.len() as u64);
        match self.sink.metadata(key, run).await {
            Ok((_, seal)) => evidence.seal_writer = seal.map(|seal| seal.writer),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return found(DamageKind::SealUnreadable, &error);
            }
            Err(error) => return Err(error),
        }
        if let Expectation::Validated(authority) = expectation
            && let Err(error) = authority.check(key, &document)
        {
            return found(DamageKind::SealReplaced, &error);
        }
        if self.sink.inspect(key, run).await?.payload.is_none() {
            let missing = "the run is sealed, but its payload is missing";
            return Ok(Some((DamageKind::PayloadMissing, missing.to_owned())));
        }
        match self.read_once(key, run, expectation).await {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                found(DamageKind::PayloadDiffers, &error)
            }
            Err(error) => Err(error),
        }
    }
}

impl ReadRun {
    /// Adds what became of its verdict.
    fn after(mut self, recorded: recording::Recorded) -> Self {
        if let Ok(Condition::Damaged(damage)) = &mut self.outcome {
            damage.recorded = match recorded {
                recording::Recorded::Now(..) => Recorded::Yes,
                recording::Recorded::Unchanged => Recorded::No,
                recording::Recorded::Failed(error) => Recorded::Failed(error),
                recording::Recorded::Abandoned => Recorded::Abandoned,
            };
        }
        self
    }
}

/// Returns whether a reading showed that the stored bytes are not the expected ones.
fn is_difference(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt || is_absence(error)
}

fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotSealed)
}
