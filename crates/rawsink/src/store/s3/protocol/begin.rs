//! Step 1: check the existing objects of the run.
//!
//! [ListObjectsV2](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html)

use jiff::Timestamp;

use super::{Replaced, S3Attempt};
use crate::{
    error::Result,
    store::{self, LeftoverPolicy, s3::requests::Head},
};

impl S3Attempt {
    /// Lists the run. Refuses a sealed run, and a leftover if the policy refuses it.
    ///
    /// A leftover is replaced by an upload, opened now, so that its writer, if alive, sees the
    /// upload.
    pub(in crate::store::s3) async fn begin(
        &mut self,
        run_key: &str,
        now: Timestamp,
    ) -> Result<()> {
        let Some(head) = self.listed_payload(run_key).await? else { return Ok(()) };
        if self.policy == LeftoverPolicy::Refuse {
            return Err(store::leftover_refused(head.info(), now));
        }
        self.replaced = Some(Replaced::of(&head, false));
        let opened = self.ensure_upload().await;
        if opened.is_err() {
            // The first error is returned. The next attempt finds an upload that stays open.
            let _ = self.end().await;
        }
        opened
    }

    /// Returns the payload in a listing. Fails if the listing shows a seal.
    async fn listed_payload(&self, run_key: &str) -> Result<Option<Head>> {
        let prefix = format!("{run_key}/");
        let (mut payload, mut after) = (None, None);
        loop {
            let from: Option<&str> = after.as_deref();
            let page = self.answer(|requests| requests.list(&prefix, from)).await?.value;
            if page.objects.iter().any(|(key, _)| *key == self.seal_key) {
                return Err(store::already_sealed());
            }
            let mut found = page.objects.into_iter();
            payload = payload.or(found.find(|(key, _)| *key == self.payload_key));
            // The seal's key sorts before the payload's. Keys of other software may sort before
            // both.
            after = page.next.filter(|next| *next < self.payload_key);
            if after.is_none() {
                return Ok(payload.map(|(_, head)| head));
            }
        }
    }
}
