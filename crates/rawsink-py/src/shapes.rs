//! The types of rows, as JSON.

use pyo3::prelude::*;
use rawsink_ops::shape::Shape;

use crate::{errors, json};

/// Returns the types that hold the rows of all these types.
#[pyfunction]
pub(crate) fn join_shapes(shapes: Vec<String>) -> PyResult<String> {
    let mut joined = Shape::default();
    for shape in shapes {
        joined.join(&serde_json::from_str(&shape).map_err(errors::bug)?);
    }
    json::text(&joined)
}
