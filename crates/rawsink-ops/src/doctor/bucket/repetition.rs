//! Repeated requests, as after a lost reply.

use bytes::Bytes;

use super::{Assumed, Examination, Observation, Ready, describe};
use crate::doctor::finding::Finding;
use rawsink::store::raw::{Condition, Reply};

const BODY: Bytes = Bytes::from_static(b"sent twice");

/// Observations of requests that were sent twice.
#[derive(Debug)]
pub(super) struct Repetition {
    put: Reply<Twice>,
    complete: Reply<Twice>,
}

/// A request that got 2xx and was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Twice {
    /// The reply to the second request: the entity tag, if it has one.
    again: Reply<Option<String>>,
    /// Whether the object is unchanged by the second request.
    kept: Reply<bool>,
}

impl Repetition {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        Self { put: put(exam).await, complete: complete(exam).await }
    }
}

impl Observation for Repetition {
    const IDS: &'static [&'static str] = &["lost-reply"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let (put, complete) = match (&self.put, &self.complete) {
            (Ok(put), Ok(complete)) => (put, complete),
            (Err(fault), _) => return vec![super::failed_request(id, "a PUT", fault)],
            (_, Err(fault)) => return vec![super::failed_request(id, "a Complete", fault)],
        };
        let reply = |again: &Reply<Option<String>>| match again {
            Ok(None) => "2xx without an ETag".to_owned(),
            again => describe(again),
        };
        let seen = format!(
            "repeated PUT: {}; repeated Complete: {}",
            reply(&put.again),
            reply(&complete.again)
        );
        vec![match (&put.kept, &complete.kept) {
            (Ok(true), Ok(true)) => Finding::ok(id, seen),
            (Err(fault), _) | (_, Err(fault)) => super::failed_request(id, "a GET", fault),
            _ => Finding::fault(id, format!("{seen}; the repeated request changed the object"))
                .advise("writers cannot rely on the answers of this server: use another store"),
        }]
    }
}

async fn put(exam: &Examination<'_>) -> Reply<Twice> {
    let (name, token) = ("put-twice", exam.token());
    exam.create(name, &BODY, &token).await?;
    let again = exam.scratch.create(name, &BODY, &token).await.map(Some);
    Ok(Twice { again, kept: is_kept(exam, name).await })
}

async fn complete(exam: &Examination<'_>) -> Reply<Twice> {
    let (name, token, scratch) = ("complete-twice", exam.token(), exam.scratch);
    let Ready { upload, parts } = exam.upload(name, &token, &[(1, BODY)]).await?;
    let complete = || scratch.complete_upload(name, &upload, &parts, Condition::CreateOnly);
    complete().await?;
    Ok(Twice { again: complete().await, kept: is_kept(exam, name).await })
}

async fn is_kept(exam: &Examination<'_>, name: &str) -> Reply<bool> {
    let read = exam.scratch.with_retries(|| exam.scratch.get(name, 0)).await?;
    Ok(read.is_some_and(|read| read.bytes == BODY))
}
