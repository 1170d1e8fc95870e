//! Whether an object is absent.
//!
//! The answer to a HEAD has no error code, so a 404 of any gateway on the way looks like that of a missing
//! object. A listing proves it. The usual path of a writer does not check this: its create-only seal decides.

use super::{
    fault::S3Fault,
    requests::{Head, Requests},
    retry::Retrier,
};

/// How often HEAD and listing may differ: the object may appear or disappear between them.
const TRIES: usize = 3;

/// Returns the object of a key; `None` if a listing proves that it does not exist.
pub(super) async fn find(
    requests: &dyn Requests,
    retrier: &Retrier,
    key: &str,
) -> Result<Option<Head>, S3Fault> {
    for tried in 0..TRIES {
        if tried > 0 {
            retrier.poll().await;
        }
        if let Some(head) = retrier.answered(|| requests.head(key)).await?.value {
            return Ok(Some(head));
        }
        let listed = retrier.answered(|| requests.list(key, None)).await?.value.objects;
        if listed.iter().all(|(found, _)| found != key) {
            return Ok(None);
        }
    }
    Err(S3Fault::contradicted(key))
}
