//! Results as JSON text.

use pyo3::PyResult;
use serde::Serialize;

use crate::errors;

/// Returns a result as JSON text.
pub(crate) fn text(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(errors::bug)
}
