//! Repairs damaged runs of the destination from the same runs of the source.
//!
//! Owns what counts as damage, and the evidence that the source's bytes are the right ones: a payload is
//! replaced if both runs have the same `metadata.json`, a `metadata.json` only if the source's is the one
//! that the verdict log names. All bytes of the destination are read. A run without a seal is left to
//! an ordinary copy.

use bytes::Bytes;
use futures_util::StreamExt;
use rawsink::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{PartitionKey, RunId, Seal, metadata},
    sink::{PayloadSummary, RawSink, sha256},
    state::{Event, Evidence, PartitionState},
    store::ObjectInfo,
};
use serde::Serialize;

use super::{CopyFault, Progress};

/// What is damaged in a run of the destination, and what a repair writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What is wrong with `metadata.json`; `None` if it is intact.
    pub seal: Option<String>,
    /// What is wrong with the payload; `None` if it is intact.
    pub payload: Option<String>,
    /// Number of bytes that a repair writes.
    pub bytes: u64,
    /// Whether the newest verdict on the run is a failure: after the repair it has to be validated again.
    pub has_failed: bool,
}

/// The result of examining or repairing a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepairOutcome {
    /// All its bytes are right. It was made durable, and nothing was changed.
    Intact,
    /// The destination has no sealed run of this name. A copy, not a repair, creates it.
    Missing,
    /// It is damaged or not there, and an operator withdrew it. It is left alone.
    Withdrawn,
    /// It is damaged; a repair would write this.
    Damaged(Damage),
    /// It was repaired, and read to its end.
    Repaired(Damage),
}

impl RepairOutcome {
    /// Returns the outcome's name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Missing => "missing",
            Self::Withdrawn => "withdrawn",
            Self::Damaged(_) => "damaged",
            Self::Repaired(_) => "repaired",
        }
    }

    /// Returns what is or was damaged.
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Intact | Self::Missing | Self::Withdrawn => None,
            Self::Damaged(damage) | Self::Repaired(damage) => Some(damage),
        }
    }
}

/// Examines a run of the destination and writes nothing.
///
/// Reads the destination's payload, and the source's if the destination's is damaged. The state is read
/// only for a run that is damaged or not there.
///
/// # Errors
/// `Corrupt` if the source is damaged, or nothing shows that its bytes are the right ones; `NotFound`
/// and `NotSealed` if the source has no sealed run; `Closed` if `progress` stops it; the errors of the
/// stores and the state.
pub async fn plan_repair(
    from: &RawSink,
    to: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    run: &RunId,
    progress: &Progress,
) -> Result<RepairOutcome> {
    let repair = Repair { from, to, state, key, run, progress };
    let examined = repair.examine().await.map_err(|error| repair.here(error))?;
    Ok(match examined {
        Examined::Missing => RepairOutcome::Missing,
        Examined::Intact => RepairOutcome::Intact,
        Examined::Withdrawn => RepairOutcome::Withdrawn,
        Examined::Damaged(needed) => RepairOutcome::Damaged(needed.damage()),
    })
}

/// Examines a run of the destination, replaces its damaged objects and reads it again.
///
/// After an interruption, or any error, repeat the call.
///
/// # Errors
/// Those of [`plan_repair`], after which nothing is changed; those of
/// [`Store::restore`](rawsink::store::Store::restore); `Corrupt` if the run still differs afterwards.
pub async fn repair_run(
    from: &RawSink,
    to: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    run: &RunId,
    progress: &Progress,
) -> Result<RepairOutcome> {
    let repair = Repair { from, to, state, key, run, progress };
    repair.run().await.map_err(|error| repair.here(error))
}

/// One run in both sinks.
struct Repair<'a> {
    from: &'a RawSink,
    to: &'a RawSink,
    state: &'a dyn PartitionState,
    key: &'a PartitionKey,
    run: &'a RunId,
    progress: &'a Progress,
}

/// What the destination's run needs.
enum Examined {
    Missing,
    Intact,
    Withdrawn,
    Damaged(Needed),
}

/// The payload that belongs to the source's `metadata.json`.
struct Covered {
    payload: PayloadSummary,
    /// Whether a seal block or a validation covers it.
    is_certain: bool,
}

/// A repair whose bytes were verified in the source.
struct Needed {
    /// The right `metadata.json`.
    document: Bytes,
    /// The right payload.
    payload: PayloadSummary,
    /// SHA-256 of `metadata.json` in the verdict log, if it has to be replaced.
    validated: Option<String>,
    /// What is wrong with the payload, if it has to be replaced.
    payload_damage: Option<String>,
    has_failed: bool,
}

impl Needed {
    fn damage(&self) -> Damage {
        let seal = self.validated.as_ref().map(|_| "is not the validated one".to_owned());
        let seal_bytes = seal.as_ref().map_or(0, |_| self.document.len() as u64);
        let payload_bytes = self.payload_damage.as_ref().map_or(0, |_| self.payload.payload_bytes);
        let payload = self.payload_damage.clone();
        Damage { seal, payload, bytes: seal_bytes + payload_bytes, has_failed: self.has_failed }
    }
}

impl Repair<'_> {
    async fn run(&self) -> Result<RepairOutcome> {
        let needed = match self.examine().await? {
            Examined::Missing => return Ok(RepairOutcome::Missing),
            Examined::Intact => return self.intact().await,
            Examined::Withdrawn => return Ok(RepairOutcome::Withdrawn),
            Examined::Damaged(needed) => needed,
        };
        match self.restore(&needed).await {
            Ok(()) => {}
            // Another process repairs this run, or has done so.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                return match self.examine().await? {
                    Examined::Intact => self.intact().await,
                    _ => Err(error),
                };
            }
            Err(error) => return Err(error),
        }
        self.verify(&needed).await?;
        Ok(RepairOutcome::Repaired(needed.damage()))
    }

    /// Makes an intact run durable: its repair may have been interrupted before the sync.
    async fn intact(&self) -> Result<RepairOutcome> {
        self.to.sync(self.key, self.run).await?;
        Ok(RepairOutcome::Intact)
    }

    async fn examine(&self) -> Result<Examined> {
        let document = self.from.confirmed_document(self.key, self.run).await.map_err(of_source)?;
        let (_, block) = metadata::parse_sealed(&document).map_err(of_source)?;
        let there = self.to.inspect(self.key, self.run).await?;
        if there.seal.is_none() {
            let is_withdrawn = self.is_withdrawn().await?;
            return Ok(if is_withdrawn { Examined::Withdrawn } else { Examined::Missing });
        }
        let compared = self.compare(document, block.as_ref(), there.payload).await;
        let is_suspect = match &compared {
            Ok(needed) => needed.is_some(),
            Err(error) => error.kind() == ErrorKind::Corrupt,
        };
        // Withdrawn data may be about to be erased.
        if is_suspect && self.is_withdrawn().await? {
            return Ok(Examined::Withdrawn);
        }
        let Some(needed) = compared? else { return Ok(Examined::Intact) };
        if needed.payload_damage.is_some() && self.read_source().await? != needed.payload {
            return Err(Error::corrupt("the source changed while it was read"));
        }
        Ok(Examined::Damaged(needed))
    }

    async fn is_withdrawn(&self) -> Result<bool> {
        Ok(self.state.history(self.key).await?.withdrawal(self.run).is_some())
    }

    /// Compares the destination's run with the source's `metadata.json` and what it covers; `None` if it is
    /// intact.
    async fn compare(
        &self,
        document: Bytes,
        block: Option<&Seal>,
        there: Option<ObjectInfo>,
    ) -> Result<Option<Needed>> {
        let validated = self.seal_to_restore(&document).await?;
        let covered = match block {
            Some(block) => Covered { payload: block.into(), is_certain: true },
            None => self.covered_without_block(&document).await?,
        };
        let payload_damage = self.payload_damage(&covered, there).await?;
        if validated.is_none() && payload_damage.is_none() {
            return Ok(None);
        }
        let history = self.state.history(self.key).await?;
        let verdict = history.verdict(self.run);
        let has_failed = verdict.is_some_and(|verdict| verdict.event == Event::Failed);
        let payload = covered.payload;
        Ok(Some(Needed { document, payload, validated, payload_damage, has_failed }))
    }

    /// Returns the SHA-256 of the validated `metadata.json` if the source has it and the destination has
    /// another; `None` if both have the same.
    async fn seal_to_restore(&self, document: &Bytes) -> Result<Option<String>> {
        let mut tries = 0;
        let theirs = loop {
            let read = self.to.document(self.key, self.run).await;
            if read.is_ok_and(|theirs| theirs == *document) {
                return Ok(None);
            }
            match self.to.confirmed_document(self.key, self.run).await {
                // Another repair may have replaced it meanwhile.
                Err(error) if error.kind() == ErrorKind::Unavailable && tries < 2 => tries += 1,
                found => break found,
            }
        };
        let theirs = match theirs {
            Ok(theirs) if theirs == *document => return Ok(None),
            Ok(theirs) => Some(sha256(&theirs)),
            // It is longer than any seal.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        let ours = sha256(document);
        let message = match self.validated().await?.and_then(|evidence| evidence.seal_sha256) {
            Some(validated) if validated == ours => return Ok(Some(validated)),
            Some(validated) if Some(&validated) == theirs.as_ref() => {
                "metadata.json differs, and the destination's is the validated one: the source is \
                 another run with the same id"
            }
            Some(_) => "metadata.json differs, and neither one is the validated one",
            None => {
                let message = "metadata.json differs, and the verdict log does not show which one \
                               was validated";
                return Err(Error::corrupt(message).because(CopyFault::NoEvidence));
            }
        };
        Err(Error::corrupt(message))
    }

    /// Returns the payload of a source whose `metadata.json` has no seal block.
    async fn covered_without_block(&self, document: &[u8]) -> Result<Covered> {
        let payload = self.read_source().await?;
        let evidence = self.validated().await?.filter(|evidence| {
            evidence.seal_sha256.as_ref().is_some_and(|validated| *validated == sha256(document))
        });
        let validated = evidence.and_then(|evidence| evidence.payload_sha256);
        if validated.as_ref().is_some_and(|validated| *validated != payload.payload_sha256) {
            return Err(Error::corrupt(
                "the source is damaged: its payload is not the validated one",
            ));
        }
        Ok(Covered { payload, is_certain: validated.is_some() })
    }

    /// Compares the destination's payload with the one that the seal covers; returns what is wrong.
    async fn payload_damage(
        &self,
        covered: &Covered,
        there: Option<ObjectInfo>,
    ) -> Result<Option<String>> {
        let Some(there) = there else { return Ok(Some("is missing".to_owned())) };
        let sealed = covered.payload.payload_bytes;
        let damage = if there.bytes == sealed {
            let mut progress = |bytes| (self.progress)(bytes);
            match self.to.summarize_payload(self.key, self.run, &mut progress).await? {
                Some(found) if found == covered.payload => return Ok(None),
                Some(_) => "has other bytes".to_owned(),
                None => return Ok(Some("is missing".to_owned())),
            }
        } else {
            format!("has {} bytes instead of {sealed}", there.bytes)
        };
        if covered.is_certain {
            return Ok(Some(damage));
        }
        let message = format!(
            "the payload {damage}: without a seal block, and without a validation in the verdict log, \
             nothing shows which one is right"
        );
        Err(Error::corrupt(message).because(CopyFault::NoEvidence))
    }

    /// Reads the source to its end, where it is compared with its seal.
    async fn read_source(&self) -> Result<PayloadSummary> {
        self.read(self.from).await.map_err(of_source)
    }

    async fn read(&self, sink: &RawSink) -> Result<PayloadSummary> {
        let mut reader = sink.open_partition(self.key, self.run).await?;
        while let Some(chunk) = reader.next_chunk().await? {
            if (self.progress)(chunk.len() as u64).is_break() {
                return Err(stopped());
            }
        }
        reader.drain().await
    }

    async fn restore(&self, needed: &Needed) -> Result<()> {
        let (key, run, document) = (self.key, self.run, &needed.document);
        if let Some(validated) = &needed.validated {
            self.to.restore_document(key, run, document.clone(), validated).await?;
        }
        if needed.payload_damage.is_none() {
            return Ok(());
        }
        let reader = self.from.open_partition(key, run).await.map_err(of_source)?;
        let progress = self.progress.clone();
        let chunks = reader.into_chunks().map(move |chunk| match chunk {
            Ok(chunk) if progress(chunk.len() as u64).is_break() => Err(stopped()),
            chunk => chunk.map_err(of_source),
        });
        self.to.restore_payload(key, run, document.clone(), &needed.payload, chunks.boxed()).await
    }

    /// Reads the repaired run from the destination.
    async fn verify(&self, needed: &Needed) -> Result<()> {
        let document = self.to.document(self.key, self.run).await?;
        if document == needed.document && self.read(self.to).await? == needed.payload {
            return Ok(());
        }
        Err(Error::corrupt("the run was repaired and still differs: another process changes it"))
    }

    /// Returns what the newest validation that passed has read.
    async fn validated(&self) -> Result<Option<Evidence>> {
        let history = self.state.history(self.key).await?;
        Ok(history.passed(self.run).map(|entry| entry.evidence.clone()))
    }

    fn here(&self, error: Error) -> Error {
        error.at(Place::of_run(self.key, self.run))
    }
}

/// Names the source in the error of a damaged one.
fn of_source(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt => Error::corrupt(format!("the source is damaged: {}", error.message())),
        _ => error,
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Closed, "the repair was stopped")
}
