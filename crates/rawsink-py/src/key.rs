//! Names: partitions, runs, selections and settings, from Python values.

use pyo3::{prelude::*, types::PyAny};
use rawsink::{
    Clock, Error, PartitionKey, Result, RunId, SystemClock, env::VARIABLES, layout::Place,
    partition::Selection,
};

use crate::errors;

/// A logical partition: any object with the four attributes.
#[derive(FromPyObject)]
pub(crate) struct Key {
    source: String,
    customer_id: String,
    query_name: String,
    logical_date: Day,
}

impl Key {
    pub(crate) fn parse(&self) -> Result<PartitionKey> {
        let Self { source, customer_id, query_name, logical_date } = self;
        PartitionKey::new(source, customer_id, query_name, &logical_date.0)
    }
}

/// A day as ISO text, from text or a `datetime.date`.
pub(crate) struct Day(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Day {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.extract::<String>() {
            return Ok(Self(text));
        }
        Ok(Self(value.call_method0("isoformat")?.extract()?))
    }
}

/// Which logical partitions to work on: source, customer, query, first and last day.
#[derive(FromPyObject)]
pub(crate) struct Choice(Option<String>, Option<String>, Option<String>, Option<Day>, Option<Day>);

impl Choice {
    pub(crate) fn parse(self) -> Result<Selection> {
        let Self(source, customer_id, query_name, since, until) = self;
        let day = |day: Option<Day>| day.map(|day| day.0.parse()).transpose();
        Ok(Selection { source, customer_id, query_name, since: day(since)?, until: day(until)? })
    }
}

/// Checks the names of a logical partition and returns its canonical path.
#[pyfunction]
pub(crate) fn check_key(
    py: Python<'_>,
    source: &str,
    customer_id: &str,
    query_name: &str,
    logical_date: &str,
) -> PyResult<String> {
    let key = PartitionKey::new(source, customer_id, query_name, logical_date);
    let key = key.map_err(|error| errors::raise(py, &error))?;
    Ok(Place::of_partition(&key).to_string())
}

/// Returns a run id for a time, or for this moment.
#[pyfunction]
#[pyo3(signature = (at=None))]
pub(crate) fn new_run_id(py: Python<'_>, at: Option<&str>) -> PyResult<String> {
    let Some(at) = at else { return Ok(RunId::at(SystemClock.now()).to_string()) };
    let time = at.parse().map_err(|_| {
        let message =
            format!("{at:?} is not a time with a zone, such as 2024-06-01T00:00:00+00:00");
        errors::raise(py, &Error::invalid(message))
    })?;
    Ok(RunId::at(time).to_string())
}

/// Returns source, customer, query, day and run of a canonical path; `None` for those it does not name.
#[pyfunction]
pub(crate) fn parse_path(py: Python<'_>, path: &str, root: &str) -> PyResult<[Option<String>; 5]> {
    let place = Place::parse(path, root).map_err(|error| errors::raise(py, &error))?;
    let mut values = place.values().map(str::to_owned);
    Ok(std::array::from_fn(|_| values.next()))
}

/// Returns the names of all settings.
#[pyfunction]
pub(crate) fn variables() -> Vec<&'static str> {
    VARIABLES.iter().map(|variable| variable.name).collect()
}

/// Returns the names of a logical partition.
pub(crate) fn names(key: &PartitionKey) -> [String; 4] {
    let [source, customer_id, query_name] =
        [key.source(), key.customer_id(), key.query_name()].map(str::to_owned);
    [source, customer_id, query_name, key.logical_date().to_string()]
}

/// Parses key and run.
pub(crate) fn run(py: Python<'_>, key: &Key, run_id: &str) -> PyResult<(PartitionKey, RunId)> {
    let parsed = key.parse().and_then(|key| Ok((key, run_id.parse()?)));
    parsed.map_err(|error| errors::raise(py, &error))
}

/// Parses a key.
pub(crate) fn partition(py: Python<'_>, key: &Key) -> PyResult<PartitionKey> {
    key.parse().map_err(|error| errors::raise(py, &error))
}

/// Parses a selection.
pub(crate) fn selection(py: Python<'_>, choice: Choice) -> PyResult<Selection> {
    choice.parse().map_err(|error| errors::raise(py, &error))
}
