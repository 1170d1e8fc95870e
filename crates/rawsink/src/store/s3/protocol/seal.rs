//! Step 6: the seal appears, or what became of it is said honestly.
//!
//! As long as every send was cleanly refused, any error may be told. Once one was not, only four
//! outcomes remain: sealed, `AlreadySealed` (another's seal was read), `Corrupt` and `Unknown`; the
//! multipart way is not entered any more and nothing is ended.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{Attempt, Seen};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        self, SealDocument, WriterToken,
        s3::{fault::Fault, requests::Reply, retry},
    },
};

/// What a look at the seal shows.
enum SealSeen {
    Absent,
    Mine,
    Another(Option<String>),
}

impl Attempt {
    /// Steps 5 and 6: looks once more and sends the seal; returns the token that it carries.
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
        let clock = self.surroundings.clock.clone();
        let start = clock.elapsed();
        let mut looked = self.payload_sent.filter(|_| self.may_skip_look());
        let mut pauses = retry::Pauses::new(&self.surroundings);
        // The bytes of a seal that may be on its way; never other ones after it.
        let mut in_doubt: Option<Bytes> = None;
        loop {
            if clock.elapsed().saturating_sub(start) > self.rules.complete_deadline {
                return Err(out_of_time(in_doubt.is_some()));
            }
            let since = match looked
                .filter(|since| clock.elapsed().saturating_sub(*since) < self.rules.seal_deadline)
            {
                Some(since) => since,
                None => self.look_before_seal(in_doubt.is_some()).await?,
            };
            looked = Some(since);
            let bytes = in_doubt.clone().unwrap_or_else(|| document(&self.token));
            // A look that took long is a look too old.
            if clock.elapsed().saturating_sub(since) >= self.rules.seal_deadline {
                continue;
            }
            let sent = self
                .requests
                .create(&self.seal_key, bytes.clone(), &self.token, self.rules.seal_timeout)
                .await;
            let fault = match sent {
                Ok(_) => return self.evidence(since).await,
                Err(fault) if in_doubt.is_none() && fault.refuses_seal() => {
                    return Err(fault.into());
                }
                Err(fault) => fault,
            };
            in_doubt = Some(bytes.clone());
            match self.look_at_seal(&bytes, start).await? {
                SealSeen::Mine => return self.evidence(since).await,
                SealSeen::Another(writer) => return Err(sealed_by(writer)),
                SealSeen::Absent => pauses.wait(Some(&fault)).await,
            }
        }
    }

    /// Whether step 5 can be left out: the server itself refuses a second payload, and this attempt
    /// replaced none.
    fn may_skip_look(&self) -> bool {
        self.rules.complete_conditions_enforced && self.leftover.is_none()
    }

    async fn look_before_seal(&mut self, in_doubt: bool) -> Result<Duration> {
        if !in_doubt {
            return self.look_once_more().await;
        }
        match self.look_again().await {
            Ok((since, true, Seen::Mine(_))) => Ok(since),
            Ok((_, alone, seen)) => Err(unknown(&doubt(alone, &seen))),
            Err(error) => Err(unknown(error.message())),
        }
    }

    /// Step 5 without a consequence: when the list was sent, whether nobody else has an upload
    /// open, and what the payload is.
    async fn look_again(&self) -> Result<(Duration, bool, Seen)> {
        let listed = self.list_uploads().await?;
        let alone = !self.is_company(&listed.value);
        Ok((listed.sent, alone, self.look_at_payload().await?))
    }

    /// The seal is there and mine. Within the grace that settles it; later a slower writer may have
    /// begun to replace the payload, so it takes one more look.
    async fn evidence(&self, since: Duration) -> Result<WriterToken> {
        if self.surroundings.clock.elapsed().saturating_sub(since) <= self.rules.grace {
            return Ok(self.token.clone());
        }
        match self.look_again().await {
            Ok((_, true, Seen::Mine(_))) => Ok(self.token.clone()),
            Ok((_, _, Seen::Absent | Seen::Leftover | Seen::Another(_))) => {
                Err(Error::corrupt("the run is sealed and its payload was replaced meanwhile"))
            }
            Ok((_, alone, seen)) => Err(unknown(&doubt(alone, &seen))),
            Err(error) => Err(unknown(error.message())),
        }
    }

    /// GET of the seal, until it is answered or the time for sealing is over.
    async fn look_at_seal(&self, mine: &Bytes, start: Duration) -> Result<SealSeen> {
        let clock = &self.surroundings.clock;
        let mut pauses = retry::Pauses::new(&self.surroundings);
        loop {
            let fault = match self.read_seal(mine).await {
                Ok(seen) => return Ok(seen),
                Err(fault) => fault,
            };
            if !fault.may_pass()
                || clock.elapsed().saturating_sub(start) > self.rules.complete_deadline
            {
                return Err(unknown(&format!("the seal cannot be read back: {fault}")));
            }
            pauses.wait(Some(&fault)).await;
        }
    }

    /// Reads the seal, no further than it takes to see whose it is.
    async fn read_seal(&self, mine: &Bytes) -> Reply<SealSeen> {
        let Some(mut content) = self.requests.get(&self.seal_key, 0).await? else {
            return Ok(SealSeen::Absent);
        };
        let mut found = BytesMut::new();
        while let Some(chunk) = content.chunks.next().await {
            found.extend_from_slice(&chunk?);
            if found.len() > mine.len() {
                return Ok(SealSeen::Another(content.writer));
            }
        }
        // A part of my seal would look like another's.
        if (found.len() as u64) < content.bytes {
            return Err(Fault::cut_short());
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

fn out_of_time(in_doubt: bool) -> Error {
    let message = "the server did not take the seal in time";
    if in_doubt { unknown(message) } else { Error::new(ErrorKind::Unavailable, message) }
}

fn doubt(alone: bool, seen: &Seen) -> String {
    let payload = match seen {
        Seen::Mine(_) => "the payload is this writer's",
        Seen::Absent => "the payload is gone",
        Seen::Leftover | Seen::Another(_) => "another payload is there",
    };
    let company = if alone { "no other upload is open" } else { "another upload of it is open" };
    format!("{payload}, {company}")
}

fn unknown(seen: &str) -> Error {
    Error::new(
        ErrorKind::Unknown,
        format!("the seal was sent and may be there or still appear; seen: {seen}"),
    )
}
