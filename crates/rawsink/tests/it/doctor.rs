//! What an examination finds: on honest stores, on lying ones, and in trouble.

mod directory; // a directory, there or not
mod honest; // servers that keep their word, and what they are left like
mod lies; // a server with one lie each
mod pages; // the documentation names every check and every guarantee that it touches
mod trouble; // refusals, lost answers, an end before the end

use rawsink::doctor::{Diagnosis, Finding, Guarantee, Outcome};

use crate::s3_server::S3Server;

async fn examine(server: &S3Server) -> Diagnosis {
    server.doctor().examine(&|_| ()).await.unwrap()
}

/// Returns the ids of the findings of this outcome.
fn ids(diagnosis: &Diagnosis, outcome: Outcome) -> Vec<&'static str> {
    let found = diagnosis.findings.iter().filter(|finding| finding.outcome == outcome);
    found.map(Finding::id).collect()
}

fn numbers<'g>(guarantees: impl IntoIterator<Item = &'g Guarantee>) -> Vec<String> {
    guarantees.into_iter().map(ToString::to_string).collect()
}

/// Asserts that nothing of an examination is in the bucket.
#[track_caller]
fn assert_clear(server: &S3Server) {
    let objects = server.objects();
    assert_eq!(objects.stored.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(objects.uploads.is_empty(), "{:?}", objects.uploads);
    assert!(objects.versions.is_empty(), "{:?}", objects.versions);
}
