//! What a lost reply looks like: the same request again.

use bytes::Bytes;

use super::{Assumed, Bench, Observed, Ready, told};
use crate::{
    doctor::finding::Finding,
    store::scratch::{Condition, Reply},
};

const BODY: Bytes = Bytes::from_static(b"sent twice");

/// What was seen of requests that were sent twice.
#[derive(Debug)]
pub(super) struct Repetition {
    put: Reply<Twice>,
    complete: Reply<Twice>,
}

/// A request that was answered 2xx and sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Twice {
    /// What the second sending was told: the tag, where there was one.
    again: Reply<Option<String>>,
    /// Whether the object is as the first made it.
    kept: Reply<bool>,
}

impl Repetition {
    pub(super) async fn observe(bench: &Bench<'_>) -> Self {
        Self { put: put(bench).await, complete: complete(bench).await }
    }
}

impl Observed for Repetition {
    const IDS: &'static [&'static str] = &["lost-reply"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let (put, complete) = match (&self.put, &self.complete) {
            (Ok(put), Ok(complete)) => (put, complete),
            (Err(fault), _) => return vec![super::failed(id, "a PUT", fault)],
            (_, Err(fault)) => return vec![super::failed(id, "a Complete", fault)],
        };
        let said = |again: &Reply<Option<String>>| match again {
            Ok(None) => "2xx without a tag".to_owned(),
            again => told(again),
        };
        let seen =
            format!("PUT again: {}; Complete again: {}", said(&put.again), said(&complete.again));
        vec![match (&put.kept, &complete.kept) {
            (Ok(true), Ok(true)) => Finding::ok(id, seen),
            (Err(fault), _) | (_, Err(fault)) => super::failed(id, "a GET", fault),
            _ => Finding::fault(id, format!("{seen}; the object is not what it was before"))
                .advise("what a writer was told here means nothing: use another store"),
        }]
    }
}

async fn put(bench: &Bench<'_>) -> Reply<Twice> {
    let (name, token) = ("put-twice", bench.token());
    bench.place(name, &BODY, &token).await?;
    let again = bench.scratch.create(name, &BODY, &token).await.map(Some);
    Ok(Twice { again, kept: is_kept(bench, name).await })
}

async fn complete(bench: &Bench<'_>) -> Reply<Twice> {
    let (name, token, scratch) = ("complete-twice", bench.token(), bench.scratch);
    let Ready { upload, parts } = bench.upload(name, &token, &[(1, BODY)]).await?;
    let complete = || scratch.complete_upload(name, &upload, &parts, Condition::CreateOnly);
    complete().await?;
    Ok(Twice { again: complete().await, kept: is_kept(bench, name).await })
}

async fn is_kept(bench: &Bench<'_>, name: &str) -> Reply<bool> {
    let read = bench.scratch.patiently(|| bench.scratch.get(name, 0)).await?;
    Ok(read.is_some_and(|read| read.bytes == BODY))
}
