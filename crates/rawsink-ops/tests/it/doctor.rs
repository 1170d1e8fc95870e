//! Findings on honest and lying stores, and on errors.

mod directory; // a directory, existing or missing
mod honest; // honest servers, and their content afterwards
mod lies; // servers with one lie each
mod pages; // the documentation names every check and every guarantee that it touches
mod trouble; // refusals, lost replies, interruptions

use rawsink_ops::doctor::{Diagnosis, Doctor, Finding, Guarantee, Severity};

use rawsink_testkit::s3_server::S3Server;

/// Returns a doctor of the server's bucket.
fn doctor(server: &S3Server) -> Doctor {
    Doctor::of_bucket(&server.config(), server.runtime(), Some(&server.connector())).unwrap()
}

async fn examine(server: &S3Server) -> Diagnosis {
    doctor(server).examine(&|_| ()).await.unwrap()
}

/// Returns the ids of the findings with this outcome.
fn ids(diagnosis: &Diagnosis, outcome: Severity) -> Vec<&'static str> {
    let found = diagnosis.findings.iter().filter(|finding| finding.outcome == outcome);
    found.map(Finding::id).collect()
}

fn numbers<'g>(guarantees: impl IntoIterator<Item = &'g Guarantee>) -> Vec<String> {
    guarantees.into_iter().map(ToString::to_string).collect()
}

/// Asserts that an examination left nothing in the bucket.
#[track_caller]
fn assert_clear(server: &S3Server) {
    let objects = server.objects();
    assert_eq!(objects.objects.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(objects.uploads.is_empty(), "{:?}", objects.uploads);
    assert!(objects.versions.is_empty(), "{:?}", objects.versions);
}
