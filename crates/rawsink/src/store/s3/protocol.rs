//! The protocol of one attempt at a run on object storage, step by step.
//!
//! Assumed of the server: HEAD, GET, LIST and the upload listing are strongly consistent; `PUT` with
//! `If-None-Match: *` is an atomic create; `CompleteMultipartUpload` is atomic; an upload that was
//! ended cannot complete afterwards. Not assumed: that conditions on Complete are honoured,
//! conditional DELETE or COPY, checksum headers, tags computed here, synchronous clocks, and status
//! codes after a lost reply.
//!
//! | step | where | what |
//! |---|---|---|
//! | 1 | `Attempt::begin` | list the run; refuse a sealed one; note a leftover |
//! | 2 | `Attempt::open_upload` | create the upload; the newest one wins, earlier ones are ended |
//! | 3 | `Attempt::wait_for_grace` | give a slower writer the time to seal, to yield or to give up |
//! | 4 | `payload` | PUT or Complete, create-only; after any doubt look and decide by what is seen |
//! | 5 | `Attempt::look_once_more` | no other upload, and the payload is mine |
//! | 6 | `seal` | PUT of the seal, create-only, within its deadline; evidence, or `Unknown` |
//!
//! **Mine** means: HEAD shows my token and my size. Must not know HTTP: `Requests` answers.

mod look;
mod payload;
mod seal;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    requests::{Head, OpenUpload, Reply, Requests},
    retry::{self, Answered},
};
use crate::{
    clock::Surroundings,
    error::{Error, ErrorKind, Result},
    store::{self, LeftoverPolicy, Object, ObjectInfo, WriterToken},
};

use self::look::{Leftover, Seen};
pub(super) use self::payload::Part;

/// What the protocol's waiting and its steps depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether the server is known to honour conditions on Complete.
    pub(crate) complete_conditions_enforced: bool,
    /// How long a slower writer of the run may still act, on a clock that stands in suspension.
    pub(crate) grace: Duration,
    /// How old a look may be when the seal is sent, on a clock that goes on in suspension.
    pub(crate) seal_deadline: Duration,
    /// How long one sending of the seal may take.
    pub(crate) seal_timeout: Duration,
    /// How long Complete, and all of the sealing, may be tried.
    pub(crate) complete_deadline: Duration,
}

/// One attempt at a run.
#[derive(Debug)]
pub(crate) struct Attempt {
    requests: Arc<dyn Requests>,
    surroundings: Surroundings,
    rules: Rules,
    payload_key: String,
    seal_key: String,
    token: WriterToken,
    policy: LeftoverPolicy,
    leftover: Option<Leftover>,
    upload: Option<String>,
    ended_another: bool,
    /// Uploads that this attempt saw ended. One that comes back into a listing is an echo, and no
    /// company: it cannot complete any more.
    ended: Vec<String>,
    /// Since when no other upload was seen alive, on the clock of the grace.
    quiet_since: Duration,
    stage: Stage,
    size: u64,
    /// The tag of a clean answer to the payload request.
    tag: Option<String>,
    /// When the payload request was first sent, on the clock of the deadlines.
    payload_sent: Option<Duration>,
}

/// How far an attempt has come, which decides what its end may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Rows are taken; an upload may be open.
    Rows,
    /// The payload went by a single PUT; its bytes are kept, in case it has to go the other way.
    Single(bytes::Bytes),
    /// Complete was sent: this upload is never ended any more.
    CompleteSent,
}

impl Attempt {
    /// Makes an attempt; nothing is sent yet.
    pub(crate) fn new(
        requests: Arc<dyn Requests>,
        surroundings: Surroundings,
        rules: Rules,
        run_key: &str,
        token: WriterToken,
        policy: LeftoverPolicy,
    ) -> Self {
        let key = |object: Object| format!("{run_key}/{}", object.file_name());
        Self {
            requests,
            surroundings,
            rules,
            payload_key: key(Object::Payload),
            seal_key: key(Object::Seal),
            token,
            policy,
            leftover: None,
            upload: None,
            ended_another: false,
            ended: Vec::new(),
            quiet_since: Duration::ZERO,
            stage: Stage::Rows,
            size: 0,
            tag: None,
            payload_sent: None,
        }
    }

    /// Step 1: lists the run; refuses a sealed one, and a leftover where the policy says so.
    pub(crate) async fn begin(&mut self, run_key: &str, now: Timestamp) -> Result<()> {
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
            // The seal's key stands before the payload's; other software's may stand before both.
            after = page.next.filter(|next| *next < self.payload_key);
            if after.is_none() {
                break;
            }
        }
        let Some((_, head)) = &payload else {
            return Ok(());
        };
        if self.policy == LeftoverPolicy::Refuse {
            let info = ObjectInfo { bytes: head.bytes, modified: head.modified };
            return Err(store::leftover_refused(info, now));
        }
        self.leftover = Some(Leftover::of(head, false));
        Ok(())
    }

    /// Tells whether an upload is open.
    pub(crate) fn has_upload(&self) -> bool {
        self.upload.is_some()
    }

    /// Tells whether the payload has to go by a multipart upload from the start.
    pub(crate) fn replaces_leftover(&self) -> bool {
        self.leftover.is_some()
    }

    /// Step 2: creates an upload and makes sure that it is the newest of this key.
    ///
    /// Where a later one shows, once more: what was listed before the second try counts as earlier
    /// whatever its time says, since a server's gateways may have clocks of their own.
    pub(crate) async fn open_upload(&mut self) -> Result<()> {
        let mut seen: Vec<OpenUpload> = Vec::new();
        let mut tries = 2;
        loop {
            let (key, token) = (self.payload_key.clone(), self.token.clone());
            let id = self.answer(|requests| requests.create_upload(&key, &token)).await?.value;
            self.upload = Some(id.clone());
            let uploads = self.list_uploads().await?.value;
            self.quiet_since = self.surroundings.clock.monotonic();
            let Some(mine) = uploads.iter().find(|upload| upload.id == id) else {
                self.upload = None;
                return Err(superseded("its upload was ended"));
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
                return self.end_others(&others).await;
            }
            tries -= 1;
            if tries == 0 {
                return Err(superseded("a newer upload of it is open"));
            }
            self.upload = None;
            self.end_uploads(&[id]).await?;
            seen = self.list_uploads().await?.value;
        }
    }

    /// Step 2, the end of it: whoever was here earlier is superseded, unless it has sealed meanwhile.
    ///
    /// On some servers the upload of one whose gateway died within its Complete stays listed, and to
    /// end it takes the payload's bytes away.
    async fn end_others(&mut self, others: &[String]) -> Result<()> {
        if others.is_empty() {
            return Ok(());
        }
        self.refuse_sealed().await?;
        // Said first: whatever becomes of the endings, this upload now stands for others. An echo of
        // an upload that this attempt ended before is nobody.
        self.ended_another |= others.iter().any(|id| !self.ended.contains(id));
        self.end_uploads(others).await
    }

    /// Ends uploads, and waits until a listing no longer shows them.
    ///
    /// What is still listed is ended again: on MinIO a part that was on its way when its upload was
    /// ended brings the upload back.
    async fn end_uploads(&mut self, ids: &[String]) -> Result<()> {
        let (key, clock) = (self.payload_key.clone(), self.surroundings.clock.clone());
        let start = clock.monotonic();
        let mut open = ids.to_vec();
        while !open.is_empty() {
            if clock.monotonic().saturating_sub(start) > retry::DEADLINE {
                let message = "the server still lists an upload that it was told to end";
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            for id in &open {
                match self.answer_raw(|requests| requests.abort_upload(&key, id)).await {
                    Err(fault) if !fault.says_that_the_upload_ended() => return Err(fault.into()),
                    _ => self.quiet_since = clock.monotonic(),
                }
            }
            let listed = self.list_uploads().await?.value;
            open.retain(|id| listed.iter().any(|upload| upload.id == *id));
            if !open.is_empty() {
                clock.sleep(retry::PAUSE).await;
            }
        }
        self.ended.extend_from_slice(ids);
        Ok(())
    }

    /// Step 3: returns how long a slower writer of this run has to be waited for.
    pub(crate) fn grace_left(&self) -> Duration {
        let met_leftover = self.leftover.as_ref().is_some_and(|leftover| !leftover.own);
        let met_upload = self.ended_another && !self.rules.complete_conditions_enforced;
        if !met_leftover && !met_upload {
            return Duration::ZERO;
        }
        (self.quiet_since + self.rules.grace).saturating_sub(self.surroundings.clock.monotonic())
    }

    async fn wait_for_grace(&self) {
        let left = self.grace_left();
        if !left.is_zero() {
            let seconds = left.as_secs() + 1;
            self.surroundings.notices.tell(&format!(
                "waiting {seconds} s: an earlier attempt at this run may still be at work"
            ));
        }
        // Again and again, since a sleep may end early.
        while !self.grace_left().is_zero() {
            self.surroundings.clock.sleep(self.grace_left()).await;
        }
    }

    /// Step 5: nobody else has an upload open, and the payload is mine. HEAD comes after the list.
    ///
    /// Returns when the list was sent, on the clock of the deadlines. A payload that went by a
    /// single PUT and has company goes the multipart way, with a token of its own.
    async fn look_once_more(&mut self) -> Result<Duration> {
        loop {
            let listed = self.list_uploads().await?;
            let company = self.is_company(&listed.value);
            let Seen::Mine(head) = self.look_at_payload().await? else {
                return Err(superseded("another payload is there"));
            };
            match &self.stage {
                _ if !company => return Ok(listed.sent),
                Stage::Single(payload) => {
                    let payload = payload.clone();
                    self.go_multipart_way(&head, payload).await?;
                }
                Stage::Rows | Stage::CompleteSent => {
                    return Err(superseded("a newer upload of it is open"));
                }
            }
        }
    }

    async fn go_multipart_way(&mut self, own: &Head, payload: bytes::Bytes) -> Result<()> {
        self.leftover = Some(Leftover::of(own, true));
        self.token = WriterToken::new(self.surroundings.tokens.next());
        (self.stage, self.tag) = (Stage::Rows, None);
        self.open_upload().await?;
        let part = self.part(1, payload).await?;
        self.complete(&[part], self.size).await
    }

    /// Ends the attempt's own upload after a failure, where that is allowed.
    ///
    /// Once Complete was sent it never is: on some servers an end that meets a running Complete
    /// loses the object hours later. And the upload of an attempt that ended another's stays open,
    /// as the sign that others were superseded; the next attempt ends it.
    pub(crate) async fn end(&mut self) -> Reply<()> {
        if self.stage != Stage::Rows || self.ended_another {
            return Ok(());
        }
        let Some(id) = self.upload.take() else { return Ok(()) };
        let key = self.payload_key.clone();
        self.answer_raw(|requests| requests.abort_upload(&key, &id)).await.map(|_| ())
    }

    async fn list_uploads(&self) -> Result<Answered<Vec<OpenUpload>>> {
        self.answer(|requests| requests.list_uploads(&self.payload_key)).await
    }

    /// Sends a request until it is answered, or cannot be.
    async fn answer<'r, T>(
        &'r self,
        request: impl Fn(&'r dyn Requests) -> retry::Sending<'r, T>,
    ) -> Result<Answered<T>> {
        Ok(self.answer_raw(request).await?)
    }

    async fn answer_raw<'r, T>(
        &'r self,
        request: impl Fn(&'r dyn Requests) -> retry::Sending<'r, T>,
    ) -> Reply<Answered<T>> {
        retry::answered(&self.surroundings, || request(&*self.requests)).await
    }
}

/// What an attempt says that another writer has overtaken.
fn superseded(how: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "another writer of this run was at work: {how} (a lifecycle rule that ends uploads looks the same)"
        ),
    )
}
