//! The examination of a run that Python reads, from a sink of other software.

use pyo3::prelude::*;
use rawsink::{
    Clock, Metadata, SystemClock,
    partition::row::DEFAULT_MAX_ROW_BYTES,
    state::{self, Record, Verdict},
    validate,
};
use serde::Deserialize;

use crate::{
    errors, json,
    key::{self, Key},
    rows::{self, Fault},
    sink::to_rules,
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

    /// Takes the metadata. What is no JSON object fails the run.
    fn metadata(&mut self, metadata: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut text = Vec::new();
        let parsed = match rows::write(&mut text, metadata, None) {
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
        // A value without JSON text leaves a text that is no row.
        match rows::write(&mut self.text, row, None) {
            Ok(()) | Err(Fault::Refused(_)) => {}
            Err(Fault::Raised(raised)) => return Err(raised),
        }
        if let Some(examination) = &mut self.examination {
            examination.row(&self.text);
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
        let judgement = self.examination.take().ok_or_else(ended)?.finish();
        let run_id = judgement.verdict.run_id.to_string();
        Ok(match judgement.verdict.outcome {
            state::Outcome::Passed { schema_version, record_count } => {
                Outcome { run_id, failure: None, schema_version, record_count }
            }
            state::Outcome::Failed(failure) => Outcome {
                run_id,
                failure: Some(failure),
                schema_version: None,
                record_count: judgement.rows,
            },
        })
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
