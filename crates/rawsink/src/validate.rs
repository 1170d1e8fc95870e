//! Judging a run and recording the verdict: the only way to authority.
//!
//! A run is read once, as a stream. It passes when its metadata agrees with its key, its run and
//! its rows, every line is a JSON object, and length, SHA-256 and count agree with the seal.
//! Missing contract fields are warnings, or faults when strict. `all` does so for every run that
//! waits for a verdict.

mod all;
mod shard;

use serde::Serialize;

pub use self::{
    all::{Event, Judged, Work, validate_all},
    shard::Shard,
};

use crate::{
    error::{Error, ErrorKind, Result},
    key::{PartitionKey, RunId},
    layout::Place,
    row,
    sink::{PartitionReader, RawSink},
    state::{Outcome, PartitionState, Record, Verdict},
};

/// How many faults a verdict names; the rest is counted.
const MAX_NAMED: usize = 10;

/// How a validator judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// What missing contract fields of the metadata mean.
    pub gaps: Gaps,
    /// What a run means that is not there or not sealed.
    pub missing: Missing,
}

/// What missing contract fields of the metadata mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// A warning.
    #[default]
    Warn,
    /// A fault.
    Refuse,
}

/// What a run means that is not there or not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// No verdict on data: an error of the call, and the state stays as it is.
    #[default]
    Error,
    /// A failure that is recorded.
    Record,
}

/// A verdict, and the record as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// Every fault found, or the first of them and how many more; empty when the run passed.
    pub faults: Vec<String>,
    /// What a complete metadata document would have and this one lacks.
    pub warnings: Vec<String>,
    /// Rows that were read.
    pub rows: u64,
    /// The record of the logical partition after the verdict.
    pub state: Record,
}

impl Validation {
    /// Tells whether the run passed.
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Judges a run and records the verdict.
///
/// # Errors
/// `NotFound` and `NotSealed` unless the rules record them, `Unsupported` where newer software
/// sealed, and the store's and the state's errors: then nothing was recorded.
pub async fn validate(
    sink: &RawSink,
    state: &dyn PartitionState,
    key: &PartitionKey,
    run: &RunId,
    rules: Rules,
) -> Result<Validation> {
    let Findings { faults, warnings, rows, schema_version } =
        examine(sink, key, run, rules).await?;
    let faults = faults.shown();
    let outcome = if faults.is_empty() {
        // Authority is given to what survives a power failure, whoever wrote it.
        sink.sync(key, run).await?;
        Outcome::Passed { schema_version, record_count: rows }
    } else {
        Outcome::Failed(faults.join("; "))
    };
    let verdict = Verdict { run_id: run.clone(), outcome };
    let judged = state.judge(key, &verdict, sink.surroundings().clock.now()).await;
    let state = judged.map_err(|error| error.at(Place::of_run(key, run)))?;
    Ok(Validation { faults, warnings, rows, state })
}

#[derive(Default)]
struct Findings {
    faults: Faults,
    warnings: Vec<String>,
    rows: u64,
    schema_version: Option<String>,
}

/// The first faults, and how many there are.
#[derive(Default)]
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

    fn shown(self) -> Vec<String> {
        let more = self.count - self.named.len();
        let mut shown = self.named;
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        shown
    }
}

async fn examine(
    sink: &RawSink,
    key: &PartitionKey,
    run: &RunId,
    rules: Rules,
) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut reader = match sink.open_partition(key, run).await {
        Ok(reader) => reader,
        Err(error) => {
            let fault = fault_of(error, rules.missing)?;
            findings.faults.add(|| fault);
            return Ok(findings);
        }
    };
    findings.schema_version = reader.metadata().text("schema_version");
    findings.warnings = reader.metadata().gaps();
    if let Err(error) = examine_rows(&mut reader, &mut findings, sink.max_row_bytes()).await {
        let fault = fault_of(error, rules.missing)?;
        findings.faults.add(|| fault);
    }
    // Without a good end the rows are not all known, and their fault is named already.
    let counted = reader.summary().map(|summary| summary.record_count);
    let stated = || reader.metadata().integer("record_count").unwrap_or(findings.rows);
    for contradiction in reader.metadata().contradictions(key, run, counted.unwrap_or_else(stated))
    {
        findings.faults.add(|| contradiction);
    }
    if rules.gaps == Gaps::Refuse {
        for gap in std::mem::take(&mut findings.warnings) {
            findings.faults.add(|| gap);
        }
    }
    Ok(findings)
}

async fn examine_rows(
    reader: &mut PartitionReader,
    findings: &mut Findings,
    max_row_bytes: usize,
) -> Result<()> {
    while let Some(rows) = reader.next_rows().await? {
        for line in rows.iter() {
            findings.rows += 1;
            if let Err(fault) = row::check(line, max_row_bytes) {
                let number = findings.rows;
                findings.faults.add(|| format!("line {number} {fault}"));
            }
        }
    }
    Ok(())
}

/// Returns what an error says about the data, or the error where it says nothing about it.
fn fault_of(error: Error, missing: Missing) -> Result<String> {
    match error.kind() {
        ErrorKind::Corrupt => Ok(error.message().to_owned()),
        ErrorKind::NotFound | ErrorKind::NotSealed if missing == Missing::Record => {
            Ok(error.message().to_owned())
        }
        _ => Err(error),
    }
}
