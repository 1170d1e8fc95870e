//! Step 4: the payload appears whole, by one PUT or by Complete.

use bytes::Bytes;

use super::{Attempt, Leftover, Seen, Stage, superseded};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        LeftoverPolicy,
        s3::{fault::Fault, requests::Condition, retry},
    },
};

/// A part that the server has: its number, and the tag that was answered.
pub(in crate::store::s3) type Part = (i32, String);

/// What an answer to the payload request means.
enum Next {
    Done,
    SendAgain,
}

impl Attempt {
    /// Sends one part.
    ///
    /// # Errors
    /// `Conflict` where the upload is gone: a newer writer ended it, or a lifecycle rule did.
    pub(in crate::store::s3) async fn part(&self, number: i32, body: Bytes) -> Result<Part> {
        let upload = self.upload.as_deref().ok_or_else(|| superseded("its upload was ended"))?;
        let sent = self
            .answer_raw(|requests| {
                requests.upload_part(&self.payload_key, upload, number, body.clone())
            })
            .await;
        match sent {
            Ok(answered) => Ok((number, answered.value)),
            Err(fault) if fault.says_that_the_upload_ended() => {
                Err(superseded("its upload was ended"))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Sends a payload that fits one part, by a single PUT that creates.
    pub(in crate::store::s3) async fn put(&mut self, payload: Bytes) -> Result<()> {
        self.size = payload.len() as u64;
        self.stage = Stage::Single(payload.clone());
        let (requests, key, token) =
            (self.requests.clone(), self.payload_key.clone(), self.token.clone());
        self.until_there(|| {
            let (requests, key, token, body) =
                (requests.clone(), key.clone(), token.clone(), payload.clone());
            Box::pin(async move {
                let tag = requests.create(&key, body, &token, retry::PART_TIMEOUT).await?;
                Ok(Some(tag).filter(|tag| !tag.is_empty()))
            })
        })
        .await
    }

    /// Completes the upload, after the grace and a look.
    ///
    /// A payload that appeared since the attempt began is a leftover from now on, with a grace of
    /// its own: its writer has to seal within that time, or sees this upload and yields.
    pub(in crate::store::s3) async fn complete(&mut self, parts: &[Part], size: u64) -> Result<()> {
        self.size = size;
        let mut seen = self.look_after_grace().await?;
        if let (Seen::Another(head), LeftoverPolicy::Replace) = (&seen, self.policy) {
            self.leftover = Some(Leftover::of(head, false));
            self.quiet_since = self.surroundings.clock.monotonic();
            seen = self.look_after_grace().await?;
        }
        match seen {
            Seen::Absent | Seen::Leftover => {}
            Seen::Mine(_) | Seen::Another(_) => return Err(superseded("another payload is there")),
        }
        let upload = self.upload.clone().ok_or_else(|| superseded("its upload was ended"))?;
        let condition =
            if self.leftover.is_some() { Condition::Replace } else { Condition::CreateOnly };
        self.stage = Stage::CompleteSent;
        let (requests, key, parts) =
            (self.requests.clone(), self.payload_key.clone(), parts.to_vec());
        self.until_there(|| {
            let (requests, key, upload, parts) =
                (requests.clone(), key.clone(), upload.clone(), parts.clone());
            Box::pin(
                async move { requests.complete_upload(&key, &upload, &parts, condition).await },
            )
        })
        .await
    }

    async fn look_after_grace(&self) -> Result<Seen> {
        self.wait_for_grace().await;
        self.look().await
    }

    /// Sends the payload request until the payload is there, or cannot be any more.
    async fn until_there(
        &mut self,
        send: impl Fn() -> retry::Sending<'static, Option<String>> + Send,
    ) -> Result<()> {
        let clock = self.surroundings.clock.clone();
        let start = clock.elapsed();
        let mut in_doubt = false;
        let mut pause = retry::Pauses::new(&self.surroundings);
        loop {
            self.payload_sent.get_or_insert(clock.elapsed());
            let reply = send().await;
            if let Next::Done = self.judge(reply.as_ref(), &mut in_doubt).await? {
                return Ok(());
            }
            if clock.elapsed().saturating_sub(start) > self.rules.complete_deadline {
                let message = "the server did not make the payload appear in time";
                let why =
                    reply.err().map(|fault| format!(": {}", fault.message)).unwrap_or_default();
                return Err(Error::new(ErrorKind::Unavailable, format!("{message}{why}")));
            }
            pause.wait(reply.as_ref().err()).await;
        }
    }

    /// Decides by the answer where it is clean, else by what a look shows.
    async fn judge(
        &mut self,
        reply: Result<&Option<String>, &Fault>,
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
            return Err(fault.clone().into());
        }
        *in_doubt |= fault.is_none_or(Fault::may_have_been_applied);
        let upload_gone = fault.is_some_and(Fault::is_no_such_upload);
        match self.look().await? {
            Seen::Mine(_) => Ok(Next::Done),
            Seen::Absent | Seen::Leftover if upload_gone => Err(superseded("its upload was ended")),
            Seen::Absent | Seen::Leftover => self.send_again_or_yield().await,
            Seen::Another(_) => Err(superseded("another payload is there")),
        }
    }

    /// Decides by the list of uploads whether a Complete can still succeed: Ceph calls that of an
    /// upload which was ended "already in progress", for ever.
    async fn send_again_or_yield(&mut self) -> Result<Next> {
        let Some(own) = self.upload.clone() else { return Ok(Next::SendAgain) };
        if self.list_uploads().await?.value.iter().any(|upload| upload.id == own) {
            return Ok(Next::SendAgain);
        }
        // It is gone because it was ended, or because it was completed since the look.
        match self.look().await? {
            Seen::Mine(_) => Ok(Next::Done),
            _ => Err(superseded("its upload was ended")),
        }
    }
}
