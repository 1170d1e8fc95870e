//! Converts errors of the library into the exceptions of the package, which Python code defines.

use pyo3::{exceptions::PyRuntimeError, prelude::*, sync::PyOnceLock, types::PyDict};
use rawsink::{
    Error, ErrorKind,
    env::variable_of,
    layout::Place,
    partition::row::{RefusedRow, RowFault},
    state::StateFault,
};

/// Returns the exception of an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let source = std::error::Error::source(error);
    // The exception of a signal handler is raised unchanged.
    if let Some(raised) = source.and_then(|source| source.downcast_ref::<PyErr>()) {
        return raised.clone_ref(py);
    }
    match exception(py, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(fault) => fault,
    }
}

/// Returns the exception of an error, as an object.
pub(crate) fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static CREATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let create = CREATE.import(py, "rawsink._errors", "create")?;
    let facts = PyDict::new(py);
    facts.set_item("kind", error.kind().name())?;
    facts.set_item("message", error.message())?;
    facts.set_item("retryable", error.kind().is_retryable())?;
    facts.set_item("path", error.path())?;
    facts.set_item("variable", error.setting().and_then(variable_of))?;
    let place = error.place().and_then(|place| Place::parse(place, "").ok());
    let partition = place.as_ref().map(|place| {
        place.partition().map_or_else(|| place.clone(), |key| Place::of_partition(&key)).to_string()
    });
    facts.set_item("partition", partition)?;
    let run = place.as_ref().and_then(Place::run);
    facts.set_item("run_id", run.as_ref().map(ToString::to_string))?;
    facts.set_item("withdrawn", StateFault::of(error) == Some(StateFault::RunWithdrawn))?;
    if let Some(refused) = RefusedRow::of(error) {
        facts.set_item("line", refused.line)?;
        let fault = matches!(refused.fault, RowFault::NotSerialisable(_));
        facts.set_item("not_serialisable", fault)?;
    }
    create.call((), Some(&facts))
}

/// Returns the exception of a message of this crate.
pub(crate) fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    raise(py, &Error::invalid(message))
}

/// Returns the exception of an ended writer or reader.
pub(crate) fn closed(py: Python<'_>, message: &str) -> PyErr {
    raise(py, &Error::new(ErrorKind::Closed, message))
}

/// Returns the exception of a bug.
pub(crate) fn bug(fault: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(format!("rawsink: {fault}"))
}
