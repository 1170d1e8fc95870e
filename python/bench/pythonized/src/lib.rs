//! JSON text of Python objects by `pythonize`, for the bench.

use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

/// Python objects as text.
#[pymodule]
mod pythonized {
    use super::{Bound, PyAny, PyBytes, PyResult, PyValueError, Python, pyfunction};

    /// Returns the JSON text of `value`, with a line feed.
    #[pyfunction]
    fn line<'py>(py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut text = Vec::with_capacity(512);
        let mut from = pythonize::Depythonizer::from_object(value);
        let mut to = serde_json::Serializer::new(&mut text);
        serde_transcode::transcode(&mut from, &mut to)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        text.push(b'\n');
        Ok(PyBytes::new(py, &text))
    }
}
