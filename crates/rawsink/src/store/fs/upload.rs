//! An attempt driven from async code: its steps run on the blocking pool, at most one at a time.
//!
//! The attempt travels into each step and back. So a future that is dropped leaves the step to end
//! by itself, still under the lock, and only then is the attempt taken back.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    attempt::Attempt,
    error::{FsError, joined},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{SealDocument, Upload, WriterToken},
};

/// Part size: large enough to make system calls cheap, small enough to stay in the cache.
const PART_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct FsUpload {
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Attempt>),
    Busy(JoinHandle<(Box<Attempt>, Result<(), FsError>)>),
    Ended,
}

impl FsUpload {
    pub(super) fn new(attempt: Attempt) -> Self {
        Self { state: State::Idle(Box::new(attempt)) }
    }

    /// Starts a step and returns at once; the step before it must have ended well.
    async fn begin(
        &mut self,
        step: impl FnOnce(&mut Attempt) -> Result<(), FsError> + Send + 'static,
    ) -> Result<()> {
        self.settle().await?;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(mut attempt) => {
                self.state = State::Busy(spawn_blocking(move || {
                    let outcome = step(&mut attempt);
                    (attempt, outcome)
                }));
                Ok(())
            }
            State::Busy(_) | State::Ended => {
                Err(Error::new(ErrorKind::Closed, "this attempt has ended"))
            }
        }
    }

    /// Waits for the step that is running and returns its outcome.
    async fn settle(&mut self) -> Result<()> {
        let State::Busy(running) = &mut self.state else { return Ok(()) };
        match running.await {
            Ok((attempt, outcome)) => {
                self.state = State::Idle(attempt);
                Ok(outcome?)
            }
            Err(cause) => {
                self.state = State::Ended;
                Err(FsError::panicked(&cause).into())
            }
        }
    }
}

#[async_trait]
impl Upload for FsUpload {
    fn part_bytes(&self) -> usize {
        PART_BYTES
    }

    async fn append(&mut self, part: Bytes) -> Result<()> {
        self.begin(move |attempt| attempt.append(&part)).await
    }

    async fn complete(&mut self, last: Bytes) -> Result<()> {
        self.begin(move |attempt| attempt.complete(&last)).await?;
        self.settle().await
    }

    async fn seal(mut self: Box<Self>, document: &SealDocument<'_>) -> Result<WriterToken> {
        self.settle().await?;
        let State::Idle(attempt) = &self.state else {
            return Err(Error::new(ErrorKind::Closed, "this attempt has ended"));
        };
        let (token, bytes) = (attempt.token().clone(), attempt.document(document));
        self.begin(move |attempt| attempt.seal(&bytes)).await?;
        let sealed = self.settle().await.map_err(|error| match error.kind() {
            // The step did not end: nobody knows how far it came.
            ErrorKind::Internal => error.with_kind(ErrorKind::Unknown),
            _ => error,
        });
        sealed.map_err(|error| error.by_writer(&token))?;
        Ok(token)
    }

    async fn abort(mut self: Box<Self>) {
        // The fault of an earlier step was reported by that step's caller, or nobody asked.
        let _ = self.settle().await;
        // Taking back makes a few file operations; a fault in them leaves a leftover, not an error.
        let _ = joined(spawn_blocking(move || Ok(drop(self))).await);
    }
}
