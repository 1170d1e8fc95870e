//! Validates a run and records the verdict: the only way to authority.
//!
//! A run is read once, as a stream. It passes when its metadata agrees with its key, its run and
//! its rows, every line is a JSON object, and length, SHA-256 and count agree with the seal.
//! Missing recommended fields are warnings, or faults under strict rules.

use serde::Serialize;

use crate::{
    error::{Error, ErrorKind, Result},
    layout::Place,
    partition::{
        Metadata, PartitionKey, RunId,
        row::{HazardCount, HazardCounts, RowChecker, RowFault},
    },
    sink::{PartitionReader, RawSink},
    state::{self, Evidence, Outcome, PartitionState, Record, Verdict},
};

/// Maximum number of faults that a verdict names; the rest is counted.
const MAX_NAMED: usize = 10;

/// The rules of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// How to treat missing recommended fields of the metadata.
    pub gaps: Gaps,
    /// How to treat rows that common readers cannot read.
    pub hazards: HazardPolicy,
    /// How to treat a run that does not exist or is not sealed.
    pub missing: Missing,
}

/// How to treat missing recommended fields of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// A warning.
    #[default]
    Warn,
    /// A fault.
    Refuse,
}

/// How to treat rows that common readers cannot read, or read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HazardPolicy {
    /// A warning for each kind.
    #[default]
    Warn,
    /// A fault for each kind.
    Refuse,
}

/// How to treat a run that does not exist or is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// Return an error and do not change the state.
    #[default]
    Error,
    /// Record a failure.
    Record,
}

/// A verdict and the record after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// The faults found, or the first ten and the number of the others; empty if the run passed.
    pub faults: Vec<String>,
    /// Contract fields that the metadata lacks.
    pub warnings: Vec<String>,
    /// Rows that common readers cannot read, or read differently, by kind.
    pub hazards: Vec<HazardCount>,
    /// Number of rows read.
    pub rows: u64,
    /// Record of the logical partition after the verdict.
    pub state: Record,
    /// Which run has authority after the verdict.
    pub authority: Holder,
}

/// Which run has authority after a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The run that was validated.
    ThisRun,
    /// A newer run, or an older one after a failure.
    OtherRun,
    /// A run whose id is a time [in the future](RawSink::is_future): until it is withdrawn, no run of
    /// today gets authority.
    FutureRun,
    /// A newer run that consumers cannot read: it does not exist as it was validated.
    LostRun,
    /// No run.
    NoRun,
}

impl Validation {
    /// Returns whether the run passed.
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns whether there are warnings. Hazards that are faults are none.
    pub fn has_warnings(&self) -> bool {
        !self.warnings.is_empty() || (self.passed() && !self.hazards.is_empty())
    }

    /// Returns whether the run passed, and a run that should not have authority keeps it.
    pub fn is_blocked(&self) -> bool {
        self.passed() && matches!(self.authority, Holder::FutureRun | Holder::LostRun)
    }
}

/// What a validation found, before it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The faults found, or the first ten and the number of the others; empty if the run passed.
    pub faults: Vec<String>,
    /// Contract fields that the metadata lacks.
    pub warnings: Vec<String>,
    /// Rows that common readers cannot read, or read differently, by kind.
    pub hazards: Vec<HazardCount>,
    /// Number of rows read.
    pub rows: u64,
}

impl Judgement {
    /// Returns whether the run passed.
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }

    /// Adds the record after the verdict, and which run has authority.
    pub fn recorded(self, state: Record, authority: Holder) -> Validation {
        let Self { faults, warnings, hazards, rows, .. } = self;
        Validation { faults, warnings, hazards, rows, state, authority }
    }
}

/// Validates a run and records the verdict.
///
/// A failure is recorded only if the bytes that were read are those of the stored run. A failure of the
/// run that has authority is recorded only after a second reading.
///
/// # Errors
/// `NotFound` and `NotSealed` unless the rules record them, `Unsupported` if newer software sealed
/// the run, `Invalid` if an operator withdrew it, `Unavailable` if the server answered with other bytes
/// than the stored ones, and the errors of the store and the state. After an error nothing is recorded.
pub async fn run(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    run: &RunId,
    rules: Rules,
) -> Result<Validation> {
    let here = |error: Error| error.at(Place::of_run(key, run));
    let history = state.history(key).await.map_err(here)?;
    if let Some(withdrawal) = history.withdrawal(run) {
        return Err(here(state::run_withdrawn(Some(withdrawal))));
    }
    let mut judgement = judge(sink, key, run, rules).await?;
    let has_authority = history.record().and_then(Record::authoritative_run) == Some(run);
    if has_authority && !judgement.passed() {
        judgement = judge(sink, key, run, rules).await?;
    }
    if judgement.passed() {
        // Another writer's run may not be durable yet; authority requires that it survives a power
        // failure.
        sink.sync(key, run).await?;
    }
    let recorded = state.judge(key, &judgement.verdict, sink.runtime().clock.now()).await;
    let record = recorded.map_err(here)?;
    let holder = holder(sink, state, key, &judgement.verdict, &record).await;
    Ok(judgement.recorded(record, holder))
}

/// Returns which run has authority after a verdict, with the record after it.
///
/// If another run keeps authority from one that passed, this costs one check of that run.
pub async fn holder(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    verdict: &Verdict,
    record: &Record,
) -> Holder {
    let passed = matches!(verdict.outcome, Outcome::Passed { .. });
    match record.authoritative_run() {
        None => Holder::NoRun,
        Some(current) if *current == verdict.run_id => Holder::ThisRun,
        Some(current) if sink.is_future(current) => Holder::FutureRun,
        Some(current) if passed && is_lost(sink, state, key, current).await => Holder::LostRun,
        Some(_) => Holder::OtherRun,
    }
}

/// Returns whether a run that has authority does not exist with the lengths that were validated. After
/// an error nothing is known, and the verdict was recorded.
async fn is_lost(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    run: &RunId,
) -> bool {
    let (found, history) = (sink.inspect(key, run).await, state.history(key).await);
    let (Ok(found), Ok(history)) = (found, history) else { return false };
    let evidence = history.passed(run).map(|entry| &entry.evidence);
    let differs = |found: Option<u64>, validated: Option<u64>| {
        found.is_none() || (validated.is_some() && validated != found)
    };
    let (seal, payload) = (found.seal.map(|seal| seal.bytes), found.payload.map(|file| file.bytes));
    differs(seal, evidence.and_then(|evidence| evidence.seal_bytes))
        || differs(payload, evidence.and_then(|evidence| evidence.payload_bytes))
}

/// Reads a run once and decides whether it passes. Records nothing, and does not make the run durable.
///
/// # Errors
/// As [`run`], except those of the state.
pub async fn judge(
    sink: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    rules: Rules,
) -> Result<Judgement> {
    let mut examination = Examination::new(key, run, rules, sink.max_row_bytes());
    let mut reader = match sink.open_partition(key, run).await {
        Ok(reader) => reader,
        Err(error) => {
            examination.end_by(as_data_fault(error, rules.missing)?);
            return Ok(examination.finish());
        }
    };
    examination.metadata(reader.metadata());
    if let Err(error) = examine_rows(&mut reader, &mut examination).await {
        examination.end_by(as_data_fault(error, rules.missing)?);
    }
    let evidence = evidence(&reader);
    let mut judgement = examination.finish();
    judgement.verdict = judgement.verdict.evidence(evidence);
    if !judgement.passed() {
        // The reader confirmed only the errors that it returned.
        reader.confirm().await?;
    }
    Ok(judgement)
}

async fn examine_rows(reader: &mut PartitionReader, examination: &mut Examination) -> Result<()> {
    while let Some(rows) = reader.next_rows().await? {
        for line in rows.iter() {
            examination.row(line);
        }
    }
    Ok(())
}

/// Decides whether a run passes, from what its caller reads.
///
/// [`judge`] uses it for a run of a [`RawSink`]. A caller with other readers passes the metadata and every
/// row, or the reason why it cannot read further.
#[derive(Debug)]
pub struct Examination {
    key: PartitionKey,
    run: RunId,
    rules: Rules,
    checker: RowChecker,
    metadata: Option<Metadata>,
    faults: Faults,
    hazards: HazardCounts,
    rows: u64,
    /// Whether the rows ended too early.
    is_cut: bool,
}

impl Examination {
    /// Starts the examination of a run. Rows may have up to `max_row_bytes` bytes.
    pub fn new(key: &PartitionKey, run: &RunId, rules: Rules, max_row_bytes: usize) -> Self {
        Self {
            key: key.clone(),
            run: run.clone(),
            rules,
            checker: RowChecker::new(max_row_bytes),
            metadata: None,
            faults: Faults::default(),
            hazards: HazardCounts::default(),
            rows: 0,
            is_cut: false,
        }
    }

    /// Takes the caller's metadata of the run, without the seal block.
    pub fn metadata(&mut self, metadata: &Metadata) {
        self.metadata = Some(metadata.clone());
    }

    /// Takes the next row, without its line feed.
    pub fn row(&mut self, line: &[u8]) {
        self.rows += 1;
        let number = self.rows;
        match self.checker.check(line) {
            Ok(hazards) if hazards.is_empty() => {}
            Ok(hazards) => self.hazards.note(number, hazards),
            Err(fault) => self.faults.add(|| format!("line {number} {fault}")),
        }
    }

    /// Takes the next row, which the caller cannot serialise. This fails the run.
    pub fn refuse_row(&mut self, reason: &str) {
        self.rows += 1;
        let number = self.rows;
        let fault = RowFault::NotSerialisable(reason.to_owned());
        self.faults.add(|| format!("line {number} {fault}"));
    }

    /// Notes why nothing more of the run can be read. This fails the run.
    pub fn end_by(&mut self, fault: impl Into<String>) {
        self.is_cut = true;
        self.faults.add(|| fault.into());
    }

    /// Returns the judgement, without evidence.
    pub fn finish(self) -> Judgement {
        let Self { key, run, rules, metadata, mut faults, hazards, rows, is_cut, .. } = self;
        let (mut warnings, mut schema_version) = (Vec::new(), None);
        if let Some(metadata) = metadata {
            schema_version = metadata.text("schema_version");
            warnings = metadata.gaps();
            // The number of rows is unknown if they ended too early, and that fault is already named.
            let stated = metadata.integer("record_count").filter(|_| is_cut);
            for contradiction in metadata.contradictions(&key, &run, stated.unwrap_or(rows)) {
                faults.add(|| contradiction);
            }
        }
        if rules.gaps == Gaps::Refuse {
            for gap in std::mem::take(&mut warnings) {
                faults.add(|| gap);
            }
        }
        if rules.hazards == HazardPolicy::Refuse {
            for hazard in hazards.iter() {
                faults.add(|| hazard.to_string());
            }
        }
        let faults = faults.into_summary();
        let outcome = if faults.is_empty() {
            Outcome::Passed { schema_version, record_count: rows }
        } else {
            Outcome::Failed(faults.join("; "))
        };
        let verdict = Verdict::new(run, outcome);
        Judgement { verdict, faults, warnings, hazards: hazards.iter().collect(), rows }
    }
}

/// The first faults, and the number of all.
#[derive(Debug, Default)]
struct Faults {
    named: Vec<String>,
    count: usize,
}

impl Faults {
    fn add(&mut self, fault: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(fault());
        }
    }

    fn into_summary(self) -> Vec<String> {
        let more = self.count - self.named.len();
        let mut summary = self.named;
        if more > 0 {
            summary.push(format!("and {more} more"));
        }
        summary
    }
}

/// Returns SHA-256 and length of `metadata.json` and, if it was read to the end and matches the seal, of
/// the payload.
fn evidence(reader: &PartitionReader) -> Evidence {
    let summary = reader.summary();
    Evidence {
        seal_sha256: Some(reader.document_sha256()),
        seal_bytes: Some(reader.document().len() as u64),
        seal_writer: reader.seal().map(|seal| seal.writer.clone()),
        payload_sha256: summary.map(|summary| summary.payload_sha256.clone()),
        payload_bytes: summary.map(|summary| summary.payload_bytes),
    }
}

/// Returns the message of an error that is about the data, or the error if it is not.
fn as_data_fault(error: Error, missing: Missing) -> Result<String> {
    match error.kind() {
        ErrorKind::Corrupt => Ok(error.message().to_owned()),
        ErrorKind::NotFound | ErrorKind::NotSealed if missing == Missing::Record => {
            Ok(error.message().to_owned())
        }
        _ => Err(error),
    }
}
