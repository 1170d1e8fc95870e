//! Cleans up after a failed attempt.

use super::{Phase, S3Attempt};
use crate::store::s3::requests::Reply;

impl S3Attempt {
    /// Aborts the attempt's own upload, if that is safe.
    ///
    /// After Complete was sent it is not: on some servers an abort during a running Complete loses
    /// the object hours later. If the attempt aborted another's upload, its own stays open too, as
    /// a sign for superseded writers. The next attempt aborts it.
    pub(in crate::store::s3) async fn end(&mut self) -> Reply<()> {
        if self.phase != Phase::Rows || self.aborted_another {
            return Ok(());
        }
        let Some(id) = self.upload.take() else { return Ok(()) };
        let key = self.payload_key.clone();
        self.answer_raw(|requests| requests.abort_upload(&key, &id)).await.map(|_| ())
    }
}
