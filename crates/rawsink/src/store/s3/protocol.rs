//! The protocol of one attempt at a run on object storage: one file per step.
//!
//! Assumed of the server: HEAD, GET, LIST and the upload listing are strongly consistent; `PUT`
//! with `If-None-Match: *` is an atomic create; `CompleteMultipartUpload` is atomic; an aborted
//! upload cannot complete afterwards. Not assumed: that an object appears together with its user
//! metadata (`check` looks again), that conditions on Complete are honoured,
//! conditional DELETE or COPY, checksum headers, tags computed here, synchronous clocks, and status
//! codes after a lost reply.
//!
//! | step | file | actions |
//! |---|---|---|
//! | 1 | `begin` | list the run; refuse a sealed one; open an upload at once if there is a leftover |
//! | 2 | `open_upload` | create an upload if one is needed; the newest wins, earlier ones are aborted |
//! | 3 | `grace` | give a slower writer the time to seal, to yield or to give up |
//! | 4 | `payload` | send parts; PUT or Complete, create-only; if the outcome is unclear, HEAD decides |
//! | 5 | `last_check` | check that no other upload is open and that the payload is mine |
//! | 6 | `seal` | PUT of the seal, create-only, within its deadline; confirm it, or return `Unknown` |
//! | | `end` | abort the attempt's own upload after a failure, if that is safe |
//! | | `restore` | no step of an attempt: replace a damaged object of a sealed run |
//!
//! A payload is **mine** if HEAD shows my token and my size (`check`). The model explores the same
//! steps under the same names. Must not know HTTP: [`Requests`] sends the requests.

mod begin;
mod check;
mod end;
mod grace;
mod last_check;
mod open_upload;
mod payload;
mod restore;
mod seal;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    absence,
    config::Timing,
    provider::CompleteConditions,
    requests::{Head, OpenUpload, Reply, Requests},
    retry::{Answered, Retrier, Sending},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{LeftoverPolicy, Object, WriterToken},
};

use self::check::{Replaced, Seen};
pub(super) use self::payload::Part;

/// How often an attempt looks again, with a pause, for a change that some servers show late.
const LOOKS: u32 = 10;

/// The shared context of all attempts in one bucket.
#[derive(Debug, Clone)]
pub(super) struct S3Context {
    pub(super) requests: Arc<dyn Requests>,
    pub(super) retrier: Retrier,
    pub(super) timing: Timing,
    pub(super) complete_conditions: CompleteConditions,
}

/// One attempt at a run.
#[derive(Debug)]
pub(super) struct S3Attempt {
    context: S3Context,
    payload_key: String,
    seal_key: String,
    token: WriterToken,
    policy: LeftoverPolicy,
    purpose: Purpose,
    /// The payload that this attempt replaces: one without a seal, or a damaged one.
    replaced: Option<Replaced>,
    upload: Option<String>,
    aborted_another: bool,
    /// Uploads that this attempt aborted. If one appears in a later listing, it is not a rival: it
    /// cannot complete any more.
    aborted: Vec<String>,
    /// When the last activity of another upload was possible, on the clock of the grace.
    quiet_since: Duration,
    phase: Phase,
    size: u64,
    /// The payload's tag, from a clean answer.
    tag: Option<String>,
    /// Time of the first payload request, on the clock of the deadlines.
    payload_sent: Option<Duration>,
    /// When the last check before the seal was made, if it was made with the payload.
    checked: Option<Duration>,
}

/// Whether a run is sealed by this, or was sealed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To seal a run. A seal that exists ends the attempt.
    Land,
    /// To restore an object of a sealed run.
    Restore,
}

/// The progress of an attempt. It decides what the attempt may abort.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Rows are accepted. An upload may be open.
    Rows,
    /// The payload was sent by a single PUT. Its bytes are kept: an upload may have to replace it.
    Single(Bytes),
    /// Complete was sent. This upload must not be aborted any more.
    CompleteSent,
}

impl S3Attempt {
    /// Creates an attempt. Sends nothing.
    pub(super) fn new(
        context: S3Context,
        run_key: &str,
        token: WriterToken,
        policy: LeftoverPolicy,
    ) -> Self {
        let key = |object: Object| format!("{run_key}/{}", object.file_name());
        Self {
            context,
            payload_key: key(Object::Payload),
            seal_key: key(Object::Seal),
            token,
            policy,
            purpose: Purpose::Land,
            replaced: None,
            upload: None,
            aborted_another: false,
            aborted: Vec::new(),
            quiet_since: Duration::ZERO,
            phase: Phase::Rows,
            size: 0,
            tag: None,
            payload_sent: None,
            checked: None,
        }
    }

    /// Returns the time on the clock of the grace, which stops while the machine is suspended.
    fn monotonic(&self) -> Duration {
        self.context.retrier.runtime.clock.monotonic()
    }

    /// Returns the time on the clock of the deadlines, which continues while the machine is
    /// suspended.
    fn elapsed(&self) -> Duration {
        self.context.retrier.runtime.clock.elapsed()
    }

    fn enforces_conditions(&self) -> bool {
        self.context.complete_conditions == CompleteConditions::Enforced
    }

    async fn list_uploads(&self) -> Result<Answered<Vec<OpenUpload>>> {
        self.answer(|requests| requests.list_uploads(&self.payload_key)).await
    }

    /// Sends a request, with retries.
    async fn answer<'r, T>(
        &'r self,
        request: impl Fn(&'r dyn Requests) -> Sending<'r, T>,
    ) -> Result<Answered<T>> {
        Ok(self.answer_raw(request).await?)
    }

    /// Returns the object of a key; `None` if it is certain that it does not exist.
    async fn find(&self, key: &str) -> Result<Option<Head>> {
        Ok(absence::find(&*self.context.requests, &self.context.retrier, key).await?)
    }

    async fn answer_raw<'r, T>(
        &'r self,
        request: impl Fn(&'r dyn Requests) -> Sending<'r, T>,
    ) -> Reply<Answered<T>> {
        self.context.retrier.answered(|| request(&*self.context.requests)).await
    }
}

/// Returns the error of an attempt that another writer has superseded.
fn superseded(how: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "another writer of this run was active: {how} (or a lifecycle rule aborted the upload)"
        ),
    )
}
