//! Step 4: create the complete payload, by one PUT or by Complete.
//!
//! [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html),
//! [UploadPart](https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html),
//! [CompleteMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)

use bytes::Bytes;

use super::{LOOKS, Phase, Purpose, Replaced, S3Attempt, Seen, superseded};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        LeftoverPolicy,
        s3::{fault::S3Fault, requests::Condition, retry::Sending},
    },
};

/// A part on the server: its number and its tag.
pub(in crate::store::s3) type Part = (i32, String);

/// The consequence of an answer to the payload request.
enum Next {
    Done,
    SendAgain,
}

impl S3Attempt {
    /// Sends one part.
    ///
    /// # Errors
    /// `Conflict` if the upload is gone: a newer writer or a lifecycle rule aborted it.
    pub(in crate::store::s3) async fn part(&self, number: i32, body: Bytes) -> Result<Part> {
        let upload = self.upload.as_deref().ok_or_else(upload_aborted)?;
        let mut tries = self.context.retrier.tries();
        loop {
            let requests = &self.context.requests;
            let sent = requests.upload_part(&self.payload_key, upload, number, body.clone());
            let fault = match sent.await {
                Ok(tag) => return Ok((number, tag)),
                Err(fault) => fault,
            };
            if fault.is_upload_gone() || self.is_ended(upload, &fault).await? {
                return Err(upload_aborted());
            }
            if !fault.may_pass() {
                return Err(refused_part(&body, fault));
            }
            tries.start_deadline();
            if !tries.pause(Some(&fault)).await {
                return Err(tries.give_up(fault).into());
            }
        }
    }

    /// Returns whether a request failed because another writer ended its upload. Some servers answer 500 to a
    /// part then, or `InvalidPart` to a Complete, and may still list the upload, for a while or for good: then
    /// that writer's own upload shows it. Others refuse a part and close the connection, and the refusal is
    /// lost on its way.
    async fn is_ended(&self, upload: &str, fault: &S3Fault) -> Result<bool> {
        let looks = match fault.status {
            _ if fault.is_invalid_part() => LOOKS,
            None | Some(500) => 1,
            _ => 0,
        };
        for look in 0..looks {
            if look > 0 {
                self.context.retrier.poll().await;
            }
            match self.context.requests.list_uploads(&self.payload_key).await {
                Ok(listed) if listed.iter().all(|open| open.id != upload) => return Ok(true),
                Ok(listed) if self.has_rival_upload(&listed) => return Ok(true),
                Err(denial) if denial.is_denied() => return Err(denial.into()),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Sends a payload that fits one part, by a single create-only PUT, and makes the last check before the
    /// seal: if a rival has an upload open, the payload has to be sent again after a grace, and a caller
    /// may give up until then.
    pub(in crate::store::s3) async fn put(&mut self, payload: Bytes) -> Result<()> {
        self.size = payload.len() as u64;
        self.phase = Phase::Single(payload.clone());
        let (requests, key, token) =
            (self.context.requests.clone(), self.payload_key.clone(), self.token.clone());
        self.until_it_exists(|| {
            let (requests, key, token, body) =
                (requests.clone(), key.clone(), token.clone(), payload.clone());
            Box::pin(async move {
                let tag = requests.put(&key, body, Condition::CreateOnly, &token, None).await?;
                Ok(Some(tag).filter(|tag| !tag.is_empty()))
            })
        })
        .await?;
        if !self.may_skip_check() {
            self.checked = Some(self.last_check().await?);
        }
        Ok(())
    }

    /// Completes the upload, after the grace and another check.
    ///
    /// A payload that appeared since the start of the attempt now counts as a leftover, with a new
    /// grace. Its writer has to seal within that time, or sees this upload and yields.
    pub(in crate::store::s3) async fn complete(&mut self, parts: &[Part], size: u64) -> Result<()> {
        self.size = size;
        let mut seen = self.check_after_grace().await?;
        if let (Seen::Another(head), LeftoverPolicy::Replace) = (&seen, self.policy) {
            self.replaced = Some(Replaced::of(head, false));
            self.quiet_since = self.monotonic();
            seen = self.check_after_grace().await?;
        }
        match seen {
            Seen::Absent | Seen::Leftover => {}
            Seen::Mine(_) | Seen::Another(_) => return Err(superseded("another payload exists")),
        }
        let condition =
            if self.replaced.is_some() { Condition::Replace } else { Condition::CreateOnly };
        self.send_complete(parts, condition).await
    }

    /// Sends Complete until the payload exists or cannot appear any more.
    pub(super) async fn send_complete(
        &mut self,
        parts: &[Part],
        condition: Condition,
    ) -> Result<()> {
        let upload = self.upload.clone().ok_or_else(upload_aborted)?;
        self.phase = Phase::CompleteSent;
        let (requests, key, parts) =
            (self.context.requests.clone(), self.payload_key.clone(), parts.to_vec());
        self.until_it_exists(|| {
            let (requests, key, upload, parts) =
                (requests.clone(), key.clone(), upload.clone(), parts.clone());
            Box::pin(
                async move { requests.complete_upload(&key, &upload, &parts, condition).await },
            )
        })
        .await
    }

    async fn check_after_grace(&self) -> Result<Seen> {
        self.wait_for_grace().await;
        self.check_objects().await
    }

    /// Sends the payload request until the payload exists or cannot appear any more.
    async fn until_it_exists(
        &mut self,
        send: impl Fn() -> Sending<'static, Option<String>> + Send,
    ) -> Result<()> {
        let mut tries = self.context.retrier.tries_until(self.context.timing.complete_deadline);
        let mut in_doubt = false;
        loop {
            let now = self.elapsed();
            self.payload_sent.get_or_insert(now);
            let reply = send().await;
            if let Next::Done = self.judge(reply.as_ref(), &mut in_doubt).await? {
                return Ok(());
            }
            if !tries.pause(reply.as_ref().err()).await {
                let why =
                    reply.err().map(|fault| format!(": {}", fault.message)).unwrap_or_default();
                let message = format!("the payload did not appear after {}{why}", tries.summary());
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
        }
    }

    /// Returns the consequence of a clean answer. For any other answer, HEAD decides.
    async fn judge(
        &mut self,
        reply: Result<&Option<String>, &S3Fault>,
        in_doubt: &mut bool,
    ) -> Result<Next> {
        let fault = match reply {
            Ok(Some(tag)) => {
                self.tag = Some(tag.clone());
                return Ok(Next::Done);
            }
            Ok(None) => None,
            Err(fault) => Some(fault),
        };
        if let Some(fault) = fault.filter(|fault| fault.refuses_payload() && !*in_doubt) {
            let ended = match self.upload.as_deref() {
                Some(upload) => self.is_ended(upload, fault).await?,
                None => false,
            };
            return Err(if ended { upload_aborted() } else { fault.clone().into() });
        }
        *in_doubt |= fault.is_none_or(S3Fault::may_have_been_applied);
        let upload_gone = fault.is_some_and(S3Fault::is_no_such_upload);
        match self.check_objects().await? {
            Seen::Mine(_) => Ok(Next::Done),
            // A restore expects the damaged payload, or that of a concurrent restore.
            Seen::Another(_) if self.purpose == Purpose::Land => {
                Err(superseded("another payload exists"))
            }
            _ if upload_gone => Err(upload_aborted()),
            _ => self.send_again_or_yield().await,
        }
    }

    /// Checks in the list of uploads whether a Complete can still succeed. Ceph answers every
    /// Complete of an aborted upload with "already in progress".
    async fn send_again_or_yield(&mut self) -> Result<Next> {
        let Some(own) = self.upload.clone() else { return Ok(Next::SendAgain) };
        if self.list_uploads().await?.value.iter().any(|upload| upload.id == own) {
            return Ok(Next::SendAgain);
        }
        // It was aborted, or completed since the check.
        match self.check_objects().await? {
            Seen::Mine(_) => Ok(Next::Done),
            _ => Err(upload_aborted()),
        }
    }
}

/// Returns the error of a part that the server refuses for good.
fn refused_part(part: &Bytes, fault: S3Fault) -> Error {
    if !part.is_empty() || !fault.wants_length() {
        return fault.into();
    }
    let message = format!(
        "this server takes no empty part, so an empty payload cannot replace another one: delete that \
         payload first, or use another run id ({fault})"
    );
    Error::new(ErrorKind::Unsupported, message)
}

fn upload_aborted() -> Error {
    superseded("its upload was aborted")
}
