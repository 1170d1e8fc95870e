//! The native part of the Python package `rawsink`: converts values and waits. It has no rules.
//!
//! Results cross the border as JSON text, which the Python code turns into its data classes. The thread
//! that called from Python does all the waiting, without holding the interpreter. **No thread of this
//! library ever calls Python**: a thread that enters an interpreter while it shuts down kills the
//! process.

mod errors;
mod events;
mod examination;
mod gate;
mod json;
mod key;
mod landed;
mod names;
mod reader;
mod rows;
mod shapes;
mod sink;
mod state;
mod stream;
mod waiting;
mod writer;

use std::sync::OnceLock;

use pyo3::{exceptions::PyImportError, ffi, prelude::*};

/// The native part of the package `rawsink`. Private: use the package.
#[pymodule]
mod _rawsink {
    use super::{PyModule, PyModuleMethods, PyResult, check_interpreter, events};
    use pyo3::Bound;

    #[pymodule_export]
    use super::{
        events::{drain_events, set_log_level},
        examination::{Examination, transition},
        key::{check_key, new_run_id, parse_path, variables},
        reader::PartitionReader,
        rows::dumps,
        shapes::join_shapes,
        sink::Sink,
        state::State,
        stream::Events,
        waiting::{inherited_locks, interpreter_ends},
        writer::PartitionWriter,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        check_interpreter()?;
        events::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Refuses a second interpreter of the process: what one of them caches does not belong to the other.
fn check_interpreter() -> PyResult<()> {
    static FIRST: OnceLock<i64> = OnceLock::new();
    #[expect(unsafe_code, reason = "these calls have no safe form; the interpreter is attached")]
    let this = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if *FIRST.get_or_init(|| this) == this {
        return Ok(());
    }
    let message = "rawsink is in use by another interpreter of this process";
    Err(PyImportError::new_err(message))
}
