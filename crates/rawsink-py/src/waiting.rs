//! How a call waits: without the interpreter, and checked for signals every 100 ms.

use std::{os::fd::RawFd, sync::Arc};

use pyo3::prelude::*;
use rawsink::{Error, ErrorKind, blocking};
use rustix::{process, thread};

use crate::{errors, events};

/// Returns what a waiting call checks: signals, which only the main thread may handle, and events to log.
pub(crate) fn check() -> blocking::Check {
    Arc::new(|| {
        let is_main = thread::gettid() == process::getpid();
        if !is_main && !events::are_waiting() {
            return Ok(());
        }
        Python::attach(|py| {
            events::log(py);
            if is_main { py.check_signals() } else { Ok(()) }
        })
        .map_err(|raised| Error::new(ErrorKind::Closed, "interrupted").because(raised))
    })
}

/// Runs a call of the library without the interpreter, then logs its events and converts its error.
pub(crate) fn call<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> rawsink::Result<T> + Send,
) -> PyResult<T> {
    let outcome = py.detach(work);
    events::log(py);
    outcome.map_err(|error| errors::raise(py, &error))
}

/// Returns the descriptors of run locks that this process inherited by a fork. They must be closed.
#[pyfunction]
pub(crate) fn inherited_locks() -> Vec<RawFd> {
    blocking::inherited_locks()
}
