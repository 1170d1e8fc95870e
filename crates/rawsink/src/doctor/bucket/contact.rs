//! The first answers: whether the bucket can be reached, listed, written and deleted from.

use std::time::Duration;

use bytes::Bytes;

use super::{Assumed, Bench, Observed, told, told_fault};
use crate::{
    config::Addressing,
    doctor::finding::Finding,
    store::scratch::{Fault, Reply, Versioning},
};

/// What was seen of a bucket that can be reached and written.
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
    /// Fails where the bucket cannot be written: then nothing can be said of it.
    pub(super) async fn observe(bench: &Bench<'_>) -> Result<Self, Fault> {
        let scratch = bench.scratch;
        let start = bench.now();
        scratch.patiently(|| scratch.list("")).await?;
        let took = bench.now().saturating_sub(start);
        let name = "first";
        match bench.place(name, &Bytes::from_static(b"first"), &bench.token()).await {
            // A server without conditions: the next check says so.
            Err(fault) if fault.is_unsupported() => {}
            placed => placed?,
        }
        let deleted = scratch.patiently(|| scratch.delete(name)).await;
        Ok(Self {
            took,
            server: scratch.traffic().server,
            deleted,
            configured: bench.settings.addressing,
            otherwise: scratch.list_otherwise().await,
            versioning: scratch.patiently(|| scratch.versioning()).await,
        })
    }

    fn reachable(&self) -> Finding {
        let server = self.server.as_deref().map_or_else(String::new, |name| format!(" by {name}"));
        Finding::ok("reachable", format!("answered{server} in {} ms", self.took.as_millis()))
    }

    fn credentials(&self) -> Finding {
        match &self.deleted {
            Ok(()) => Finding::ok("credentials", "may list, write and delete"),
            Err(fault) if fault.is_denied() => {
                let seen = format!("may list and write; DELETE was told {}", told_fault(fault));
                Finding::note("credentials", seen).advise(
                    "writers do not delete; what doctor leaves below _doctor/ somebody else has to",
                )
            }
            Err(fault) => super::failed("credentials", "a DELETE", fault),
        }
    }

    fn addressing(&self) -> Finding {
        let configured = self.configured.name();
        let seen = match &self.otherwise {
            None => format!("{configured} works; an address as endpoint has no other way"),
            Some((other, Ok(()))) => format!("{configured} works, and so does {}", other.name()),
            Some((other, reply)) => {
                format!("{configured} works; {} was told {}", other.name(), told(reply))
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
                Finding::warning(id, format!("{state}: some servers overwrite in spite of the condition then"))
                    .advise("use a bucket that never had versions; they cannot be switched off, only suspended")
            }
            Err(fault) => {
                let seen = format!("not known: the question was told {}", told_fault(fault));
                Finding::note(id, seen).advise("make sure that the bucket is unversioned")
            }
        }
    }
}

impl Observed for Contact {
    const IDS: &'static [&'static str] = &["reachable", "credentials", "addressing", "versioning"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        vec![self.reachable(), self.credentials(), self.addressing(), self.versions()]
    }
}
