//! Whether the end of an upload leaves the object of its key and the other uploads alone.

use bytes::Bytes;

use super::{Assumed, Examination, Observation, Ready, race};
use crate::doctor::finding::Finding;
use rawsink::store::raw::{Condition, Reply, S3Fault};

/// Observations of two uploads of one key, of which one ends.
#[derive(Debug)]
pub(super) struct Isolation {
    /// Whether an object survives the abort of an upload of its key.
    object_after_abort: Reply<bool>,
    /// Whether an upload can be completed after the abort of another one.
    upload_after_abort: Reply<bool>,
    /// Whether an upload is still listed after the Complete of another one.
    upload_after_complete: Reply<bool>,
}

impl Isolation {
    pub(super) async fn observe(exam: &Examination<'_>) -> Self {
        Self {
            object_after_abort: object_after_abort(exam).await,
            upload_after_abort: upload_after_abort(exam).await,
            upload_after_complete: upload_after_complete(exam).await,
        }
    }
}

impl Observation for Isolation {
    const IDS: &'static [&'static str] = &["upload-isolation"];

    fn findings(&self, _: &Assumed) -> Vec<Finding> {
        let id = Self::IDS[0];
        let answers = [
            (&self.object_after_abort, "an abort deletes the object of its key"),
            (&self.upload_after_abort, "an abort ends another upload of its key"),
            (&self.upload_after_complete, "a Complete ends another upload of its key"),
        ];
        let wrong: Vec<&str> =
            answers.iter().filter(|(kept, _)| **kept == Ok(false)).map(|(_, what)| *what).collect();
        if !wrong.is_empty() {
            let advice = "a writer that gives way destroys the data of another: use another store";
            return vec![Finding::fault(id, wrong.join("; ")).advise(advice)];
        }
        let fault = answers.iter().find_map(|(kept, _)| kept.as_ref().err());
        vec![match fault {
            Some(fault) => super::failed_request(id, "a request", fault),
            None => Finding::ok(id, "the object and the other upload of a key are kept"),
        }]
    }
}

fn parts() -> [(i32, Bytes); 1] {
    [(1, race::body(1))]
}

async fn object_after_abort(exam: &Examination<'_>) -> Reply<bool> {
    let (name, scratch) = ("isolation-object", exam.scratch);
    exam.create(name, &race::body(0), &exam.token()).await?;
    let Ready { upload, .. } = exam.upload(name, &exam.token(), &parts()).await?;
    abort(exam, name, &upload).await?;
    let read = scratch.with_retries(|| scratch.get(name, 0)).await?;
    Ok(read.is_some_and(|read| read.bytes == race::body(0)))
}

async fn upload_after_abort(exam: &Examination<'_>) -> Reply<bool> {
    let (name, scratch) = ("isolation-abort", exam.scratch);
    let first = exam.upload(name, &exam.token(), &parts()).await?;
    let other = exam.upload(name, &exam.token(), &parts()).await?;
    abort(exam, name, &first.upload).await?;
    let complete =
        || scratch.complete_upload(name, &other.upload, &other.parts, Condition::CreateOnly);
    let completed = scratch.with_retries(complete).await;
    let read = scratch.with_retries(|| scratch.get(name, 0)).await?;
    match (read, completed) {
        (Some(read), _) => Ok(read.bytes == race::body(1)),
        (None, Err(fault)) if fault.is_no_such_upload() => Ok(false),
        (None, Err(fault)) => Err(fault),
        (None, Ok(_)) => Ok(false),
    }
}

async fn upload_after_complete(exam: &Examination<'_>) -> Reply<bool> {
    let (name, scratch) = ("isolation-complete", exam.scratch);
    let first = exam.upload(name, &exam.token(), &parts()).await?;
    let other = exam.upload(name, &exam.token(), &parts()).await?;
    let is_listed = async || {
        let open = scratch.with_retries(|| scratch.list_uploads(name)).await?;
        Ok(open.iter().any(|upload| upload.id == other.upload))
    };
    let was_listed = is_listed().await?;
    let complete =
        || scratch.complete_upload(name, &first.upload, &first.parts, Condition::CreateOnly);
    let completed = scratch.with_retries(complete).await;
    let read = scratch.with_retries(|| scratch.get(name, 0)).await?;
    if let (None, Err(fault)) = (read, completed) {
        return Err(fault);
    }
    let is_kept = is_listed().await?;
    // It stays open otherwise. Some servers have ended it.
    let _ = scratch.abort_upload(name, &other.upload).await;
    // Another check reports a listing that does not show uploads.
    Ok(is_kept || !was_listed)
}

/// Aborts an upload. One that is gone after an unanswered abort counts.
async fn abort(exam: &Examination<'_>, name: &str, upload: &str) -> Reply<()> {
    match exam.scratch.with_retries(|| exam.scratch.abort_upload(name, upload)).await {
        Err(fault) if S3Fault::is_no_such_upload(&fault) => Ok(()),
        reply => reply,
    }
}
