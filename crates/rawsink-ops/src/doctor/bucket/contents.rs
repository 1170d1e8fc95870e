//! Reading an object back: its user metadata, and a range of its bytes.

use bytes::Bytes;

use super::{Assumed, Examination, Observation, Ready};
use crate::doctor::finding::Finding;
use rawsink::store::{
    WriterToken,
    raw::{Condition, Reply},
};

const BODY: Bytes = Bytes::from_static(b"0123456789");
const OFFSET: usize = 7;

/// Observations of contents.
#[derive(Debug)]
pub(super) struct Contents {
    /// Whether HEAD shows the user metadata of a PUT.
    by_put: Reply<bool>,
    /// Whether HEAD shows the user metadata of a multipart upload.
    by_multipart: Reply<bool>,
    /// Whether GET with an offset returns the remaining bytes.
    rest: Reply<bool>,
}

impl Contents {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        let by_put = by_put(exam, "metadata-put").await;
        let by_multipart = by_multipart(exam, "metadata-multipart").await;
        let scratch = exam.scratch;
        let offset = u64::try_from(OFFSET).unwrap_or_default();
        let rest = scratch.with_retries(|| scratch.get("metadata-put", offset)).await;
        let rest = rest.map(|rest| rest.is_some_and(|rest| rest.bytes == BODY.slice(OFFSET..)));
        Self { by_put, by_multipart, rest }
    }

    fn metadata_finding(&self) -> Finding {
        let id = Self::IDS[0];
        match (&self.by_put, &self.by_multipart) {
            (Ok(true), Ok(true)) => Finding::ok(id, "kept by PUT and multipart"),
            (Err(fault), _) | (_, Err(fault)) => {
                super::failed_request(id, "a PUT or multipart upload", fault)
            }
            (Ok(put), Ok(multipart)) => {
                let lost: Vec<&str> = [(put, "PUT"), (multipart, "multipart")]
                    .into_iter()
                    .filter_map(|(kept, way)| (!kept).then_some(way))
                    .collect();
                Finding::fault(id, format!("lost by {}", lost.join(" and "))).advise(
                    "a writer cannot recognize its own payload, and fails with Unsupported: use another store",
                )
            }
        }
    }

    fn rest_finding(&self) -> Finding {
        let id = Self::IDS[1];
        match &self.rest {
            Ok(true) => Finding::ok(id, "returned the remaining bytes"),
            Ok(false) => Finding::fault(id, "returned other bytes"),
            Err(fault) if fault.status == Some(200) => {
                Finding::fault(id, format!("the server ignored the offset: {fault}"))
                    .advise("reading a long payload fails if its connection breaks")
            }
            Err(fault) => super::failed_request(id, "a GET with an offset", fault),
        }
    }
}

impl Observation for Contents {
    const IDS: &'static [&'static str] = &["user-metadata", "range-read"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        vec![self.metadata_finding(), self.rest_finding()]
    }
}

async fn by_put(exam: &Examination<'_>, name: &str) -> Reply<bool> {
    let token = exam.token();
    exam.create(name, &BODY, &token).await?;
    is_kept(exam, name, &token).await
}

async fn by_multipart(exam: &Examination<'_>, name: &str) -> Reply<bool> {
    let token = exam.token();
    let Ready { upload, parts } = exam.upload(name, &token, &[(1, BODY)]).await?;
    exam.scratch.complete_upload(name, &upload, &parts, Condition::CreateOnly).await?;
    is_kept(exam, name, &token).await
}

async fn is_kept(exam: &Examination<'_>, name: &str, token: &WriterToken) -> Reply<bool> {
    let head = exam.scratch.with_retries(|| exam.scratch.head(name)).await?;
    Ok(head.is_some_and(|head| head.writer.as_deref() == Some(token.as_str())))
}
