//! The first requests: whether the bucket can be reached, listed, written and deleted from.

use std::time::Duration;

use bytes::Bytes;

use super::{Assumed, Examination, Observation, describe, describe_fault};
use crate::doctor::finding::Finding;
use rawsink::store::{
    raw::{Reply, S3Fault, Versioning},
    s3::Addressing,
};

/// Observations of a bucket that can be reached and written.
#[derive(Debug)]
pub(super) struct Contact {
    took: Duration,
    server: Option<String>,
    deleted: Reply<()>,
    configured: Addressing,
    otherwise: Option<(Addressing, Reply<()>)>,
    pub(super) versioning: Reply<Versioning>,
}

impl Contact {
    /// Fails if the bucket cannot be written, because then nothing else can be tested.
    pub(super) async fn observe(exam: &Examination<'_>) -> Result<Self, S3Fault> {
        let scratch = exam.scratch;
        let start = exam.now();
        scratch.with_retries(|| scratch.list("")).await?;
        let took = exam.now().saturating_sub(start);
        let name = "first";
        match exam.create(name, &Bytes::from_static(b"first"), &exam.token()).await {
            // The server does not support conditions: the next check reports it.
            Err(fault) if fault.is_unsupported() => {}
            placed => placed?,
        }
        let deleted = scratch.with_retries(|| scratch.delete(name)).await;
        Ok(Self {
            took,
            server: scratch.traffic().server,
            deleted,
            configured: exam.config.addressing(),
            otherwise: scratch.list_with_other_addressing().await,
            versioning: scratch.with_retries(|| scratch.versioning()).await,
        })
    }

    fn reachable(&self) -> Finding {
        let server = self.server.as_deref().map_or_else(String::new, |name| format!(" by {name}"));
        Finding::ok("reachable", format!("answered{server} in {} ms", self.took.as_millis()))
    }

    fn credentials(&self) -> Finding {
        match &self.deleted {
            Ok(()) => Finding::ok("credentials", "can list, write and delete"),
            Err(fault) if fault.is_denied() => {
                let seen = format!("can list and write; DELETE got {}", describe_fault(fault));
                Finding::note("credentials", seen).advise(
                    "writers need no DELETE; delete the objects below _doctor/ with another key",
                )
            }
            Err(fault) => super::failed_request("credentials", "a DELETE", fault),
        }
    }

    fn addressing(&self) -> Finding {
        let configured = self.configured.name();
        let seen = match &self.otherwise {
            None => format!("{configured} works; an IP address as endpoint allows no other style"),
            Some((other, Ok(()))) => format!("{configured} and {} work", other.name()),
            Some((other, reply)) => {
                format!("{configured} works; {} got {}", other.name(), describe(reply))
            }
        };
        Finding::ok("addressing", seen)
    }

    fn versions(&self) -> Finding {
        let id = "versioning";
        match &self.versioning {
            Ok(Versioning::Off) => Finding::ok(id, "off"),
            Ok(versioning) => {
                let state = if *versioning == Versioning::On { "on" } else { "suspended" };
                Finding::warning(id, format!("{state}: some servers then ignore the condition and overwrite"))
                    .advise("use a bucket that never had versions: versioning can be suspended, but not removed")
            }
            Err(fault) => {
                let seen = format!("unknown: the request got {}", describe_fault(fault));
                Finding::note(id, seen).advise("make sure that the bucket is unversioned")
            }
        }
    }
}

impl Observation for Contact {
    const IDS: &'static [&'static str] = &["reachable", "credentials", "addressing", "versioning"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        vec![self.reachable(), self.credentials(), self.addressing(), self.versions()]
    }
}
