//! Step 2: create the newest upload of the key. The newest wins; earlier ones are aborted.
//!
//! [CreateMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html),
//! [ListMultipartUploads](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html),
//! [AbortMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html)

use super::{S3Attempt, superseded};
use crate::{
    error::{Error, ErrorKind, Result},
    store::s3::requests::OpenUpload,
};

impl S3Attempt {
    /// Returns whether an upload is open. Without one, a payload of one part is sent by a single
    /// PUT.
    pub(in crate::store::s3) fn has_upload(&self) -> bool {
        self.upload.is_some()
    }

    /// Opens an upload, unless one is open.
    pub(in crate::store::s3) async fn ensure_upload(&mut self) -> Result<()> {
        if self.has_upload() { Ok(()) } else { self.open_upload().await }
    }

    /// Creates an upload and checks that it is the newest of this key.
    ///
    /// If a later one exists, tries once more. Uploads listed before the second try count as
    /// earlier, regardless of their time: the gateways of a server may have different clocks.
    pub(super) async fn open_upload(&mut self) -> Result<()> {
        let mut seen: Vec<OpenUpload> = Vec::new();
        let mut tries = 2;
        loop {
            let (key, token) = (self.payload_key.clone(), self.token.clone());
            let id = self.answer(|requests| requests.create_upload(&key, &token)).await?.value;
            self.upload = Some(id.clone());
            let uploads = self.list_uploads().await?.value;
            self.quiet_since = self.monotonic();
            let Some(mine) = uploads.iter().find(|upload| upload.id == id) else {
                self.upload = None;
                return Err(superseded("its upload was aborted"));
            };
            let is_later = |upload: &&OpenUpload| {
                *upload > mine && seen.iter().all(|known| known.id != upload.id)
            };
            let others: Vec<String> = uploads
                .iter()
                .filter(|upload| upload.id != id)
                .map(|upload| upload.id.clone())
                .collect();
            if uploads.iter().find(is_later).is_none() {
                return self.abort_others(&others).await;
            }
            tries -= 1;
            if tries == 0 {
                return Err(superseded("a newer upload of this run is open"));
            }
            self.upload = None;
            self.abort_uploads(&[id]).await?;
            seen = self.list_uploads().await?.value;
        }
    }

    /// Aborts the uploads of earlier writers, unless one of them has sealed meanwhile.
    ///
    /// Some servers still list an upload if a gateway died during its Complete. Aborting it would
    /// delete the payload's bytes.
    async fn abort_others(&mut self, others: &[String]) -> Result<()> {
        if others.is_empty() {
            return Ok(());
        }
        self.require_unsealed().await?;
        // Set first: even if an abort fails, this upload now supersedes others. An upload that this
        // attempt aborted before may still be listed; it is not another writer's.
        self.aborted_another |= others.iter().any(|id| !self.aborted.contains(id));
        self.abort_uploads(others).await
    }

    /// Aborts uploads, and waits until a listing no longer shows them.
    ///
    /// An upload that is still listed is aborted again: on MinIO a part in flight restores an
    /// aborted upload.
    async fn abort_uploads(&mut self, ids: &[String]) -> Result<()> {
        let key = self.payload_key.clone();
        let tries = self.context.retrier.tries();
        let mut open = ids.to_vec();
        while !open.is_empty() {
            if tries.are_over() {
                let seconds = tries.elapsed().as_secs();
                let message = format!("the server still lists an aborted upload after {seconds} s");
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            for id in &open {
                match self.answer_raw(|requests| requests.abort_upload(&key, id)).await {
                    Err(fault) if !fault.is_upload_gone() => return Err(fault.into()),
                    _ => self.quiet_since = self.monotonic(),
                }
            }
            let listed = self.list_uploads().await?.value;
            open.retain(|id| listed.iter().any(|upload| upload.id == *id));
            if !open.is_empty() {
                self.context.retrier.poll().await;
            }
        }
        self.aborted.extend_from_slice(ids);
        Ok(())
    }
}
