//! How a call waits: without the interpreter, and checked for signals every 100 ms.

use std::{
    os::fd::RawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pyo3::prelude::*;
use rawsink::{Error, ErrorKind, blocking};
use rustix::{process, thread};

use crate::{errors, events};

/// How long threads may take to come back to an interpreter that is about to end.
const ARRIVAL: Duration = Duration::from_millis(50);

/// Returns what a waiting call checks: signals, which only the main thread may handle, and events to log.
pub(crate) fn check() -> blocking::Check {
    Arc::new(|| {
        let is_main = is_main_thread();
        if !is_main && (is_ending() || !events::are_waiting()) {
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
    let outcome = without_python(py, work);
    events::log(py);
    outcome.map_err(|error| errors::raise(py, &error))
}

fn is_main_thread() -> bool {
    thread::gettid() == process::getpid()
}

/// Whether the interpreter is about to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Returns whether the interpreter is about to end.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Acquire)
}

/// Runs some work without the interpreter.
///
/// An interpreter that ends kills a daemon thread that comes back to it, by an exception that must not pass
/// through Rust code. Such a thread stops here instead, and the process ends without it.
pub(crate) fn without_python<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    py.detach(|| {
        let done = work();
        while is_ending() && !is_main_thread() {
            std::thread::park();
        }
        done
    })
}

/// Notes that the interpreter is about to end, and lets threads that are coming back to it arrive.
#[pyfunction]
pub(crate) fn interpreter_ends(py: Python<'_>) {
    ENDING.store(true, Ordering::Release);
    py.detach(|| std::thread::sleep(ARRIVAL));
}

/// Returns the descriptors of run locks that this process inherited by a fork. They must be closed.
#[pyfunction]
pub(crate) fn inherited_locks() -> Vec<RawFd> {
    blocking::inherited_locks()
}
