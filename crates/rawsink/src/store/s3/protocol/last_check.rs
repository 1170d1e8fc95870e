//! Step 5: the last check before the seal.

use std::time::Duration;

use bytes::Bytes;

use super::{Phase, Replaced, S3Attempt, Seen, superseded};
use crate::{
    error::Result,
    store::{WriterToken, s3::requests::Head},
};

impl S3Attempt {
    /// Checks that no other writer has an upload open, then that the payload is mine.
    ///
    /// Returns the time of the upload listing, on the clock of the deadlines. If a rival has an
    /// upload open, a payload from a single PUT is sent again by an upload, with a new token.
    pub(super) async fn last_check(&mut self) -> Result<Duration> {
        loop {
            let listed = self.list_uploads().await?;
            let has_rival = self.has_rival_upload(&listed.value);
            // Before the HEAD: on some servers the rival's abort, beside the Complete, costs the payload its token.
            if has_rival && !matches!(self.phase, Phase::Single(_)) {
                return Err(superseded("a newer upload of this run is open"));
            }
            let Seen::Mine(head) = self.check_payload().await? else {
                return Err(superseded("another payload exists"));
            };
            match &self.phase {
                Phase::Single(payload) if has_rival => {
                    let payload = payload.clone();
                    self.send_by_upload(&head, payload).await?;
                }
                _ => return Ok(listed.sent),
            }
        }
    }

    async fn send_by_upload(&mut self, own: &Head, payload: Bytes) -> Result<()> {
        self.replaced = Some(Replaced::of(own, true));
        self.token = WriterToken::new(self.context.retrier.runtime.tokens.next());
        (self.phase, self.tag) = (Phase::Rows, None);
        self.open_upload().await?;
        let part = self.part(1, payload).await?;
        self.complete(&[part], self.size).await
    }
}
