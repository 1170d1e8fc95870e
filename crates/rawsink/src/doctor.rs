//! What a store really does, and which guarantees it can keep.
//!
//! An examination asks the configured store the questions of [`checks`] by raw requests in a scratch
//! place below the root, `_doctor/<token>`, which no source's name can meet, and takes that place away
//! again. Observing and judging are apart: what was seen is data, and a pure function makes findings
//! of it. Must not know partitions, rows or state.

mod bucket;
pub mod checks;
mod directory;
mod finding;

use std::{fmt, path::PathBuf};

use aws_sdk_s3::config::SharedHttpClient;

pub use self::finding::{Diagnosis, Finding, Guarantee, Outcome, Setting, Soundness};
use self::{bucket::Bench, checks::Check};
use crate::{
    clock::Surroundings,
    config::{ObjectSettings, Settings, SinkKind},
    error::{Error, Result},
    store::{WriterToken, scratch::BucketScratch},
};

/// Examines one store, once.
pub struct Doctor {
    place: Place,
    surroundings: Surroundings,
}

enum Place {
    Bucket(Box<Bucket>),
    Directory(PathBuf),
}

struct Bucket {
    settings: ObjectSettings,
    scratch: BucketScratch,
}

/// Told of every check when it begins.
pub type Progress<'p> = dyn Fn(&'static Check) + Send + Sync + 'p;

impl Doctor {
    /// Makes a doctor of the store that the settings select; touches nothing yet.
    ///
    /// # Errors
    /// `Invalid` for settings that name no usable place.
    pub fn new(settings: &Settings, surroundings: Surroundings) -> Result<Self> {
        match settings.sink {
            SinkKind::Filesystem => {
                let place = Place::Directory(settings.root.clone());
                Ok(Self { place, surroundings })
            }
            SinkKind::Object => {
                let missing = || Error::invalid("the object sink needs the settings of its bucket");
                let object = settings.object.as_ref().ok_or_else(missing)?;
                Self::of_bucket(object, surroundings, None)
            }
        }
    }

    /// Makes a doctor of a bucket that is reached by a connector of the caller's, such as a server
    /// in the same process.
    ///
    /// # Errors
    /// `Invalid` for secrets or certificates that cannot be read.
    pub fn of_bucket(
        settings: &ObjectSettings,
        surroundings: Surroundings,
        connector: Option<&SharedHttpClient>,
    ) -> Result<Self> {
        let scratch = BucketScratch::new(settings, surroundings.clone(), connector)?;
        let bucket = Bucket { settings: settings.clone(), scratch };
        Ok(Self { place: Place::Bucket(Box::new(bucket)), surroundings })
    }

    /// Examines the store and takes away what that made, whatever happens. Takes some seconds, at
    /// most about two minutes; one request gets 15 s.
    ///
    /// A future that is dropped half-way leaves its scratch where it is: [`stop`](Self::stop) it.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Unavailable` as a writer's where the store cannot be reached or written
    /// at all. What is found afterwards is a finding.
    pub async fn examine(&self, progress: &Progress<'_>) -> Result<Diagnosis> {
        match &self.place {
            Place::Bucket(bucket) => {
                let Bucket { settings, scratch } = &**bucket;
                Bench::new(scratch, settings, &self.surroundings, progress).examine().await
            }
            Place::Directory(root) => {
                let token = WriterToken::new(self.surroundings.tokens.next());
                directory::examine(root.clone(), token, progress).await
            }
        }
    }

    /// Ends the examination soon: what is on its way is waited for, what is not known yet stays
    /// unknown, and the scratch is taken away. A directory's examination is too short to be ended.
    pub fn stop(&self) {
        match &self.place {
            Place::Bucket(bucket) => bucket.scratch.stop(),
            Place::Directory(_) => {}
        }
    }
}

/// What became of the scratch.
fn scratch_finding(place: impl fmt::Display, left: &[String]) -> Finding {
    match left {
        [] => Finding::ok("scratch", format!("nothing is left below {place}")),
        left => {
            let (count, first) = (left.len(), &left[0]);
            Finding::warning("scratch", format!("{count} left below {place}, such as {first}"))
                .advise("take them away; nothing else is below that place")
        }
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor").finish_non_exhaustive()
    }
}
