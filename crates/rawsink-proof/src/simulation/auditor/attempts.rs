//! What each writer sent and was told: G04, G05, G06, G08, G18.

use std::collections::BTreeSet;

use bytes::Bytes;
use rawsink::{Error, ErrorKind, Sealed};

use super::{AttemptId, Auditor, run_of};
use crate::{
    server::UploadId,
    simulation::{
        options::Lateness,
        plan::Ending,
        process::ProcessId,
        requests::{Bucket, Reply, Request},
        serving::live,
    },
};

/// What is known of an attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) run: String,
    pub(super) process: ProcessId,
    /// Its rows, as the payload that it means to seal.
    pub(super) payload: Bytes,
    pub(super) ending: Ending,
    pub(super) told: Option<Told>,
    killed: bool,
    /// Uploads that it knows to be its own.
    uploads: BTreeSet<UploadId>,
    /// Of these, those whose Complete it sent.
    completed: BTreeSet<UploadId>,
    /// Whether it told the server to end an upload that was not its own.
    ended_another: bool,
    /// Uploads of its own that it told the server to end, whatever became of that.
    told_to_end: BTreeSet<UploadId>,
}

/// What a writer was told.
#[derive(Debug, Clone)]
pub(in crate::simulation) enum Told {
    Sealed(Sealed),
    /// The kind, and the message.
    Failed(ErrorKind, String),
    /// It ended the attempt itself, or forgot it.
    Nothing,
}

impl From<Result<Sealed, Error>> for Told {
    fn from(outcome: Result<Sealed, Error>) -> Self {
        match outcome {
            Ok(sealed) => Self::Sealed(sealed),
            Err(error) => Self::Failed(error.kind(), error.to_string()),
        }
    }
}

impl Told {
    /// Returns the name of the outcome.
    pub(in crate::simulation) fn name(&self) -> &'static str {
        match self {
            Self::Sealed(_) => "sealed",
            Self::Failed(kind, _) => kind.name(),
            Self::Nothing => "ended by itself",
        }
    }

    /// Tells whether the seal may appear after this was told (G06), by who meant to end so (G08).
    pub(super) fn leaves_open(&self, ending: Ending) -> bool {
        match self {
            Self::Sealed(_) => true,
            Self::Nothing => matches!(ending, Ending::DropSealing(_)),
            Self::Failed(kind, _) => matches!(kind, ErrorKind::Unknown | ErrorKind::Corrupt),
        }
    }
}

impl Auditor {
    /// Begins an attempt.
    pub(in crate::simulation) fn attempt(
        &mut self,
        run: &str,
        process: ProcessId,
        ending: Ending,
    ) -> AttemptId {
        self.attempts.push(Attempt {
            run: run.to_owned(),
            process,
            payload: Bytes::new(),
            ending,
            told: None,
            killed: false,
            uploads: BTreeSet::new(),
            completed: BTreeSet::new(),
            ended_another: false,
            told_to_end: BTreeSet::new(),
        });
        AttemptId(self.attempts.len() - 1)
    }

    /// Notes the rows that an attempt is going to write.
    pub(in crate::simulation) fn writes(&mut self, attempt: AttemptId, payload: Bytes) {
        self.attempts[attempt.0].payload = payload;
    }

    /// Notes that a process was killed.
    pub(in crate::simulation) fn killed(&mut self, process: ProcessId) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.process == process) {
            attempt.killed = true;
        }
    }

    /// Notes what is sent.
    pub(in crate::simulation) fn sent(
        &mut self,
        attempt: Option<AttemptId>,
        request: &Request,
        server: &Bucket,
    ) {
        let Some(id) = attempt else {
            if !matches!(request, Request::List { .. } | Request::Head { .. } | Request::Get { .. })
            {
                self.violate(format!("G12: somebody who does not write sent {request:?}"));
            }
            return;
        };
        let key = match request {
            Request::Head { key } | Request::Get { key } | Request::ListUploads { key } => key,
            Request::List { prefix, .. } => prefix,
            Request::Create { key, token, .. } | Request::CreateUpload { key, token } => {
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
                    attempt.told_to_end.insert(*upload);
                } else {
                    attempt.ended_another = true;
                }
                return self.uses(id, *upload, server);
            }
        };
        let run = &self.attempts[id.0].run;
        if run_of(key) != run {
            self.violate(format!("G18: a writer of {run} asked for {key}"));
        }
    }

    /// Notes that an attempt uses an upload.
    fn uses(&mut self, id: AttemptId, upload: UploadId, server: &Bucket) {
        let run = &self.attempts[id.0].run;
        let other = server.uploads.get(&upload).filter(|upload| run_of(&upload.key) != run);
        if let Some(other) = other {
            self.violate(format!("G18: a writer of {run} touched an upload of {}", other.key));
        }
    }

    /// Notes what a process heard.
    pub(in crate::simulation) fn heard(&mut self, attempt: Option<AttemptId>, reply: &Reply) {
        if let (Some(attempt), Reply::UploadCreated(upload)) = (attempt, reply) {
            self.attempts[attempt.0].uploads.insert(*upload);
        }
    }

    /// Notes what a writer was told, and compares it with what is there.
    pub(in crate::simulation) fn told(&mut self, id: AttemptId, told: Told, server: &Bucket) {
        let attempt = &mut self.attempts[id.0];
        attempt.told = Some(told.clone());
        let (prefix, ending) = (attempt.run.clone(), attempt.ending);
        let seal = self.run(&prefix).seal.clone();
        let mine = seal.as_ref().is_some_and(|seal| seal.attempt == Some(id));
        match told {
            Told::Sealed(sealed) => {
                let Some(seal) = seal.filter(|_| mine) else {
                    return self.violate(format!("G04: {sealed:?} was told, and it is not there"));
                };
                if seal.token != sealed.writer {
                    self.violate(format!("G04: {sealed:?} was told, {} is there", seal.token));
                }
                self.told_sealed(id, &prefix, server);
            }
            Told::Failed(kind, message) => {
                if mine && !matches!(kind, ErrorKind::Unknown | ErrorKind::Corrupt) {
                    self.violate(format!("G06: {kind} was told and the seal is there: {message}"));
                }
                if kind == ErrorKind::AlreadySealed && seal.is_none() {
                    self.violate("G01: AlreadySealed was told, and no seal is there".to_owned());
                }
                let vandalised = self.run(&prefix).vandalised;
                let is_bug = matches!(kind, ErrorKind::Internal | ErrorKind::Closed)
                    || kind == ErrorKind::Corrupt
                        && !vandalised
                        && self.lateness == Lateness::Assumed;
                if is_bug {
                    self.violate(format!("G05: {kind} was told: {message}"));
                }
                let is_wrong = matches!(ending, Ending::BadRow | Ending::BadMetadata)
                    && kind == ErrorKind::Invalid;
                if self.is_surprise(kind) && !is_wrong {
                    self.violate(format!(
                        "{kind} was told, and nothing is set up wrong: {message}"
                    ));
                }
            }
            Told::Nothing => {}
        }
    }

    fn told_sealed(&mut self, id: AttemptId, prefix: &str, server: &Bucket) {
        let earlier = self.run_mut(prefix).told.replace(id);
        if let Some(earlier) = earlier.filter(|earlier| *earlier != id) {
            self.violate(format!("G04: {earlier:?} and {id:?} were both told sealed"));
        }
        let there = self.run(prefix).payload(server).map(|stored| &stored.body.0);
        let whole = there == Some(&self.attempts[id.0].payload);
        if !whole && !self.run(prefix).vandalised {
            self.violate(format!("G05: sealed was told, and other rows are there: {there:?}"));
        }
    }

    /// Looks for uploads that ought to have been ended (G08), when everything has come to rest.
    pub(in crate::simulation) fn look_for_leaks(&mut self, server: &Bucket) {
        let mut leaks = Vec::new();
        for (upload, open) in live(server) {
            let Some(owner) = self.tokens.get(&open.token) else { continue };
            let attempt = &self.attempts[owner.0];
            let excused = attempt.killed
                || attempt.ended_another
                || attempt.completed.contains(upload)
                || attempt.told_to_end.contains(upload)
                || !attempt.uploads.contains(upload);
            if !excused {
                leaks.push(format!("G08: {owner:?} left upload {upload:016x}: {:?}", attempt.told));
            }
        }
        if let Some(leak) = leaks.into_iter().next() {
            self.violate(leak);
        }
    }

    /// Tells whether an attempt had more than one token: it went the multipart way as well.
    pub(in crate::simulation) fn went_both_ways(&self, id: AttemptId) -> bool {
        self.tokens.values().filter(|owner| **owner == id).count() > 1
    }

    /// Tells whether an attempt ended another's upload.
    pub(in crate::simulation) fn ended_another(&self, id: AttemptId) -> bool {
        self.attempts[id.0].ended_another
    }
}
