//! The configuration of a directory.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    literal,
};

/// The thread on which file reads block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blocking {
    /// The runtime's blocking pool, one chunk ahead. Other tasks continue.
    #[default]
    Pool,
    /// The calling thread. Takes a fifth less CPU, for a program that does one thing at a time.
    Inline,
}

/// The configuration of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsConfig {
    /// The directory. A relative path is resolved when the store is opened.
    pub root: PathBuf,
    /// The thread on which reads block.
    pub blocking: Blocking,
}

impl FsConfig {
    /// Creates the configuration of the directory `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), blocking: Blocking::default() }
    }

    /// Sets the thread on which reads block.
    #[must_use]
    pub fn blocking(mut self, blocking: Blocking) -> Self {
        self.blocking = blocking;
        self
    }

    /// Returns the URI of the root, such as `file:///srv/raw`. Names are not percent-encoded.
    ///
    /// # Errors
    /// `Invalid` for a root that is empty or not UTF-8.
    pub fn uri(&self) -> Result<String> {
        let root = absolute(&self.root)?;
        let text = root.to_str().ok_or_else(|| Error::invalid("the root is not UTF-8"))?;
        Ok(format!("file://{}", text.trim_end_matches('/')))
    }
}

/// Resolves a root against the current directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    if let Some(text) = path.to_str() {
        let refused = |what| Error::invalid(format!("the root {text:?} {what}"));
        literal::check_path(text).map_err(refused)?;
    }
    let refused = |cause| Error::invalid(format!("{} is not a directory: {cause}", path.display()));
    std::path::absolute(path).map_err(refused)
}
