//! The examination of a bucket: observes each subject, then evaluates the observations.

mod completion;
mod contact;
mod contents;
mod creation;
mod ending;
mod freshness;
mod isolation;
mod limits;
mod parts;
mod race;
mod repetition;
mod traffic;

use std::time::Duration;

use bytes::Bytes;

use self::{
    completion::Completion, contact::Contact, contents::Contents, creation::Creation,
    ending::Ending, freshness::Freshness, isolation::Isolation, limits::Limits, parts::Parts,
    repetition::Repetition, traffic::Load,
};
use super::{
    Progress, checks,
    finding::{Diagnosis, Finding},
};
use rawsink::{
    error::{Error, Result},
    runtime::Runtime,
    store::{
        WriterToken,
        raw::{BucketScratch, Reply, S3Fault, Versioning},
        s3::{CompleteConditions, S3Config},
    },
};

/// Time after which no other subject is observed; its findings are unknown.
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// One examination of a bucket.
pub(super) struct Examination<'d> {
    scratch: &'d BucketScratch,
    config: &'d S3Config,
    runtime: &'d Runtime,
    progress: &'d Progress<'d>,
    start: Duration,
}

/// The settings that the findings depend on besides the observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Assumed {
    conditions: CompleteConditions,
    grace_s: u64,
    complete_deadline_s: u64,
    seal_timeout: Duration,
    max_parts: u32,
    provider: &'static str,
}

/// The observations of one subject.
trait Observation {
    /// The ids of its findings, in order.
    const IDS: &'static [&'static str];

    /// Evaluates the observations: a pure function.
    fn findings(&self, assumed: &Assumed) -> Vec<Finding>;
}

/// An upload with all its parts sent.
struct Ready {
    upload: String,
    parts: Vec<(i32, String)>,
}

impl<'d> Examination<'d> {
    pub(super) fn new(
        scratch: &'d BucketScratch,
        config: &'d S3Config,
        runtime: &'d Runtime,
        progress: &'d Progress<'d>,
    ) -> Self {
        let start = runtime.clock.monotonic();
        Self { scratch, config, runtime, progress, start }
    }

    /// Examines all subjects, and deletes the scratch objects.
    pub(super) async fn examine(&self) -> Result<Diagnosis> {
        (self.progress)(checks::find("reachable"));
        self.reach().await?;
        let contact = match Contact::observe(self).await {
            Ok(contact) => contact,
            Err(fault) => {
                // This fault is more important than leftovers, whose prefix shows their owner.
                self.scratch.clear(None).await;
                return Err(self.refusal(fault));
            }
        };
        let versioning = contact.versioning.as_ref().ok().copied();
        let mut findings = contact.findings(&self.assumed());
        findings.extend(self.test(Creation::observe(self)).await);
        findings.extend(self.test(Repetition::observe(self)).await);
        findings.extend(self.test(Completion::observe(self)).await);
        findings.extend(self.test(Ending::observe(self)).await);
        findings.extend(self.test(Isolation::observe(self)).await);
        findings.extend(self.test(Freshness::observe(self)).await);
        findings.extend(self.test(Contents::observe(self)).await);
        findings.extend(self.test(Parts::observe(self)).await);
        findings.extend(self.test(Limits::observe(self)).await);
        findings.extend(Load::observe(self).findings(&self.assumed()));
        let left = self.clear(versioning).await;
        findings.push(super::scratch_finding(self.scratch.prefix(), &left));
        Ok(Diagnosis::new(self.store(), findings, left))
    }

    /// Examines one subject, if there is time.
    async fn test<T: Observation>(&self, observing: impl Future<Output = T>) -> Vec<Finding> {
        if self.is_over() {
            let unknown = |id: &&str| Finding::unknown(id, "not tested: stopped, or out of time");
            return T::IDS.iter().map(unknown).collect();
        }
        (self.progress)(checks::find(T::IDS[0]));
        observing.await.findings(&self.assumed())
    }

    /// Sends the first request. If it fails, the error names another addressing style that works.
    async fn reach(&self) -> Result<()> {
        let Err(fault) = self.scratch.with_retries(|| self.scratch.list("")).await else {
            return Ok(());
        };
        let error = self.refusal(fault);
        let Some((addressing, Ok(()))) = self.scratch.list_with_other_addressing().await else {
            return Err(error);
        };
        let works = format!("RAW_SINK_ADDRESSING={} works", addressing.name());
        Err(Error::invalid(format!("{}; {works}", error.message())).on_path(self.store()))
    }

    fn refusal(&self, fault: S3Fault) -> Error {
        Error::from(fault).on_path(self.store())
    }

    async fn clear(&self, versioning: Option<Versioning>) -> Vec<String> {
        (self.progress)(&checks::SCRATCH);
        self.scratch.clear(versioning).await
    }

    /// Returns the store as text for people.
    fn store(&self) -> String {
        format!("{} ({})", self.config, self.config.provider().name)
    }

    fn assumed(&self) -> Assumed {
        Assumed {
            conditions: self.config.complete_conditions(),
            grace_s: self.config.timing().leftover_grace.as_secs(),
            complete_deadline_s: self.config.timing().complete_deadline.as_secs(),
            seal_timeout: self.config.timing().seal_timeout,
            max_parts: self.config.provider().max_parts,
            provider: self.config.provider().name,
        }
    }

    /// Returns whether to observe no other subject.
    fn is_over(&self) -> bool {
        self.scratch.is_stopped() || self.passed() > TIME_LIMIT
    }

    fn passed(&self) -> Duration {
        self.now().saturating_sub(self.start)
    }

    fn now(&self) -> Duration {
        self.runtime.clock.monotonic()
    }

    fn token(&self) -> WriterToken {
        WriterToken::new(self.runtime.tokens.next())
    }

    /// Creates an object. If an unanswered attempt of this call created it, it counts as created.
    async fn create(&self, name: &str, body: &Bytes, token: &WriterToken) -> Reply<()> {
        let scratch = self.scratch;
        let Err(fault) = scratch.with_retries(|| scratch.create(name, body, token)).await else {
            return Ok(());
        };
        let head = scratch.with_retries(|| scratch.head(name)).await?;
        let own = head.is_some_and(|head| head.writer.as_deref() == Some(token.as_str()));
        if own { Ok(()) } else { Err(fault) }
    }

    /// Opens an upload and sends its parts.
    async fn upload(
        &self,
        name: &str,
        token: &WriterToken,
        parts: &[(i32, Bytes)],
    ) -> Reply<Ready> {
        let scratch = self.scratch;
        let upload = scratch.with_retries(|| scratch.create_upload(name, token)).await?;
        let mut sent = Vec::new();
        for (number, body) in parts {
            let part = || scratch.upload_part(name, &upload, *number, body);
            sent.push((*number, scratch.with_retries(part).await?));
        }
        Ok(Ready { upload, parts: sent })
    }
}

/// Describes a reply in a word or two.
fn describe<T>(reply: &Reply<T>) -> String {
    match reply {
        Ok(_) => "2xx".to_owned(),
        Err(fault) => describe_fault(fault),
    }
}

fn describe_fault(fault: &S3Fault) -> String {
    match (fault.status, &fault.code) {
        (None, _) => "no answer".to_owned(),
        (Some(status), Some(code)) => format!("{status} {code}"),
        (Some(status), None) => status.to_string(),
    }
}

/// Returns a finding for the failure of a request that the check depends on.
fn failed_request(id: &str, what: &str, fault: &S3Fault) -> Finding {
    let seen = format!("{what} failed: {fault}");
    if fault.is_denied() {
        return Finding::fault(id, seen).advise("give this key the permission: writers need it");
    }
    if fault.is_unsupported() || fault.unusable {
        return Finding::fault(id, seen).advise("use another store: writers need this request");
    }
    Finding::inconclusive(id, seen)
}
