//! What comes back of an object: its user metadata, and a part of its bytes.

use bytes::Bytes;

use super::{Assumed, Bench, Observed, Ready};
use crate::{
    doctor::finding::Finding,
    store::{
        WriterToken,
        scratch::{Condition, Reply},
    },
};

const BODY: Bytes = Bytes::from_static(b"0123456789");
const OFFSET: usize = 7;

/// What was seen of contents.
#[derive(Debug)]
pub(super) struct Contents {
    /// Whether HEAD shows the user metadata of a PUT.
    by_put: Reply<bool>,
    /// Whether HEAD shows the user metadata of a multipart upload.
    by_multipart: Reply<bool>,
    /// Whether GET from an offset brings the rest.
    rest: Reply<bool>,
}

impl Contents {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        let by_put = by_put(bench, "metadata-put").await;
        let by_multipart = by_multipart(bench, "metadata-multipart").await;
        let scratch = bench.scratch;
        let offset = u64::try_from(OFFSET).unwrap_or_default();
        let rest = scratch.patiently(|| scratch.get("metadata-put", offset)).await;
        let rest = rest.map(|rest| rest.is_some_and(|rest| rest.bytes == BODY.slice(OFFSET..)));
        Self { by_put, by_multipart, rest }
    }

    fn metadata_finding(&self) -> Finding {
        let id = Self::IDS[0];
        match (&self.by_put, &self.by_multipart) {
            (Ok(true), Ok(true)) => Finding::ok(id, "kept by PUT and by multipart"),
            (Err(fault), _) | (_, Err(fault)) => super::failed(id, "an object", fault),
            (Ok(put), Ok(multipart)) => {
                let lost: Vec<&str> = [(put, "PUT"), (multipart, "multipart")]
                    .into_iter()
                    .filter_map(|(kept, way)| (!kept).then_some(way))
                    .collect();
                Finding::fault(id, format!("lost by {}", lost.join(" and by "))).advise(
                    "a writer cannot know its own payload here, and ends in Unsupported: use another store",
                )
            }
        }
    }

    fn rest_finding(&self) -> Finding {
        let id = Self::IDS[1];
        match &self.rest {
            Ok(true) => Finding::ok(id, "the rest came"),
            Ok(false) => Finding::fault(id, "other bytes came"),
            Err(fault) if fault.status == Some(200) => {
                Finding::fault(id, format!("the offset was ignored: {fault}"))
                    .advise("a long payload whose connection is cut cannot be read to its end")
            }
            Err(fault) => super::failed(id, "a GET from an offset", fault),
        }
    }
}

impl Observed for Contents {
    const IDS: &'static [&'static str] = &["user-metadata", "range-read"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        vec![self.metadata_finding(), self.rest_finding()]
    }
}

async fn by_put(bench: &Bench<'_>, name: &str) -> Reply<bool> {
    let token = bench.token();
    bench.place(name, &BODY, &token).await?;
    is_kept(bench, name, &token).await
}

async fn by_multipart(bench: &Bench<'_>, name: &str) -> Reply<bool> {
    let token = bench.token();
    let Ready { upload, parts } = bench.upload(name, &token, &[(1, BODY)]).await?;
    bench.scratch.complete_upload(name, &upload, &parts, Condition::CreateOnly).await?;
    is_kept(bench, name, &token).await
}

async fn is_kept(bench: &Bench<'_>, name: &str, token: &WriterToken) -> Reply<bool> {
    let head = bench.scratch.patiently(|| bench.scratch.head(name)).await?;
    Ok(head.is_some_and(|head| head.writer.as_deref() == Some(token.as_str())))
}
