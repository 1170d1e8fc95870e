//! Restores a damaged object of a sealed run.
//!
//! This is no step of an attempt, and other processes cannot be kept away: writers end at the seal, and
//! another restore sends the same bytes. So it waits for nothing and aborts no upload but its own.
//!
//! 1. Check that the run has the seal that covers the payload; create an upload.
//! 2. Send the parts. Their sender compares the bytes with the seal before the last one.
//! 3. Check the seal again; Complete without a condition. If the outcome is unclear, HEAD decides.
//!
//! [CompleteMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html),
//! [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html)

use bytes::Bytes;

use super::{Part, Purpose, Replaced, S3Attempt, S3Context, seal::SealSeen};
use crate::{
    error::Result,
    store::{self, LeftoverPolicy, WriterToken, s3::requests::Condition},
};

impl S3Attempt {
    /// Creates a restore of a sealed run. Sends nothing.
    pub(in crate::store::s3) fn restoring(
        context: S3Context,
        run_key: &str,
        token: WriterToken,
    ) -> Self {
        let attempt = Self::new(context, run_key, token, LeftoverPolicy::Replace);
        Self { purpose: Purpose::Restore, ..attempt }
    }

    /// Step 1. `seal` is the seal that the run must have.
    pub(in crate::store::s3) async fn begin_restore(&mut self, seal: &Bytes) -> Result<()> {
        self.require_seal(seal).await?;
        let damaged = self.find(&self.payload_key).await?;
        self.replaced = damaged.map(|head| Replaced::of(&head, true));
        let created =
            self.answer(|requests| requests.create_upload(&self.payload_key, &self.token)).await?;
        self.upload = Some(created.value);
        Ok(())
    }

    /// Step 3, with all parts of a payload of `size` bytes.
    pub(in crate::store::s3) async fn complete_restore(
        &mut self,
        parts: &[Part],
        size: u64,
        seal: &Bytes,
    ) -> Result<()> {
        self.size = size;
        self.require_seal(seal).await?;
        self.send_complete(parts, Condition::Replace).await
    }

    /// Replaces the seal. Sending the same bytes again is safe, so an unclear answer is a retry.
    pub(in crate::store::s3) async fn restore_seal(&self, document: &Bytes) -> Result<()> {
        if self.find(&self.seal_key).await?.is_none() {
            return Err(store::not_sealed());
        }
        let timeout = Some(self.context.timing.seal_timeout);
        self.answer(|requests| {
            let (key, condition) = (&self.seal_key, Condition::Replace);
            requests.put(key, document.clone(), condition, &self.token, timeout)
        })
        .await?;
        Ok(())
    }

    /// Checks that the run is sealed with exactly these bytes.
    async fn require_seal(&self, seal: &Bytes) -> Result<()> {
        let read = self.context.retrier.answered(|| Box::pin(self.read_seal(seal))).await?;
        match read.value {
            SealSeen::Mine => Ok(()),
            SealSeen::Absent => Err(store::not_sealed()),
            SealSeen::Another(_) => Err(store::seal_differs()),
        }
    }
}
