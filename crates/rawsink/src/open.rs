//! The top module: a configuration, and the sink and state that it opens.
//!
//! [`Config`] combines the configurations of the backends. It cannot hold an illegal combination: a
//! directory has no bucket settings, and a bucket always has all of them.
//!
//! ```no_run
//! use rawsink::{Config, RawSink};
//!
//! # #[cfg(feature = "env")] {
//! let sink = RawSink::from_env()?; // RAW_SINK, RAW_SINK_ROOT, ... decide
//! # }
//! let sink = RawSink::open(&Config::directory("/srv/raw"))?;
//! # Ok::<(), rawsink::Error>(())
//! ```

use std::{fmt, path::PathBuf, sync::Arc};

#[cfg(feature = "s3")]
use crate::store::s3::{S3Config, S3Store};
use crate::{
    error::{Error, Result},
    partition::row::LEGAL_MAX_ROW_BYTES,
    runtime::Runtime,
    sink::{RawSink, SinkOptions},
    state::{self, Origin, PartitionState, StateConfig},
    store::fs::{FsConfig, FsStore, MissingRoot},
};

/// Where partitions are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// A directory.
    Directory(FsConfig),
    /// A bucket of an S3-compatible object storage.
    #[cfg(feature = "s3")]
    Bucket(Box<S3Config>),
}

impl Backend {
    /// Returns the URI of the root, without a slash at its end: `file:///srv/raw` or
    /// `s3://bucket/prefix`.
    ///
    /// Names are not percent-encoded.
    ///
    /// # Errors
    /// `Invalid` for a directory that is empty or not UTF-8.
    pub fn uri(&self) -> Result<String> {
        match self {
            Self::Directory(config) => config.uri(),
            #[cfg(feature = "s3")]
            Self::Bucket(config) => Ok(config.uri()),
        }
    }

    /// Returns the root that canonical paths may start with: the directory, or the prefix.
    pub fn root(&self) -> String {
        match self {
            Self::Directory(config) => config.root.to_string_lossy().into_owned(),
            #[cfg(feature = "s3")]
            Self::Bucket(config) => config.prefix().to_owned(),
        }
    }

    /// Returns this backend for work that reads what exists before it writes: a root that does not exist
    /// has no partitions, and the first writer creates it as [`FsConfig::parents`] allows.
    #[must_use]
    pub fn as_destination(self) -> Self {
        match self {
            Self::Directory(config) => Self::Directory(config.missing(MissingRoot::IsEmpty)),
            #[cfg(feature = "s3")]
            backend @ Self::Bucket(_) => backend,
        }
    }
}

/// Where partitions are stored, as text for people.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(config) => config.root.display().fmt(f),
            #[cfg(feature = "s3")]
            Self::Bucket(config) => config.fmt(f),
        }
    }
}

/// The configuration of a sink and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where partitions are stored.
    pub backend: Backend,
    /// Where `PartitionState` is stored; `None` for a program that only writes.
    pub state: Option<StateConfig>,
    /// How to treat rows and leftovers.
    pub options: SinkOptions,
}

impl Config {
    /// Creates the configuration of a directory, without a state.
    pub fn directory(root: impl Into<PathBuf>) -> Self {
        Self::new(Backend::Directory(FsConfig::new(root)))
    }

    /// Creates the configuration of a bucket, without a state.
    #[cfg(feature = "s3")]
    pub fn bucket(config: S3Config) -> Self {
        Self::new(Backend::Bucket(Box::new(config)))
    }

    /// Creates the configuration of a backend, without a state.
    pub fn new(backend: Backend) -> Self {
        Self { backend, state: None, options: SinkOptions::default() }
    }

    /// Sets where the state is stored.
    #[must_use]
    pub fn state(mut self, state: StateConfig) -> Self {
        self.state = Some(state);
        self
    }

    /// Sets how to treat rows and leftovers.
    #[must_use]
    pub fn options(mut self, options: SinkOptions) -> Self {
        self.options = options;
        self
    }

    /// Opens the state, without connecting yet.
    ///
    /// # Errors
    /// `Unsupported` for a configuration without a state.
    pub fn open_state(&self) -> Result<Arc<dyn PartitionState>> {
        let missing = || {
            let message = "this configuration has no state";
            Error::new(crate::ErrorKind::Unsupported, message)
        };
        Ok(state::open(self.state.as_ref().ok_or_else(missing)?, &self.origin()))
    }

    /// Returns what the verdict log says of changes by this configuration: sink and host.
    pub fn origin(&self) -> Origin {
        Origin::of_host(self.backend.uri().ok())
    }
}

impl RawSink {
    /// Opens the sink of a configuration, with the system's clock. Sends no request yet.
    ///
    /// # Errors
    /// `Invalid` for an empty root, a length limit of rows that is not
    /// [legal](LEGAL_MAX_ROW_BYTES), and secrets or certificates that cannot be read.
    pub fn open(config: &Config) -> Result<Self> {
        Self::open_in(config, Runtime::default())
    }

    /// Opens the sink of a configuration, with the caller's clock and tokens.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(config: &Config, runtime: Runtime) -> Result<Self> {
        let options = config.options.clone();
        if !LEGAL_MAX_ROW_BYTES.contains(&options.max_row_bytes) {
            let message = "the length limit of a row must be from 2 bytes to 1 GiB";
            return Err(Error::invalid(message).by_setting("max_row_bytes"));
        }
        match &config.backend {
            Backend::Directory(directory) => {
                Ok(Self::with(Arc::new(FsStore::new(directory)?), options, runtime))
            }
            #[cfg(feature = "s3")]
            Backend::Bucket(bucket) => {
                let store = S3Store::new(bucket, runtime.clone())?;
                Ok(Self::with(Arc::new(store), options, runtime))
            }
        }
    }
}
