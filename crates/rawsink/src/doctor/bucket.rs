//! The examination of a bucket: every subject is observed, then judged.

mod completion;
mod contact;
mod contents;
mod creation;
mod ending;
mod freshness;
mod limits;
mod race;
mod repetition;
mod traffic;

use std::time::Duration;

use bytes::Bytes;

use self::{
    completion::Completion, contact::Contact, contents::Contents, creation::Creation,
    ending::Ending, freshness::Freshness, limits::Limits, repetition::Repetition, traffic::Load,
};
use super::{
    Progress, checks,
    finding::{Diagnosis, Finding},
};
use crate::{
    clock::Surroundings,
    config::{CompleteConditions, ObjectSettings},
    error::{Error, Result},
    store::{
        WriterToken,
        scratch::{BucketScratch, Fault, Reply, Versioning},
    },
};

/// What is not observed by then stays unknown.
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// What an examination of a bucket works with.
pub(super) struct Bench<'d> {
    scratch: &'d BucketScratch,
    settings: &'d ObjectSettings,
    surroundings: &'d Surroundings,
    progress: &'d Progress<'d>,
    start: Duration,
}

/// What the judging depends on besides what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Assumed {
    conditions: CompleteConditions,
    grace_s: u64,
    complete_deadline_s: u64,
    max_parts: u32,
    provider: &'static str,
}

/// What was seen of one subject.
trait Observed {
    /// The findings that it makes, in this order.
    const IDS: &'static [&'static str];

    /// Judges: looks at nothing but what was seen.
    fn findings(&self, assumed: &Assumed) -> Vec<Finding>;
}

/// An upload whose parts are there.
struct Ready {
    upload: String,
    parts: Vec<(i32, String)>,
}

impl<'d> Bench<'d> {
    pub(super) fn new(
        scratch: &'d BucketScratch,
        settings: &'d ObjectSettings,
        surroundings: &'d Surroundings,
        progress: &'d Progress<'d>,
    ) -> Self {
        let start = surroundings.clock.monotonic();
        Self { scratch, settings, surroundings, progress, start }
    }

    /// Observes and judges all subjects, and takes away what that made.
    pub(super) async fn examine(&self) -> Result<Diagnosis> {
        (self.progress)(checks::find("reachable"));
        self.reach().await?;
        let contact = match Contact::observe(self).await {
            Ok(contact) => contact,
            Err(fault) => {
                // The fault stands; what is left lies below a prefix that says whose it is.
                self.scratch.clear(None).await;
                return Err(self.refusal(fault));
            }
        };
        let versioning = contact.versioning.as_ref().ok().copied();
        let mut findings = contact.findings(&self.assumed());
        findings.extend(self.ask(Creation::observe(self)).await);
        findings.extend(self.ask(Repetition::observe(self)).await);
        findings.extend(self.ask(Completion::observe(self)).await);
        findings.extend(self.ask(Ending::observe(self)).await);
        findings.extend(self.ask(Freshness::observe(self)).await);
        findings.extend(self.ask(Contents::observe(self)).await);
        findings.extend(self.ask(Limits::observe(self)).await);
        findings.extend(Load::observe(self).findings(&self.assumed()));
        let left = self.clear(versioning).await;
        findings.push(super::scratch_finding(self.scratch.prefix(), &left));
        Ok(Diagnosis::new(self.store(), findings, left))
    }

    /// Observes and judges one subject, where there is time.
    async fn ask<T: Observed>(&self, observing: impl Future<Output = T>) -> Vec<Finding> {
        if self.is_over() {
            let unknown = |id: &&str| Finding::unknown(id, "was not examined: the time was up");
            return T::IDS.iter().map(unknown).collect();
        }
        (self.progress)(checks::find(T::IDS[0]));
        observing.await.findings(&self.assumed())
    }

    /// Asks for the first answer; where there is none, says whether another addressing has one.
    async fn reach(&self) -> Result<()> {
        let Err(fault) = self.scratch.patiently(|| self.scratch.list("")).await else {
            return Ok(());
        };
        let error = self.refusal(fault);
        let Some((addressing, Ok(()))) = self.scratch.list_otherwise().await else {
            return Err(error);
        };
        let works = format!("RAW_SINK_ADDRESSING={} works", addressing.name());
        Err(Error::invalid(format!("{}; {works}", error.message())).on_path(self.store()))
    }

    fn refusal(&self, fault: Fault) -> Error {
        Error::from(fault).on_path(self.store())
    }

    async fn clear(&self, versioning: Option<Versioning>) -> Vec<String> {
        (self.progress)(&checks::SCRATCH);
        self.scratch.clear(versioning).await
    }

    /// Returns the store for a person.
    fn store(&self) -> String {
        let ObjectSettings { endpoint_url, bucket, prefix, provider, .. } = self.settings;
        format!("{endpoint_url}/{bucket}/{prefix} ({})", provider.name)
    }

    fn assumed(&self) -> Assumed {
        Assumed {
            conditions: self.settings.complete_conditions,
            grace_s: self.settings.leftover_grace_s,
            complete_deadline_s: self.settings.complete_deadline_s,
            max_parts: self.settings.provider.max_parts,
            provider: self.settings.provider.name,
        }
    }

    /// Tells whether nothing more is to be observed.
    fn is_over(&self) -> bool {
        self.scratch.is_stopped() || self.passed() > TIME_LIMIT
    }

    fn passed(&self) -> Duration {
        self.now().saturating_sub(self.start)
    }

    fn now(&self) -> Duration {
        self.surroundings.clock.monotonic()
    }

    fn token(&self) -> WriterToken {
        WriterToken::new(self.surroundings.tokens.next())
    }

    /// Creates an object; an own one that an unanswered try made is fine.
    async fn place(&self, name: &str, body: &Bytes, token: &WriterToken) -> Reply<()> {
        let scratch = self.scratch;
        let Err(fault) = scratch.patiently(|| scratch.create(name, body, token)).await else {
            return Ok(());
        };
        let head = scratch.patiently(|| scratch.head(name)).await?;
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
        let upload = scratch.patiently(|| scratch.create_upload(name, token)).await?;
        let mut sent = Vec::new();
        for (number, body) in parts {
            let part = || scratch.upload_part(name, &upload, *number, body);
            sent.push((*number, scratch.patiently(part).await?));
        }
        Ok(Ready { upload, parts: sent })
    }
}

/// Says what a request was told, in a word or two.
fn told<T>(reply: &Reply<T>) -> String {
    match reply {
        Ok(_) => "2xx".to_owned(),
        Err(fault) => told_fault(fault),
    }
}

fn told_fault(fault: &Fault) -> String {
    match (fault.status, &fault.code) {
        (None, _) => "nothing".to_owned(),
        (Some(status), Some(code)) => format!("{status} {code}"),
        (Some(status), None) => status.to_string(),
    }
}

/// A finding of requests that were answered in a way that says nothing.
fn unanswered(id: &str) -> Finding {
    Finding::unknown(id, "too little was answered").advise("run doctor again")
}

/// A finding of a request without which nothing can be said: refused for good, or not answered.
fn failed(id: &str, what: &str, fault: &Fault) -> Finding {
    let seen = format!("{what} was not possible: {fault}");
    if fault.is_denied() {
        return Finding::fault(id, seen).advise("allow this key what was denied; writers need it");
    }
    Finding::unknown(id, seen).advise("run doctor again")
}
