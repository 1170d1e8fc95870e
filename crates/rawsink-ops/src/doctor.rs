//! Tests a store and reports which guarantees it supports.
//!
//! An examination runs the [`checks`] by raw requests in a scratch directory below the root,
//! `_doctor/<token>` in a bucket and `_doctor-<token>` in a directory, and deletes it at the end. No
//! source name can collide with it.
//! Observing and evaluating are separate: observations are data, and a pure function turns them into
//! findings. Must not know partitions, rows or state.

mod bucket;
pub mod checks;
mod directory;
mod finding;

use std::fmt;

use self::{bucket::Examination, checks::Check};
pub use self::{
    checks::Guarantee,
    finding::{Diagnosis, Finding, Setting, Severity, Soundness},
};
use rawsink::{
    Backend, Config,
    error::{Error, ErrorKind, Result},
    runtime::Runtime,
    store::{
        WriterToken,
        fs::FsConfig,
        raw::{BucketScratch, Connector},
        s3::S3Config,
    },
};

/// Examines one store, once.
pub struct Doctor {
    target: Target,
    runtime: Runtime,
}

enum Target {
    Bucket(Box<Bucket>),
    Directory(FsConfig),
}

struct Bucket {
    config: S3Config,
    scratch: BucketScratch,
}

/// A callback that is called at the start of each check.
pub type Progress<'p> = dyn Fn(&'static Check) + Send + Sync + 'p;

impl Doctor {
    /// Creates a doctor for the store of a configuration. Sends no request yet.
    ///
    /// # Errors
    /// `Invalid` for secrets or certificates that cannot be read.
    pub fn new(config: &Config, runtime: Runtime) -> Result<Self> {
        match &config.backend {
            Backend::Directory(directory) => {
                Ok(Self { target: Target::Directory(directory.clone()), runtime })
            }
            Backend::Bucket(bucket) => Self::of_bucket(bucket, runtime, None),
            _ => Err(Error::new(ErrorKind::Unsupported, "doctor does not support this backend")),
        }
    }

    /// Creates a doctor for a bucket behind the caller's connector, such as a server in the same
    /// process.
    ///
    /// # Errors
    /// `Invalid` for secrets or certificates that cannot be read.
    pub fn of_bucket(
        config: &S3Config,
        runtime: Runtime,
        connector: Option<&Connector>,
    ) -> Result<Self> {
        let scratch = BucketScratch::new(config, runtime.clone(), connector)?;
        let bucket = Bucket { config: config.clone(), scratch };
        Ok(Self { target: Target::Bucket(Box::new(bucket)), runtime })
    }

    /// Examines the store and deletes its scratch data. Takes some seconds, at most about two
    /// minutes; the timeout of a request is 15 s.
    ///
    /// Dropping the future leaves the scratch data in the store: call [`stop`](Self::stop) instead.
    ///
    /// # Errors
    /// `Denied`, `Invalid` and `Unavailable`, as for a writer, if the store cannot be reached or
    /// written at all. Later problems are findings.
    pub async fn examine(&self, progress: &Progress<'_>) -> Result<Diagnosis> {
        match &self.target {
            Target::Bucket(bucket) => {
                let Bucket { config, scratch } = &**bucket;
                Examination::new(scratch, config, &self.runtime, progress).examine().await
            }
            Target::Directory(config) => {
                let token = WriterToken::new(self.runtime.tokens.next());
                directory::examine(config.clone(), token, progress).await
            }
        }
    }

    /// Stops the examination: finishes requests in progress, reports the other checks as unknown, and
    /// deletes the scratch data. The short examination of a directory cannot be stopped.
    pub fn stop(&self) {
        match &self.target {
            Target::Bucket(bucket) => bucket.scratch.stop(),
            Target::Directory(_) => {}
        }
    }
}

/// Returns the finding about the scratch data.
fn scratch_finding(place: impl fmt::Display, left: &[String]) -> Finding {
    match left {
        [] => Finding::ok("scratch", format!("nothing is left below {place}")),
        left => {
            let (count, first) = (left.len(), &left[0]);
            Finding::warning("scratch", format!("{count} left below {place}, such as {first}"))
                .advise("delete them; nothing else is stored below that path")
        }
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor").finish_non_exhaustive()
    }
}
