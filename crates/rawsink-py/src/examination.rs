//! The examination of a run that Python reads, from a sink of other software.

use pyo3::prelude::*;
use rawsink::{
    Clock, Metadata, SystemClock,
    partition::row::DEFAULT_MAX_ROW_BYTES,
    state::{self, Record, Verdict},
    validate::{self, Gaps, HazardPolicy, Judgement, Missing, Rules},
};
use serde::Deserialize;

use crate::{
    errors, json,
    key::{self, Key},
    rows::{self, Fault},
};

/// Decides whether a run passes, from what Python reads.
#[pyclass(module = "rawsink._rawsink")]
pub(crate) struct Examination {
    examination: Option<validate::Examination>,
    text: Vec<u8>,
}

#[pymethods]
impl Examination {
    #[new]
    fn new(py: Python<'_>, key: Key, run_id: &str, strict: bool) -> PyResult<Self> {
        let (key, run) = key::run(py, &key, run_id)?;
        let rules = to_rules((strict, false, true));
        let examination = validate::Examination::new(&key, &run, rules, DEFAULT_MAX_ROW_BYTES);
        Ok(Self { examination: Some(examination), text: Vec::new() })
    }

    /// Takes the metadata. A value that is no JSON object fails the run.
    fn metadata(&mut self, metadata: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut text = Vec::new();
        let parsed = match rows::write(&mut text, metadata, None, None) {
            Ok(()) => Metadata::parse(&text).map_err(|error| error.message().to_owned()),
            Err(Fault::Refused(refusal)) => Err(format!("metadata: {}", refusal.reason())),
            Err(Fault::Raised(raised)) => return Err(raised),
        };
        let Some(examination) = &mut self.examination else { return Ok(()) };
        match parsed {
            Ok(metadata) => examination.metadata(&metadata),
            Err(fault) => examination.end_by(fault),
        }
        Ok(())
    }

    /// Takes the next row.
    fn row(&mut self, row: &Bound<'_, PyAny>) -> PyResult<()> {
        self.text.clear();
        let Some(examination) = &mut self.examination else { return Ok(()) };
        match rows::write(&mut self.text, row, None, None) {
            Ok(()) => examination.row(&self.text),
            Err(Fault::Refused(refusal)) => examination.refuse_row(&refusal.reason()),
            Err(Fault::Raised(raised)) => return Err(raised),
        }
        Ok(())
    }

    /// Notes why nothing more can be read.
    fn end_by(&mut self, fault: &str) {
        if let Some(examination) = &mut self.examination {
            examination.end_by(fault);
        }
    }

    /// Returns the verdict: run, why it failed, schema version and number of rows.
    fn finish(&mut self, py: Python<'_>) -> PyResult<Outcome> {
        let ended = || errors::closed(py, "this examination has ended");
        Ok(self.examination.take().ok_or_else(ended)?.finish().into())
    }
}

/// The verdict of an examination: run, why it failed, schema version, number of rows.
#[derive(FromPyObject, IntoPyObject)]
pub(crate) struct Outcome {
    #[pyo3(item)]
    run_id: String,
    #[pyo3(item)]
    failure: Option<String>,
    #[pyo3(item)]
    schema_version: Option<String>,
    #[pyo3(item)]
    record_count: u64,
}

impl From<Judgement> for Outcome {
    fn from(judgement: Judgement) -> Self {
        let Judgement { verdict, rows, .. } = judgement;
        let run_id = verdict.run_id.to_string();
        let (failure, schema_version) = match verdict.outcome {
            state::Outcome::Passed { schema_version, .. } => (None, schema_version),
            state::Outcome::Failed(failure) => (Some(failure), None),
        };
        Self { run_id, failure, schema_version, record_count: rows }
    }
}

impl Outcome {
    pub(crate) fn parse(self, py: Python<'_>) -> PyResult<Verdict> {
        let Self { run_id, failure, schema_version, record_count } = self;
        let run_id = run_id.parse().map_err(|error| errors::raise(py, &error))?;
        let outcome = match failure {
            None => state::Outcome::Passed { schema_version, record_count },
            Some(failure) => state::Outcome::Failed(failure),
        };
        Ok(Verdict::new(run_id, outcome))
    }
}

/// A record, from JSON.
#[derive(Deserialize)]
struct Given {
    status: String,
    current_run_id: Option<String>,
    schema_version: Option<String>,
    record_count: Option<u64>,
    updated_at: Option<String>,
    error_message: Option<String>,
    attempt_count: u64,
}

/// Parses a record.
pub(crate) fn record(py: Python<'_>, text: &str) -> PyResult<Record> {
    let given: Given = serde_json::from_str(text)
        .map_err(|fault| errors::invalid(py, format!("malformed record: {fault}")))?;
    let parsed = || -> rawsink::Result<Record> {
        let time = |text: String| {
            let wrong = |_| rawsink::Error::invalid(format!("updated_at {text:?} is not a time"));
            text.parse::<jiff::Timestamp>().map_err(wrong)
        };
        Ok(Record {
            status: given.status.parse()?,
            current_run_id: given.current_run_id.map(|run| run.parse()).transpose()?,
            schema_version: given.schema_version,
            record_count: given.record_count,
            updated_at: given.updated_at.map(time).transpose()?,
            error_message: given.error_message,
            attempt_count: given.attempt_count,
        })
    };
    parsed().map_err(|error| errors::raise(py, &error))
}

/// Returns the record after a verdict, as JSON: for a repository of other software.
#[pyfunction]
pub(crate) fn transition(
    py: Python<'_>,
    previous: Option<&str>,
    verdict: Outcome,
) -> PyResult<String> {
    let previous = previous.map(|previous| record(py, previous)).transpose()?;
    json::text(&state::transition(previous.as_ref(), &verdict.parse(py)?, SystemClock.now()))
}

/// Returns the rules of a validation, from the flags `strict`, `strict_rows` and `record_missing`.
pub(crate) fn to_rules((strict, strict_rows, record_missing): (bool, bool, bool)) -> Rules {
    Rules {
        gaps: if strict { Gaps::Refuse } else { Gaps::Warn },
        hazards: if strict_rows { HazardPolicy::Refuse } else { HazardPolicy::Warn },
        missing: if record_missing { Missing::Record } else { Missing::Error },
    }
}
