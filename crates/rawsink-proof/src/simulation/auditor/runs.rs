//! What is there of each run, compared with what was there before: G01, G02, G03, G04, G06.

use rawsink::store::Object;
use serde_json::Value;

use super::{AttemptId, Auditor};
use crate::{
    server::{Fate, Stored, Tag},
    simulation::{
        options::Lateness,
        requests::{Blob, Bucket},
    },
};

/// What is known of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// What its keys start with.
    pub(super) prefix: String,
    payload_key: String,
    seal_key: String,
    /// The seal, once it was there.
    pub(super) seal: Option<Seal>,
    /// Who was told "sealed".
    pub(super) told: Option<AttemptId>,
    /// Whether somebody who follows no rule changed it.
    pub(super) vandalised: bool,
    /// Whether the payload was replaced after the seal, where that may happen.
    pub(super) corrupt: bool,
}

/// A seal, and what it was put on.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    tag: Tag,
    /// The payload's, when the seal appeared.
    payload: Option<Tag>,
    pub(super) token: String,
    pub(super) attempt: Option<AttemptId>,
}

impl Run {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |object: Object| format!("{prefix}{}", object.file_name());
        Self {
            prefix: prefix.to_owned(),
            payload_key: key(Object::Payload),
            seal_key: key(Object::Seal),
            seal: None,
            told: None,
            vandalised: false,
            corrupt: false,
        }
    }

    /// Returns the payload that is there.
    pub(super) fn payload<'s>(&self, server: &'s Bucket) -> Option<&'s Stored<Blob, String>> {
        server.objects.get(&self.payload_key)
    }

    /// Tells whether a payload is there, and no seal.
    pub(super) fn is_left(&self, server: &Bucket) -> bool {
        self.payload(server).is_some() && self.seal_there(server).is_none()
    }

    fn seal_there<'s>(&self, server: &'s Bucket) -> Option<&'s Stored<Blob, String>> {
        server.objects.get(&self.seal_key)
    }
}

impl Auditor {
    /// Compares every run with what it was before the step.
    pub(in crate::simulation) fn after_step(&mut self, server: &Bucket) {
        for at in 0..self.runs.len() {
            let run = &self.runs[at];
            match (&run.seal, run.seal_there(server)) {
                (None, None) => {}
                (None, Some(seal)) => self.appeared(at, seal, server),
                (Some(_), there) => self.stayed(at, there.map(|seal| seal.tag), server),
            }
        }
    }

    /// A seal appeared: its payload has to be there, whole, and its writer's.
    fn appeared(&mut self, at: usize, seal: &Stored<Blob, String>, server: &Bucket) {
        let document: Value = serde_json::from_slice(&seal.body.0).unwrap_or_default();
        let token = document["_seal"]["writer"].as_str().unwrap_or_default().to_owned();
        let attempt = self.tokens.get(&token).copied();
        let run = &mut self.runs[at];
        let payload = run.payload(server);
        let payload_tag = payload.map(|payload| payload.tag);
        run.seal = Some(Seal { tag: seal.tag, payload: payload_tag, token, attempt });
        let prefix = run.prefix.clone();
        let Some(attempt) = attempt else {
            return self.violate(format!("G01: {prefix} has a seal of nobody: {document}"));
        };
        let attempt = &self.attempts[attempt.0];
        if let Some(told) = attempt.told.as_ref().filter(|told| !told.leaves_open(attempt.ending)) {
            return self.violate(format!("G06: after {told:?} was told its seal appeared"));
        }
        let whole = payload.is_some_and(|payload| {
            payload.fate == Fate::Whole && payload.body.0 == attempt.payload
        });
        if whole {
            return;
        }
        if self.lateness == Lateness::Unbounded {
            self.runs[at].corrupt = true;
        } else {
            let there = payload.map(|payload| (payload.fate, &payload.token));
            self.violate(format!("G02: {prefix} was sealed over {there:?}: {document}"));
        }
    }

    /// A sealed run stays as it is (G03).
    fn stayed(&mut self, at: usize, tag: Option<Tag>, server: &Bucket) {
        let run = &self.runs[at];
        let Some(seal) = &run.seal else { return };
        let payload = run.payload(server);
        let same = tag == Some(seal.tag) && payload.map(|payload| payload.tag) == seal.payload;
        let whole = payload.is_none_or(|payload| payload.fate == Fate::Whole);
        if same && whole || run.vandalised {
            return;
        }
        let nobody_knows = tag == Some(seal.tag) && run.told.is_none();
        if self.lateness == Lateness::Unbounded && nobody_knows {
            self.runs[at].corrupt = true;
            return;
        }
        let now = payload.map(|payload| (&payload.token, payload.fate));
        let how = format!("G03: {} changed after {} sealed it: {now:?}", run.prefix, seal.token);
        self.violate(how);
    }

    /// Tells whether a run is sealed.
    pub(in crate::simulation) fn is_sealed(&self, prefix: &str) -> bool {
        self.run(prefix).seal.is_some()
    }

    /// Tells whether a run may be corrupt.
    pub(in crate::simulation) fn may_be_corrupt(&self, prefix: &str) -> bool {
        let run = self.run(prefix);
        run.vandalised || run.corrupt
    }

    /// Tells whether a late request made a run corrupt.
    pub(in crate::simulation) fn any_is_corrupt(&self) -> bool {
        self.runs.iter().any(|run| run.corrupt)
    }

    /// Returns a run that is sealed, as what its keys start with.
    pub(in crate::simulation) fn a_sealed_run(&self) -> Option<String> {
        let mut sealed = self.runs.iter().filter(|run| run.seal.is_some());
        sealed.next().map(|run| run.prefix.clone())
    }

    /// Notes that somebody who follows no rule changed a run.
    pub(in crate::simulation) fn vandalised(&mut self, prefix: &str) {
        self.run_mut(prefix).vandalised = true;
    }
}
