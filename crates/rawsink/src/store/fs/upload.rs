//! Runs the steps of an attempt on the blocking pool, at most one at a time.
//!
//! The attempt moves into each step and back. If a future is dropped, its step still ends under the
//! lock, and then the attempt rolls back.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    attempt::FsAttempt,
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
    Idle(Box<FsAttempt>),
    Busy(JoinHandle<(Box<FsAttempt>, Result<(), FsError>)>),
    Ended,
}

impl FsUpload {
    pub(super) fn new(attempt: FsAttempt) -> Self {
        Self { state: State::Idle(Box::new(attempt)) }
    }

    /// Starts a step and returns at once. Fails if the previous step failed.
    async fn begin(
        &mut self,
        step: impl FnOnce(&mut FsAttempt) -> Result<(), FsError> + Send + 'static,
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

impl crate::internal::Internal for FsUpload {}

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
            // The step panicked: its progress is unknown.
            ErrorKind::Internal => error.with_kind(ErrorKind::Unknown),
            _ => error,
        });
        sealed.map_err(|error| error.by_writer(&token))?;
        Ok(token)
    }

    async fn abort(mut self: Box<Self>) {
        // An abort does not report faults of earlier steps.
        let _ = self.settle().await;
        // The rollback takes a few file operations. A fault in them leaves a leftover.
        let _ = joined(spawn_blocking(move || Ok(drop(self))).await);
    }
}
