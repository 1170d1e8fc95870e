//! A value that one thread uses at a time, while others wait without the interpreter.

use std::{
    process,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use pyo3::prelude::*;
use rustix::thread::gettid;

use crate::waiting;

/// No thread has this number.
const NOBODY: i32 = 0;

/// How often a thread that waits handles signals.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Why a value cannot be used.
pub(crate) enum Shut {
    /// A parent process made it.
    Inherited,
    /// This thread uses it already: a signal handler runs inside of a call.
    InUse,
    /// It was taken.
    Ended,
    /// A signal handler raised this while the thread waited.
    Raised(PyErr),
}

/// A value for one thread at a time. A forked child neither gets nor drops it: the thread that uses it may
/// not exist there.
pub(crate) struct Gate<T> {
    value: Mutex<Option<T>>,
    is_in_use: Mutex<bool>,
    free: Condvar,
    process: u32,
    holder: AtomicI32,
}

/// The value, in use by this thread.
struct InUse<'g, T>(&'g Gate<T>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Gate<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(Some(value)),
            is_in_use: Mutex::new(false),
            free: Condvar::new(),
            process: process::id(),
            holder: AtomicI32::new(NOBODY),
        }
    }

    /// Returns whether this process made the value.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == process::id()
    }

    /// Waits until no other thread uses the value.
    fn enter(&self, py: Python<'_>) -> Result<InUse<'_, T>, Shut>
    where
        T: Send,
    {
        if !self.is_ours() {
            return Err(Shut::Inherited);
        }
        let this = gettid().as_raw_nonzero().get();
        if self.holder.load(Ordering::Acquire) == this {
            return Err(Shut::InUse);
        }
        while !self.try_enter(Duration::ZERO) {
            if waiting::is_ending() {
                // The thread that uses it may have stopped.
                return Err(Shut::InUse);
            }
            if waiting::without_python(py, || self.try_enter(CHECK_EVERY)) {
                break;
            }
            py.check_signals().map_err(Shut::Raised)?;
        }
        self.holder.store(this, Ordering::Release);
        Ok(InUse(self))
    }

    /// Waits for a time; returns whether the value is in use by the caller now.
    fn try_enter(&self, time: Duration) -> bool {
        let mut is_in_use = locked(&self.is_in_use);
        if *is_in_use && !time.is_zero() {
            let waited = self.free.wait_timeout_while(is_in_use, time, |is_in_use| *is_in_use);
            is_in_use = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !std::mem::replace(&mut *is_in_use, true)
    }

    /// Waits for the value and uses it. Within `work`, Python code runs only while it waits.
    pub(crate) fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut T) -> R) -> Result<R, Shut>
    where
        T: Send,
    {
        let _in_use = self.enter(py)?;
        locked(&self.value).as_mut().map(work).ok_or(Shut::Ended)
    }

    /// Waits for the value and takes it.
    pub(crate) fn take(&self, py: Python<'_>) -> Result<T, Shut>
    where
        T: Send,
    {
        let _in_use = self.enter(py)?;
        locked(&self.value).take().ok_or(Shut::Ended)
    }
}

impl<T> Drop for InUse<'_, T> {
    fn drop(&mut self) {
        self.0.holder.store(NOBODY, Ordering::Release);
        *locked(&self.0.is_in_use) = false;
        self.0.free.notify_one();
    }
}

impl<T> Drop for Gate<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            let value = self.value.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(value.take());
        }
    }
}
