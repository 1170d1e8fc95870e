//! Step 6: create the seal, or return an error that shows whether it may exist.
//!
//! If every request was cleanly refused, any error may be returned. After an unclear answer only
//! four outcomes remain: sealed, `AlreadySealed` (another's seal was read), `Corrupt` and
//! `Unknown`. No upload is opened or aborted any more.
//!
//! [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html),
//! [GetObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html)

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{S3Attempt, Seen};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        self, SealDocument, WriterToken,
        s3::{
            fault::S3Fault,
            requests::{Condition, Reply},
            retry::Tries,
        },
    },
};

/// The seal as GET shows it.
pub(super) enum SealSeen {
    Absent,
    Mine,
    Another(Option<String>),
}

impl S3Attempt {
    /// Steps 5 and 6: checks once more, sends the seal and returns its token.
    pub(in crate::store::s3) async fn seal(
        &mut self,
        document: &SealDocument<'_>,
    ) -> Result<WriterToken> {
        let outcome = self.until_sealed(document).await;
        outcome.map_err(|error| match error.kind() {
            ErrorKind::Unknown => error.by_writer(&self.token),
            _ => error,
        })
    }

    async fn until_sealed(&mut self, document: &SealDocument<'_>) -> Result<WriterToken> {
        let mut tries = self.context.retrier.tries_until(self.context.timing.complete_deadline);
        let sent = self.payload_sent.filter(|_| self.may_skip_check());
        let mut checked = sent.or(self.checked.take());
        // The bytes of a seal that may be in flight. No other bytes are sent after it.
        let mut in_doubt: Option<Bytes> = None;
        loop {
            if tries.are_over() {
                return Err(out_of_time(&tries, in_doubt.is_some()));
            }
            let since = match checked.filter(|since| self.is_fresh(*since)) {
                Some(since) => since,
                None => self.check_before_seal(in_doubt.is_some()).await?,
            };
            checked = Some(since);
            let bytes = in_doubt.clone().unwrap_or_else(|| document(&self.token));
            // A check that took too long is out of date.
            if !self.is_fresh(since) {
                continue;
            }
            let sent = self
                .context
                .requests
                .put(
                    &self.seal_key,
                    bytes.clone(),
                    Condition::CreateOnly,
                    &self.token,
                    Some(self.context.timing.seal_timeout),
                )
                .await;
            let fault = match sent {
                Ok(_) => return self.evidence(since).await,
                Err(fault) if in_doubt.is_none() && fault.refuses_seal() => {
                    return Err(fault.into());
                }
                Err(fault) => fault,
            };
            in_doubt = Some(bytes.clone());
            match self.check_seal(&bytes, &tries).await? {
                SealSeen::Mine => return self.evidence(since).await,
                SealSeen::Another(writer) => return Err(sealed_by(writer)),
                SealSeen::Absent => {
                    tries.pause(Some(&fault)).await;
                }
            }
        }
    }

    /// Returns whether step 5 is unnecessary: the server refuses a second payload, and this attempt
    /// replaced none.
    pub(super) fn may_skip_check(&self) -> bool {
        self.enforces_conditions() && self.replaced.is_none()
    }

    async fn check_before_seal(&mut self, in_doubt: bool) -> Result<Duration> {
        if !in_doubt {
            return self.last_check().await;
        }
        match self.check_again().await {
            Ok((since, true, Seen::Mine(_))) => Ok(since),
            Ok((_, alone, seen)) => Err(unknown(&doubt(alone, &seen))),
            Err(error) => Err(unknown(error.message())),
        }
    }

    /// Repeats the checks of step 5. Returns the time of the listing, whether no rival has an
    /// upload open, and the payload.
    async fn check_again(&self) -> Result<(Duration, bool, Seen)> {
        let listed = self.list_uploads().await?;
        let alone = !self.has_rival_upload(&listed.value);
        Ok((listed.sent, alone, self.check_payload().await?))
    }

    /// Confirms my existing seal. After the grace another writer may have started to replace the
    /// payload, so this checks once more.
    async fn evidence(&self, since: Duration) -> Result<WriterToken> {
        if self.elapsed().saturating_sub(since) <= self.context.timing.leftover_grace {
            return Ok(self.token.clone());
        }
        let checked = self.check_again().await;
        if matches!(checked, Ok((_, _, Seen::Absent))) {
            // A gateway may have answered.
            let payload = self.find(&self.payload_key).await;
            let payload = payload.map_err(|error| unknown(error.message()))?;
            if payload.is_some() {
                return Err(unknown("the payload was not found by one of two requests"));
            }
        }
        match checked {
            Ok((_, true, Seen::Mine(_))) => Ok(self.token.clone()),
            Ok((_, _, Seen::Absent | Seen::Leftover | Seen::Another(_))) => {
                Err(Error::corrupt("the run is sealed, but its payload was replaced meanwhile"))
            }
            Ok((_, alone, seen)) => Err(unknown(&doubt(alone, &seen))),
            Err(error) => Err(unknown(error.message())),
        }
    }

    /// Reads the seal, with retries until the sealing deadline.
    async fn check_seal(&self, mine: &Bytes, sealing: &Tries) -> Result<SealSeen> {
        let left = self.context.timing.complete_deadline.saturating_sub(sealing.elapsed());
        let mut tries = self.context.retrier.tries_until(left);
        loop {
            let fault = match self.read_seal(mine).await {
                Ok(seen) => return Ok(seen),
                Err(fault) => fault,
            };
            if !fault.may_pass() || !tries.pause(Some(&fault)).await {
                return Err(unknown(&format!("cannot read the seal back: {fault}")));
            }
        }
    }

    /// Returns whether a check is recent enough to send the seal.
    fn is_fresh(&self, since: Duration) -> bool {
        self.elapsed().saturating_sub(since) < self.context.timing.seal_deadline
    }

    /// Reads enough of the seal to see whose it is.
    pub(super) async fn read_seal(&self, mine: &Bytes) -> Reply<SealSeen> {
        let Some(mut content) = self.context.requests.get(&self.seal_key, 0).await? else {
            return Ok(SealSeen::Absent);
        };
        let mut found = BytesMut::new();
        while let Some(chunk) = content.chunks.next().await {
            found.extend_from_slice(&chunk?);
            if found.len() > mine.len() {
                return Ok(SealSeen::Another(content.writer));
            }
        }
        // An incomplete answer with my seal would look like another writer's.
        if (found.len() as u64) < content.bytes {
            return Err(S3Fault::truncated());
        }
        Ok(if found == *mine { SealSeen::Mine } else { SealSeen::Another(content.writer) })
    }
}

fn sealed_by(writer: Option<String>) -> Error {
    let error = store::already_sealed();
    match writer {
        Some(writer) => error.by_writer(writer),
        None => error,
    }
}

fn out_of_time(tries: &Tries, in_doubt: bool) -> Error {
    let message = format!("the server did not accept the seal after {}", tries.summary());
    if in_doubt { unknown(&message) } else { Error::new(ErrorKind::Unavailable, message) }
}

fn doubt(alone: bool, seen: &Seen) -> String {
    let payload = match seen {
        Seen::Mine(_) => "the payload is this writer's",
        Seen::Absent => "the payload is gone",
        Seen::Leftover | Seen::Another(_) => "another payload exists",
    };
    let rivals = if alone { "no other upload is open" } else { "another upload of it is open" };
    format!("{payload}, {rivals}")
}

fn unknown(seen: &str) -> Error {
    Error::new(
        ErrorKind::Unknown,
        format!("the seal was sent and may exist or still appear; seen: {seen}"),
    )
}
