//! The parts of an open upload, from whose times `clean` takes its age.

use bytes::Bytes;

use super::{Assumed, Examination, Observation, Ready, race};
use crate::doctor::finding::Finding;
use rawsink::store::raw::Reply;

/// The observation of one open upload with one part.
#[derive(Debug)]
pub(super) struct Parts {
    sent: u64,
    /// Total length of the listed parts, in bytes.
    listed: Reply<u64>,
}

impl Parts {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let part = race::body(0);
        Self { sent: part.len() as u64, listed: listed(exam, part).await }
    }
}

impl Observation for Parts {
    const IDS: &'static [&'static str] = &["list-parts"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let advice = "clean cannot end uploads of crashed writers here: use a lifecycle rule";
        vec![match &self.listed {
            Ok(listed) if *listed == self.sent => {
                Finding::ok(id, "the parts of an upload are listed")
            }
            Ok(listed) => {
                let seen = format!("{listed} bytes of {} are listed", self.sent);
                Finding::warning(id, seen).advise(advice)
            }
            Err(fault) if fault.is_denied() => {
                Finding::note(id, format!("ListParts failed: {fault}"))
                    .advise("fine for writers; clean needs the permission")
            }
            Err(fault) => Finding::warning(id, format!("ListParts failed: {fault}")).advise(advice),
        }]
    }
}

async fn listed(exam: &Examination<'_>, part: Bytes) -> Reply<u64> {
    let (name, scratch) = ("list-parts", exam.scratch);
    let Ready { upload, .. } = exam.upload(name, &exam.token(), &[(1, part)]).await?;
    scratch.with_retries(|| scratch.list_parts(name, &upload)).await
}
