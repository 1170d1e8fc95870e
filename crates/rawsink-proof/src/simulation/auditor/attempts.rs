//! The requests and results of each writer: G04, G05, G06, G08, G18.

use std::collections::BTreeSet;

use bytes::Bytes;
use fake_s3::UploadId;
use rawsink::{Error, ErrorKind, Sealed};

use super::{Auditor, run_of};
use crate::simulation::{
    ids::{AttemptId, ProcessId},
    options::Lateness,
    plan::WriterEnding,
    requests::{Request, ServerReply, SimBucket},
};

/// The history of an attempt.
#[derive(Debug)]
pub(super) struct AttemptRecord {
    pub(super) run: String,
    pub(super) process: ProcessId,
    /// The payload that it plans to seal.
    pub(super) payload: Bytes,
    pub(super) ending: WriterEnding,
    pub(super) told: Option<WriterOutcome>,
    killed: bool,
    /// Uploads that it created.
    uploads: BTreeSet<UploadId>,
    /// Uploads whose Complete it sent.
    completed: BTreeSet<UploadId>,
    /// Whether it sent an abort of another attempt's upload.
    aborted_another: bool,
    /// Its uploads whose abort it sent.
    aborts_sent: BTreeSet<UploadId>,
}

/// The result of a writer.
#[derive(Debug, Clone)]
pub(in crate::simulation) enum WriterOutcome {
    Sealed(Sealed),
    /// The kind and the message of the error.
    Failed(ErrorKind, String),
    /// It aborted or dropped the attempt.
    Nothing,
}

impl From<Result<Sealed, Error>> for WriterOutcome {
    fn from(outcome: Result<Sealed, Error>) -> Self {
        match outcome {
            Ok(sealed) => Self::Sealed(sealed),
            Err(error) => Self::Failed(error.kind(), error.to_string()),
        }
    }
}

impl WriterOutcome {
    /// Returns the name of the outcome.
    pub(in crate::simulation) fn name(&self) -> &'static str {
        match self {
            Self::Sealed(_) => "sealed",
            Self::Failed(kind, _) => kind.name(),
            Self::Nothing => "ended by itself",
        }
    }

    /// Returns whether the seal may appear later (G06), for a planned ending (G08).
    pub(super) fn leaves_open(&self, ending: WriterEnding) -> bool {
        match self {
            Self::Sealed(_) => true,
            Self::Nothing => matches!(ending, WriterEnding::DropSealing(_)),
            Self::Failed(kind, _) => matches!(kind, ErrorKind::Unknown | ErrorKind::Corrupt),
        }
    }
}

impl Auditor {
    /// Begins the record of an attempt.
    pub(in crate::simulation) fn attempt(
        &mut self,
        run: &str,
        process: ProcessId,
        ending: WriterEnding,
    ) -> AttemptId {
        self.attempts.push(AttemptRecord {
            run: run.to_owned(),
            process,
            payload: Bytes::new(),
            ending,
            told: None,
            killed: false,
            uploads: BTreeSet::new(),
            completed: BTreeSet::new(),
            aborted_another: false,
            aborts_sent: BTreeSet::new(),
        });
        AttemptId(self.attempts.len() - 1)
    }

    /// Notes the payload that an attempt plans to seal.
    pub(in crate::simulation) fn writes(&mut self, attempt: AttemptId, payload: Bytes) {
        self.attempts[attempt.0].payload = payload;
    }

    /// Notes that a process was killed.
    pub(in crate::simulation) fn killed(&mut self, process: ProcessId) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.process == process) {
            attempt.killed = true;
        }
    }

    /// Notes a request.
    pub(in crate::simulation) fn sent(
        &mut self,
        attempt: Option<AttemptId>,
        request: &Request,
        server: &SimBucket,
    ) {
        let Some(id) = attempt else {
            if !matches!(request, Request::List { .. } | Request::Head { .. } | Request::Get { .. })
            {
                self.violate(format!("G12: a process that does not write sent {request:?}"));
            }
            return;
        };
        let key = match request {
            Request::Head { key } | Request::Get { key } | Request::ListUploads { key } => key,
            Request::List { prefix, .. } => prefix,
            Request::Put { key, token, .. } | Request::CreateUpload { key, token } => {
                self.tokens.insert(token.clone(), id);
                key
            }
            Request::ListUploadsBelow { .. }
            | Request::ListParts { .. }
            | Request::Delete { .. } => {
                return self.violate(format!("G18: a writer sent {request:?}"));
            }
            Request::UploadPart { upload, .. } => return self.uses(id, *upload, server),
            Request::Complete { upload, .. } => {
                self.attempts[id.0].completed.insert(*upload);
                return self.uses(id, *upload, server);
            }
            Request::Abort { upload } => {
                let attempt = &mut self.attempts[id.0];
                if attempt.uploads.contains(upload) {
                    attempt.aborts_sent.insert(*upload);
                } else {
                    attempt.aborted_another = true;
                }
                return self.uses(id, *upload, server);
            }
        };
        let run = &self.attempts[id.0].run;
        if run_of(key) != run {
            self.violate(format!("G18: a writer of {run} asked for {key}"));
        }
    }

    /// Checks the upload that an attempt uses.
    fn uses(&mut self, id: AttemptId, upload: UploadId, server: &SimBucket) {
        let run = &self.attempts[id.0].run;
        let other = server.uploads.get(&upload).filter(|upload| run_of(&upload.key) != run);
        if let Some(other) = other {
            self.violate(format!("G18: a writer of {run} touched an upload of {}", other.key));
        }
    }

    /// Notes an answer.
    pub(in crate::simulation) fn heard(&mut self, attempt: Option<AttemptId>, reply: &ServerReply) {
        if let (Some(attempt), ServerReply::UploadCreated(upload)) = (attempt, reply) {
            self.attempts[attempt.0].uploads.insert(*upload);
        }
    }

    /// Notes the result of a writer, and compares it with the bucket.
    pub(in crate::simulation) fn told(
        &mut self,
        id: AttemptId,
        told: WriterOutcome,
        server: &SimBucket,
    ) {
        let attempt = &mut self.attempts[id.0];
        attempt.told = Some(told.clone());
        let (prefix, ending) = (attempt.run.clone(), attempt.ending);
        let seal = self.run(&prefix).seal.clone();
        let mine = seal.as_ref().is_some_and(|seal| seal.attempt == Some(id));
        match told {
            WriterOutcome::Sealed(sealed) => {
                let Some(seal) = seal.filter(|_| mine) else {
                    return self.violate(format!(
                        "G04: a writer got {sealed:?}, and its seal does not exist"
                    ));
                };
                if seal.token != sealed.writer {
                    self.violate(format!(
                        "G04: a writer got {sealed:?}, and the seal is {}",
                        seal.token
                    ));
                }
                self.told_sealed(id, &prefix, server);
            }
            WriterOutcome::Failed(kind, message) => {
                let run = self.run(&prefix);
                let (changed, repaired) = (run.vandalisms > 0, run.repairs > 0);
                if mine && !changed && !matches!(kind, ErrorKind::Unknown | ErrorKind::Corrupt) {
                    self.violate(format!(
                        "G06: a writer got {kind}, and its seal exists: {message}"
                    ));
                }
                if kind == ErrorKind::AlreadySealed && seal.is_none() {
                    self.violate("G01: a writer got AlreadySealed, and no seal exists".to_owned());
                }
                // A writer that is late to confirm its seal may meet the payload of a repair.
                let is_bug = matches!(kind, ErrorKind::Internal | ErrorKind::Closed)
                    || kind == ErrorKind::Corrupt
                        && !changed
                        && !repaired
                        && self.lateness == Lateness::Assumed;
                if is_bug {
                    self.violate(format!("G05: a writer got {kind}: {message}"));
                }
                let is_wrong = matches!(ending, WriterEnding::BadRow | WriterEnding::BadMetadata)
                    && kind == ErrorKind::Invalid;
                if self.is_surprise(kind) && !is_wrong {
                    self.violate(format!(
                        "a writer got {kind}, and the settings are right: {message}"
                    ));
                }
            }
            WriterOutcome::Nothing => {}
        }
    }

    fn told_sealed(&mut self, id: AttemptId, prefix: &str, server: &SimBucket) {
        let earlier = self.run_mut(prefix).told.replace(id);
        if let Some(earlier) = earlier.filter(|earlier| *earlier != id) {
            self.violate(format!("G04: {earlier:?} and {id:?} were both told sealed"));
        }
        let current = self.run(prefix).payload(server).map(|object| &object.body);
        let whole = current == Some(&self.attempts[id.0].payload);
        if !whole && self.run(prefix).vandalisms == 0 {
            self.violate(format!("G05: a writer got \"sealed\", and the rows differ: {current:?}"));
        }
    }

    /// Searches for uploads that their writers should have aborted (G08), at the end.
    pub(in crate::simulation) fn look_for_leaks(&mut self, server: &SimBucket) {
        let mut leaks = Vec::new();
        for (upload, open) in server.open_uploads() {
            let token = open.metadata.as_ref();
            let Some(owner) = token.and_then(|token| self.tokens.get(token)) else { continue };
            let attempt = &self.attempts[owner.0];
            let excused = attempt.killed
                || attempt.aborted_another
                || attempt.completed.contains(&upload)
                || attempt.aborts_sent.contains(&upload)
                || !attempt.uploads.contains(&upload);
            if !excused {
                leaks.push(format!("G08: {owner:?} left upload {upload:016x}: {:?}", attempt.told));
            }
        }
        if let Some(leak) = leaks.into_iter().next() {
            self.violate(leak);
        }
    }

    /// Returns whether an attempt had two tokens: it also took the multipart way.
    pub(in crate::simulation) fn went_both_ways(&self, id: AttemptId) -> bool {
        self.tokens.values().filter(|owner| **owner == id).count() > 1
    }

    /// Returns whether an attempt aborted another attempt's upload.
    pub(in crate::simulation) fn aborted_another(&self, id: AttemptId) -> bool {
        self.attempts[id.0].aborted_another
    }
}
