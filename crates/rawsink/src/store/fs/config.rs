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

/// The directories above the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parents {
    /// They have to exist: a misspelt root creates none.
    #[default]
    MustExist,
    /// The first writer creates them.
    Created,
}

/// What readers find in a root that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingRoot {
    /// An error, `Unavailable`: it may be misspelt, or not mounted.
    #[default]
    Fails,
    /// Nothing: the destination of a first copy.
    IsEmpty,
}

/// Where the root has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mounted {
    /// Anywhere.
    #[default]
    Any,
    /// On a file system that is mounted at the root or above it, other than that of `/`.
    Required,
}

/// Symbolic links below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// An error, `Invalid`.
    #[default]
    Refused,
    /// They are followed, also to places outside the root.
    Followed,
}

/// The configuration of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsConfig {
    /// The directory. A relative path is resolved when the store is opened. It may be a symbolic link.
    pub root: PathBuf,
    /// The directories above the root.
    pub parents: Parents,
    /// What readers find in a root that does not exist.
    pub missing: MissingRoot,
    /// Where the root has to be.
    pub mounted: Mounted,
    /// Symbolic links below the root.
    pub links: Links,
    /// The thread on which reads block.
    pub blocking: Blocking,
}

impl FsConfig {
    /// Creates the configuration of the directory `root`. Its parent has to exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            parents: Parents::default(),
            missing: MissingRoot::default(),
            mounted: Mounted::default(),
            links: Links::default(),
            blocking: Blocking::default(),
        }
    }

    /// Sets whether the first writer creates the directories above the root.
    #[must_use]
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// Sets what readers find in a root that does not exist.
    #[must_use]
    pub fn missing(mut self, missing: MissingRoot) -> Self {
        self.missing = missing;
        self
    }

    /// Sets whether a file system has to be mounted at the root or above it.
    #[must_use]
    pub fn mounted(mut self, mounted: Mounted) -> Self {
        self.mounted = mounted;
        self
    }

    /// Sets whether symbolic links below the root are followed.
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
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
