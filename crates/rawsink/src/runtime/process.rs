//! Values of one process. In a forked child the threads of its parent do not exist, and its connections
//! and locks belong to the parent, so a child neither uses nor drops them.

use std::{process, sync::OnceLock};

/// A value that only the process that made it uses and drops. In a forked child it is forgotten.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    process: u32,
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { process: process::id(), value: Some(value) }
    }

    /// Returns whether this process made the value.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == process::id()
    }

    /// Returns the value; `None` in a child, or after [`take`](Self::take).
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.is_ours())
    }

    /// Returns the value, as [`get`](Self::get).
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        let is_ours = self.is_ours();
        self.value.as_mut().filter(|_| is_ours)
    }

    /// Takes the value, as [`get`](Self::get).
    pub(crate) fn take(&mut self) -> Option<T> {
        if self.is_ours() { self.value.take() } else { None }
    }

    /// Returns the value in a child too. Only facts may be read from it: it must not be used.
    pub(crate) fn inherited(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.value.take());
        }
    }
}

/// A value that each process opens for itself, a forked child too.
///
/// Nothing here waits for another thread, which may not exist in a child.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    owned: Owned<T>,
    /// The value of a child that inherited this one.
    child: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { owned: Owned::new(value), child: OnceLock::new() }
    }

    /// Returns the value of this process. `open` makes it, if a parent made the last one.
    ///
    /// # Errors
    /// That of `open`.
    pub(crate) fn get<E>(&self, open: impl Fn() -> Result<T, E>) -> Result<&T, E> {
        let mut at = self;
        loop {
            if let Some(value) = at.owned.get() {
                return Ok(value);
            }
            at = if let Some(child) = at.child.get() {
                child
            } else {
                let opened = Box::new(Self::new(open()?));
                // Another thread may have been first.
                at.child.get_or_init(|| opened)
            };
        }
    }
}
