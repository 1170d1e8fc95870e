//! A value that one thread uses at a time, while others wait without the interpreter.

use std::{
    process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

use pyo3::{prelude::*, sync::MutexExt};
use rustix::thread::gettid;

/// No thread has this number.
const NOBODY: i32 = 0;

/// Why a value cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shut {
    /// A parent process made it.
    Inherited,
    /// This thread uses it already: a signal handler runs inside of a call.
    InUse,
    /// It was taken.
    Ended,
}

/// A value for one thread at a time. A forked child never gets it: the thread that has it may not exist there.
pub(crate) struct Gate<T> {
    value: Mutex<Option<T>>,
    process: u32,
    holder: AtomicI32,
}

/// The value, in use by this thread.
pub(crate) struct InUse<'g, T> {
    value: MutexGuard<'g, Option<T>>,
    holder: &'g AtomicI32,
}

impl<T> Gate<T> {
    pub(crate) fn new(value: T) -> Self {
        let (value, process) = (Mutex::new(Some(value)), process::id());
        Self { value, process, holder: AtomicI32::new(NOBODY) }
    }

    /// Waits for the value. It may have ended.
    fn enter(&self, py: Python<'_>) -> Result<InUse<'_, T>, Shut> {
        if self.process != process::id() {
            return Err(Shut::Inherited);
        }
        let this = gettid().as_raw_nonzero().get();
        if self.holder.load(Ordering::Acquire) == this {
            return Err(Shut::InUse);
        }
        let value = self.value.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        self.holder.store(this, Ordering::Release);
        Ok(InUse { value, holder: &self.holder })
    }

    /// Waits for the value and uses it. `work` must not call Python with the value in use, except through
    /// [`call`](crate::waiting::call).
    pub(crate) fn with<R>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Shut> {
        let mut entered = self.enter(py)?;
        entered.value.as_mut().map(work).ok_or(Shut::Ended)
    }

    /// Waits for the value and takes it.
    pub(crate) fn take(&self, py: Python<'_>) -> Result<T, Shut> {
        self.enter(py)?.value.take().ok_or(Shut::Ended)
    }
}

impl<T> Drop for InUse<'_, T> {
    fn drop(&mut self) {
        self.holder.store(NOBODY, Ordering::Release);
    }
}
